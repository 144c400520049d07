"""One training: its network, its data, its optimizer, and where it stands."""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from napari_ae_denoise.batches import batches_psnr
from napari_ae_denoise.checkpoint import TrainingState
from napari_ae_denoise.contradictions import check_fit, check_start
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.device_probe import trusted
from napari_ae_denoise.devices import (
    computing_in,
    memory_errors,
    training_precision,
)
from napari_ae_denoise.independent_pixels import of_independent_pixels
from napari_ae_denoise.lean_network import for_training
from napari_ae_denoise.networks import ConvAutoencoder, build_empty
from napari_ae_denoise.objectives import Objective
from napari_ae_denoise.optimizers import OPTIMIZERS
from napari_ae_denoise.pretraining import stage_at, stage_loss, stages
from napari_ae_denoise.schedule import highest_rate
from napari_ae_denoise.seeding import seeded
from napari_ae_denoise.small_images import choose_sampler, is_small_stack
from napari_ae_denoise.storage import is_there
from napari_ae_denoise.training_card import trained_card
from napari_ae_denoise.training_noise import noise_kind
from napari_ae_denoise.training_progress import Progress, Watch

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Sequence

    from napari_ae_denoise.batches import Batch
    from napari_ae_denoise.network_spec import NetworkSpec
    from napari_ae_denoise.settings import TrainSettings
    from napari_ae_denoise.training_data import TrainingData

    Lent = contextlib.AbstractContextManager[None]  # in which the network has other weights


_WATCHED = 192  # pixels a side
_log = logging.getLogger(__name__)


