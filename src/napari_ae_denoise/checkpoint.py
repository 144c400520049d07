"""What a training has reached: averaged and best weights, and a file to go on from."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_ae_denoise.card import STATE
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.model_file import read_model, write_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_ae_denoise.optimizers import Optimizer

_REMEMBERED = {  # of each weight, by the optimizer
    "Adam": {"step", "exp_avg", "exp_avg_sq"},
    "AdamW": {"step", "exp_avg", "exp_avg_sq"},
    "Muon": {"momentum"},
    "Adam of Muon": {"step", "mean", "square"},
}


class TrainingState:
    """The state of a training beside the network itself.

    Parameters
    ----------
    network : nn.Module
        The network in training; its weights are read, and set by `load`.
    optimizer : Optimizer
        Its moments are part of the state.
    average : float
        Decay of the moving average of the weights; 0 for none.

    Attributes
    ----------
    step : int
        Steps done.
    elapsed : float
        Seconds of training.
    best : dict of str to Tensor
        The weights with the best validation, on the CPU; at first those at the start.
    best_psnr : float
        Their validation PSNR in dB; NaN before the first validation.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer, *, average: float) -> None:
        self._network, self._optimizer, self._decay = network, optimizer, average
        self._average = [p.detach().clone() for p in network.parameters()]
        self.step = 0
        self.elapsed = 0.0
        self.best = _on_cpu(network)
        self.best_psnr = math.nan

    @torch.no_grad()
    def after_step(self) -> None:
        """Count a step and follow its weights."""
        self.step += 1
        # the average of a young training is short, or it would remember the random start
        decay = min(self._decay, (1 + self.step) / (10 + self.step)) if self._decay else 0.0
        live = [p.detach() for p in self._network.parameters()]
        torch._foreach_lerp_(self._average, live, 1 - decay)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Lend the network its averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @contextlib.contextmanager
    def lending(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Lend the network other weights, such as its best."""
        live = _on_cpu(self._network)
        self._network.load_state_dict(weights)
        try:
            yield
        finally:
            self._network.load_state_dict(live)

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self._network.parameters(), self._average, strict=True):
            live = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(live)

    def keep_if_best(self, psnr: float) -> None:
        """Keep the averaged weights if they are the best so far; never where they have diverged."""
        diverged = math.isnan(psnr) or psnr == -math.inf
        if not diverged and (math.isnan(self.best_psnr) or psnr > self.best_psnr):
            self.best_psnr = psnr
            self.keep()

    def keep(self) -> None:
        """Keep the averaged weights."""
        with self.averaged():
            self.best = _on_cpu(self._network)

    def save(self, path: str | Path) -> None:
        """Write the state, whole or not at all."""
        tensors = {f"network.{k}": v for k, v in _on_cpu(self._network).items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        tensors |= {f"average.{i}": v for i, v in enumerate(self._average)}
        for number, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": v for k, v in moments.items()}
        best = None if math.isnan(self.best_psnr) else self.best_psnr
        record = {
            "kind": STATE,
            "optimizer": type(self._optimizer).__name__,
            "step": self.step,
            "elapsed": self.elapsed,
            "best_psnr": best,
        }
        write_model(path, tensors, record)

    def load(self, path: str | Path) -> None:
        """Go on from a state that `save` wrote.

        Raises
        ------
        DenoisingError
            If the file is damaged, or is of another network.
        """
        tensors, record = read_model(path)
        try:
            if record["kind"] != STATE:
                raise KeyError("kind")
            mine_is = type(self._optimizer).__name__
            if record.get("optimizer", mine_is) != mine_is:
                raise KeyError(f"optimizer {record['optimizer']}")
            mine = _under(tensors, "network.")
            best = _under(tensors, "best.")
            average = [tensors[f"average.{i}"] for i in range(len(self._average))]
            moments = self._moments(_under(tensors, "optimizer."))
            weights = self._network.state_dict()
            count = len(mine) + len(best) + len(average) + sum(map(len, moments.values()))
            if not set(mine) == set(best) == set(weights) or count != len(tensors):
                raise KeyError("the names of its weights")
            for name, live in weights.items():
                same = mine[name].shape == best[name].shape == live.shape
                if not same or not mine[name].dtype == best[name].dtype == live.dtype:
                    raise KeyError(name)
            if any(a.shape != held.shape for a, held in zip(average, self._average, strict=True)):
                raise KeyError("average")
            step, elapsed = int(record["step"]), float(record["elapsed"])
            if step < 0 or elapsed < 0:
                raise ValueError(f"step {step}")
            best_psnr = math.nan if record["best_psnr"] is None else float(record["best_psnr"])
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise DenoisingError(
                f"The training state in {path} is not one of this network ({error} does not fit).",
                "Give the settings that it was begun with, or another file to begin anew.",
            ) from error
        self._network.load_state_dict(mine)
        self.best = best
        with torch.no_grad():
            for held, value in zip(self._average, average, strict=True):
                held.copy_(value)
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self.step, self.elapsed, self.best_psnr = step, elapsed, best_psnr

    def _moments(self, tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
        """Return what the optimizer remembers: of each weight the same, a count or its shape."""
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, key = name.split(".", 1)
            if not number.isdecimal():
                raise KeyError(f"optimizer.{name}")
            weight = self._average[int(number)]
            if value.shape != (() if key == "step" else weight.shape):
                raise KeyError(f"optimizer.{name}")
            if value.ndim:  # laid out as the weight: fused Adam reads both as they lie in memory
                value = torch.empty_like(weight).copy_(value)
            moments.setdefault(int(number), {})[key] = value
        kind = type(self._optimizer).__name__
        for place, remembered in moments.items():
            known = _REMEMBERED["Adam of Muon" if self._by_adam(place) else kind]
            if set(remembered) != known:
                raise KeyError(f"what its optimizer remembers of weight {place}")
        return moments

    def _by_adam(self, number: int) -> bool:
        """Return whether a weight follows Adam though the optimizer is Muon: it has no matrix."""
        return type(self._optimizer).__name__ == "Muon" and self._average[number].ndim < 2


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _on_cpu(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the weights; ``.to("cpu")`` alone would alias live ones."""
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }
