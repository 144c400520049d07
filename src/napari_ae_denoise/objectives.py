"""How a network is scored: a reconstruction loss, plus penalties on its code and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from napari_ae_denoise import penalties as of
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.penalty_spec import Penalty

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from torch import Tensor

    from napari_ae_denoise.batches import Batch
    from napari_ae_denoise.networks import ConvAutoencoder, NetworkPass


def mean_squared_error(made: Tensor, target: Tensor) -> Tensor:
    """Return the mean of ``(made - target)**2``: the best guess under it is the mean."""
    return functional.mse_loss(made, target)


def mean_absolute_error(made: Tensor, target: Tensor) -> Tensor:
    """Return the mean of ``|made - target|``: the best guess under it is the median."""
    return functional.l1_loss(made, target)


RECONSTRUCTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mean_squared_error,
    "l1": mean_absolute_error,
}


@dataclass(frozen=True, slots=True)
class _Scored:
    """What a penalty may look at."""

    network: ConvAutoencoder
    made: NetworkPass
    noisy: Tensor
    target: Tensor
    unit: Tensor | None  # (N,): what errors are measured in
    generator: torch.Generator | None


def _marginalized(_: Penalty, on: _Scored) -> Tensor:
    # the noise was drawn already: how strong it is can be seen
    variance = (on.noisy - on.target).square().mean(dim=(1, 2, 3))  # (N,)
    network = on.network
    added = of.marginalized_noise(network.encode, network.decode, on.target, variance, on.generator)
    return (added if on.unit is None else added / on.unit**2).mean()


def _variational(_: Penalty, on: _Scored) -> Tensor:
    if on.made.log_variance is None:
        raise DenoisingError(
            "The variational penalty needs a variational code.", "Choose a variational network."
        )
    return of.gaussian_divergence(on.made.mean, on.made.log_variance, on.noisy[0].numel())


_PENALTIES: dict[str, Callable[[Penalty, _Scored], Tensor]] = {
    "weights-l1": lambda _, on: of.weights_l1(on.network.parameters()),
    "weights-l2": lambda _, on: of.weights_l2(on.network.parameters()),
    "sparsity": lambda p, on: of.sparsity(on.made.code, p.target),
    "activity-l1": lambda _, on: of.activity_l1(on.made.code),
    "variational": _variational,
    "contractive": lambda p, on: of.contraction(
        on.network.encode, on.noisy, p.projections, on.generator
    ),
    "marginalized": _marginalized,
}


@dataclass(frozen=True, slots=True)
class Objective:
    """How a network is scored: ``reconstruction + sum weight * penalty``.

    Parameters
    ----------
    reconstruction : {"mse", "l1"}
        The loss between the network's image and the target, on normalized grey values.
    penalties : tuple of Penalty
        What is added to it; none by default. One alone may stand without its tuple. With the
        penalty ``marginalized`` the network is shown the target: what noise would add is in the
        penalty.
    """

    reconstruction: str = "mse"
    penalties: tuple[Penalty, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a loss that is not known."""
        loss: Any = self.reconstruction
        if not (isinstance(loss, str) and loss in RECONSTRUCTION):
            raise DenoisingError(
                f'The reconstruction loss "{self.reconstruction}" is not known.',
                f"Use one of {', '.join(RECONSTRUCTION)}.",
            )
        given: Any = self.penalties
        if isinstance(given, Penalty):
            given = (given,)
        if isinstance(given, list):
            given = tuple(given)
        object.__setattr__(self, "penalties", given)
        if not (isinstance(given, tuple) and all(isinstance(p, Penalty) for p in given)):
            raise DenoisingError(
                f"The penalties {self.penalties!r} are no penalties.",
                'Give Penalty records, such as (Penalty("sparsity", 0.1),).',
            )
        names = [p.name for p in self.penalties]
        if len(set(names)) < len(names):
            raise DenoisingError(
                f"A penalty is there twice: {', '.join(names)}.", "Give each once."
            )

    def penalty(self, name: str) -> Penalty | None:
        """Return the penalty of a name, if it is one of these."""
        return next((p for p in self.penalties if p.name == name), None)

    def __str__(self) -> str:
        """Say it in a line: ``mse + sparsity 0.1 (target 0.05)``."""
        return " + ".join([self.reconstruction, *map(str, self.penalties)])

    def __call__(
        self,
        network: torch.nn.Module,
        noisy: Tensor,
        target: Tensor,
        scored: Tensor | None = None,
        usual_error: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of a batch, (N, C, Y, X) each, as a scalar float32 tensor.

        ``scored``, bool, says which pixels count; by default all. ``usual_error``, (N,), is the
        unit that the errors of each image are measured in. ``generator`` draws what is random in
        penalties.
        """
        if not self.penalties:
            return self._reconstruction(network(noisy), target, scored, usual_error)
        shown = noisy if self.penalty("marginalized") is None else target
        made = network.training_pass(shown, generator)  # type: ignore[operator]
        loss = self._reconstruction(made.image, target, scored, usual_error)
        on = _Scored(network, made, noisy, target, usual_error, generator)  # type: ignore[arg-type]
        # Jacobians of bfloat16 are too coarse, and sums over many weights too
        with torch.autocast(noisy.device.type, enabled=False):
            for penalty in self.penalties:
                loss = loss + penalty.weight * _PENALTIES[penalty.name](penalty, on)
        return loss

    def batch_loss(self, made: npt.NDArray[Any], batch: Batch) -> float:
        """Return the loss of what was made of a batch, (N, C, Y, X), without penalties."""
        target, scored, usual, image = (
            None if side is None else torch.from_numpy(side)
            for side in (batch.target, batch.scored, batch.usual_error, made)
        )
        assert image is not None
        assert target is not None
        return self._reconstruction(image, target, scored, usual).item()

    def _reconstruction(
        self, made: Tensor, target: Tensor, scored: Tensor | None, usual_error: Tensor | None
    ) -> Tensor:
        made = made.float()
        if usual_error is not None:
            unit = usual_error.view(-1, 1, 1, 1)
            made, target = made / unit, target / unit
        if scored is not None:
            made, target = made[scored], target[scored]  # (pixels,)
        return RECONSTRUCTION[self.reconstruction](made, target)