class TrainingRun:
    """One training: what its steps share."""

    def __init__(
        self,
        data: TrainingData,
        settings: TrainSettings,
        start: Denoiser | None,
        checkpoint: str | Path | None,
    ) -> None:
        if start is not None:
            start.check_own("trained further")
            check_start(start.network, settings, data)
        self.noise = noise_kind(settings.noise, start.card if start else None)
        self.settings, self.start = replace(settings, noise=self.noise), start
        self.spec = start.network.spec if start else _spec_for(data, settings)
        self.apart = (1, 1)
        if self.spec.image_size is None:
            data, self.apart = of_independent_pixels(data)
        self.data = data
        self.normalization = (
            start.card.normalization if start else settings.normalization_for(self.spec)
        )
        self.device, self.precision = trusted(
            settings.device, lambda device: training_precision(device, settings.precision)
        )
        check_fit(build_empty(self.spec), settings, data)
        with seeded(settings.seed):
            network = copy.deepcopy(start.network) if start else ConvAutoencoder(self.spec)
        network.train().requires_grad_(True)  # a denoiser's own network is frozen
        layerwise = settings.pretraining == "layerwise"
        if settings.objective == Objective(settings.objective.reconstruction) and not layerwise:
            network = for_training(network)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.stages = stages(self.network) if layerwise else []
        self.sampler = choose_sampler(
            data,
            channels=self.spec.channels,
            stride=network.stride,
            normalization=self.normalization,
            sigma=settings.sigma_range,
            relative=settings.relative,
            patch_size=settings.patch_sizes[0],
            batch_size=settings.batch_size,
            seed=settings.seed,
            validation=settings.validation,
            noise=self.noise,
            scheme=settings.scheme,
            noise_sigma=settings.noise_sigma,
            augment=settings.augment and self.spec.image_size is None,
            clip=settings.clip,
            apart=self.apart != (1, 1),
        )
        self.optimizer = OPTIMIZERS[settings.optimizer](
            self.network.parameters(),
            highest_rate(settings, fine_tuning=start is not None),
            weight_decay=settings.weight_decay,
        )
        self.state = TrainingState(self.network, self.optimizer, average=settings.average)
        if checkpoint and is_there(Path(checkpoint)):
            self.state.load(checkpoint)
        self.steps = settings.steps_in_all(self.sampler.steps_per_epoch)
        self.held_out = self.sampler.validation_batches()
        self.noisy_psnr = batches_psnr([(b.noisy, b) for b in self.held_out])
        self.validation_psnr = self.validation_loss = self.start_psnr = math.nan
        self._began = time.monotonic() - self.state.elapsed
        if not math.isnan(self.state.best_psnr):  # continued, maybe by other settings or data
            self.state.best_psnr = batches_psnr(self._scored(self.state.lending(self.state.best)))

    @property
    def elapsed(self) -> float:
        """Seconds of training, with those before a resumption."""
        return time.monotonic() - self._began

    @property
    def fraction(self) -> float:
        """Done part of the training, 0 to 1."""
        if self.steps is not None:
            return self.state.step / self.steps
        return min(1.0, self.elapsed / (60 * (self.settings.minutes or 1)))

    @property
    def at_end_of_epoch(self) -> bool:
        """Whether the last step was the last of an epoch, or of all."""
        return self.state.step % self.sampler.steps_per_epoch == 0 or self.state.step == self.steps

    @property
    def stage(self) -> int | None:
        """The stage that is pretrained now; None where the whole network is trained."""
        return stage_at(self.fraction, len(self.stages)) if self.stages else None

    def _memory_errors(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which running out of memory is said in words."""
        size, count = self.settings.patch_size_at(self.fraction), self.settings.batch_size
        return memory_errors(
            f"Memory ran out on {self.device} while training on {count} patches of {size} pixels a "
            "step.",
            "Choose smaller patches, fewer a step, a smaller network, or another device.",
        )

    def step(self, number: int, rate: float) -> float:
        """Take one step and return the loss; a loss that is no finite number changes nothing."""
        with self._memory_errors():
            return self._step(number, rate)

    def _step(self, number: int, rate: float) -> float:
        batch = self.sampler.batch(number, self.settings.patch_size_at(self.fraction))
        noisy, target = (_tensor(side, self.device) for side in (batch.noisy, batch.target))
        scored, usual = (
            None if side is None else torch.from_numpy(side).to(self.device)
            for side in (batch.scored, batch.usual_error)
        )
        with computing_in(self.precision, self.device):
            stage, objective = self.stage, self.settings.objective
            if stage is None:
                # only penalties draw: an objective of one's own need not know of it
                draw = _generator(self.settings.seed, number) if objective.penalties else None
                more = {} if draw is None else {"generator": draw}
                loss = objective(self.network, noisy, target, scored, usual, **more)
            else:
                before = self.stages[:stage]
                loss = stage_loss(
                    before, self.stages[stage], objective, noisy, target, scored, usual
                )
        if not torch.isfinite(loss):
            return loss.item()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        length = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        if not torch.isfinite(length):
            return length.item()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with computing_in(self.precision, self.device):  # for the matrix products of Muon
            self.optimizer.step()
        self.state.after_step()
        self.state.elapsed = self.elapsed
        return loss.item()

    def made_of(self, batches: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Return what the averaged weights make of batches, (N, C, Y, X) float32, normalized."""
        return self._made(batches, self.state.averaged())

    def _made(self, batches: Sequence[np.ndarray[Any, Any]], lent: Lent) -> list[Any]:
        """Return what the network makes of batches with the weights that are lent to it."""
        computing = computing_in(self.precision, self.device)
        with self._memory_errors(), lent, torch.inference_mode(), computing:
            made: list[Tensor] = [self.network(_tensor(b, self.device)) for b in batches]
        return [m.float().cpu().numpy() for m in made]

    def _scored(self, lent: Lent) -> list[tuple[np.ndarray[Any, Any], Batch]]:
        """Return what the lent weights make of the held-out batches, each with its batch."""
        made = self._made([batch.noisy for batch in self.held_out], lent)
        return list(zip(made, self.held_out, strict=True))

    def validate(self) -> None:
        """Score the averaged weights on the held-out data, and keep them if they are the best."""
        pairs = self._scored(self.state.averaged())
        self.validation_psnr = batches_psnr(pairs)
        loss = self.settings.objective.batch_loss
        self.validation_loss = float(np.mean([loss(made, batch) for made, batch in pairs]))
        self.state.keep_if_best(self.validation_psnr)

    def rate_start(self, start: Denoiser) -> None:
        """Score what the training starts from: that is the one to beat."""
        if self.state.step == 0:
            self.validate()
            self.start_psnr = self.validation_psnr
            return
        lent = self.state.lending(start.network.state_dict())
        self.start_psnr = batches_psnr(self._scored(lent))

    def watch(self) -> Watch:
        """Return what looks now and then at what the network makes of a part of the data."""
        size = self.spec.image_size
        patch = self.sampler.example(max(size) if size else _WATCHED)
        clean = self.data.kind in ("clean", "pairs")
        return Watch(patch, self.made_of, clean=clean)

    def rate_last_steps(self) -> None:
        """Score the steps since the last epoch; unrated ones are better than none at all."""
        try:
            self.validate()
        except Exception:  # noqa: BLE001 (logged; the training itself must not be lost)
            _log.exception("the last steps of a training could not be rated")
            if math.isnan(self.state.best_psnr):
                self.state.keep()

    def progress(self, loss: float, rate: float, note: str) -> Progress:
        """Return where the training stands."""
        fraction, elapsed, stage = self.fraction, self.elapsed, self.stage  # by the clock: once
        return Progress(
            step=self.state.step,
            steps=self.steps,
            epoch=self.state.step // self.sampler.steps_per_epoch,
            loss=loss,
            learning_rate=rate,
            fraction=fraction,
            elapsed=elapsed,
            remaining=elapsed * (1 - fraction) / fraction if fraction > 0 else math.nan,
            validation_psnr=self.validation_psnr,
            best_psnr=self.state.best_psnr,
            noisy_psnr=self.noisy_psnr,
            note=note,
            validation_loss=self.validation_loss,
            stage="" if stage is None else f"stage {stage + 1} of {len(self.stages)}",
        )

    def denoiser(self, note: str) -> Denoiser:
        """Return the denoiser with the best weights so far."""
        network = build_empty(self.spec)
        network.load_state_dict(self.state.best, assign=True)
        return Denoiser(network, trained_card(self, note))


def _spec_for(data: TrainingData, settings: TrainSettings) -> NetworkSpec:
    """Return the network to train; a preset that sees whole images learns where they end."""
    spec = settings.network_spec(data)
    stride = build_empty(spec).stride
    if isinstance(settings.preset, str) and is_small_stack(
        data, spec.channels, stride, settings.patch_sizes[0]
    ):
        return replace(spec, edge="zero")
    return spec


def _generator(seed: int, step: int) -> torch.Generator:
    """Return what draws the randomness of a step, the same for the same seed and step."""
    (state,) = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state))


def _tensor(batch: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    return torch.from_numpy(batch).to(device).contiguous(memory_format=torch.channels_last)
