"""What a trained model's card says of its training."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.card import Card, now, versions_now

if TYPE_CHECKING:
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.settings import TrainSettings
    from napari_ae_denoise.training_run import TrainingRun

_OF_THE_START = ("preset", "network_changes", "normalization")  # settings that a start replaces


def trained_card(run: TrainingRun, note: str) -> Card:
    """Return the card of what a training has made so far; ``note`` says what ended it early."""
    settings, state = run.settings, run.state
    metrics = {
        "validation_psnr": state.best_psnr,
        "noisy_psnr": run.noisy_psnr,
        "start_psnr": run.start_psnr,
    }
    synthetic = run.data.kind == "clean"
    return Card(
        network=run.spec,
        normalization=run.normalization,
        name=settings.name,
        objective=settings.objective.reconstruction,
        penalties=settings.objective.penalties,
        data_kind=run.data.kind,
        sigma=settings.sigma_range if synthetic else None,
        sigma_relative=settings.relative and synthetic,
        noise=run.noise if synthetic else "",
        axes=run.sampler.axes,
        metrics={k: v for k, v in metrics.items() if math.isfinite(v)},
        training={
            **_recorded(settings, run.start),
            "steps_done": state.step,
            "epochs_done": round(state.step / run.sampler.steps_per_epoch, 6),
            "invalid_pixels": run.sampler.invalid_pixels,
            "scheme": run.sampler.scheme or "",
            "seconds": round(state.elapsed, 1),
            "started_from": run.start.card.name if run.start else "",
            "note": note,
            "apart": list(run.apart),
            "computed": f"{str(run.precision).removeprefix('torch.')} on {run.device}",
        },
        versions=versions_now(),
        created=now(),
    )


def _recorded(settings: TrainSettings, start: Denoiser | None) -> dict[str, Any]:
    """Return the settings as what json can hold; what a start replaces is as its card has it."""
    record = {k: v for k, v in asdict(settings).items() if v is not None}
    if start is None:
        return record
    before = start.card.training
    kept = {k: before[k] for k in _OF_THE_START if k in before}
    return {k: v for k, v in record.items() if k not in _OF_THE_START} | kept
