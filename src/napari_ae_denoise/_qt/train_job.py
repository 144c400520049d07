"""The job of the *Train autoencoder* panel: from what the form says to a model on the shelf."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_ae_denoise.training import Progress, training_steps

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_ae_denoise._qt.shelf import Shelf
    from napari_ae_denoise.card import Card
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.settings import TrainSettings
    from napari_ae_denoise.training_data import TrainingData


@dataclass(frozen=True, slots=True, eq=False)
class TrainChoices:
    """What the form says."""

    data: TrainingData
    settings: TrainSettings
    start: Denoiser | None


def train_steps(
    choices: TrainChoices, shelf: Shelf, stop: threading.Event
) -> Generator[Progress, None, Denoiser | None]:
    """Train; what comes out goes to the shelf even if the panel is closed by then."""
    steps = training_steps(choices.data, choices.settings, start=choices.start, stop=stop)
    denoiser = yield from steps
    if not denoiser.card.training["steps_done"]:
        return None
    with contextlib.suppress(RuntimeError):  # the viewer is closed, and its shelf gone with it
        shelf.offered.emit(denoiser)
    return denoiser


def in_words(name: str, card: Card) -> str:
    """Return what became of a training: how good the model is, and what people should know."""
    metrics, facts = card.metrics, card.training
    against = "noisy" if "noisy" in card.data_kind else "clean"
    parts = [f'Trained "{name}".']
    if {"noisy_psnr", "validation_psnr"} <= set(metrics):
        parts.append(
            f"{metrics['noisy_psnr']:.2f} dB before, {metrics['validation_psnr']:.2f} dB after "
            f"denoising, against {against} parts that were held out."
        )
    if facts.get("invalid_pixels"):
        parts.append(f"{facts['invalid_pixels']} pixels are NaN or infinite: they were masked.")
    parts.append(facts.get("note") or "Choose it in the Denoise panel, or save it.")
    return " ".join(parts)
