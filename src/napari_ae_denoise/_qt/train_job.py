"""The job of the *Train autoencoder* panel: from what the form says to a model on the shelf."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ae_denoise._qt.forms import duration
from napari_ae_denoise._qt.status_line import short
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.going_on import longer
from napari_ae_denoise.quiet_imports import load_for_training
from napari_ae_denoise.steps import Stopped, stopping
from napari_ae_denoise.training import Progress, training_steps

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Mapping

    from napari_ae_denoise._qt.shelf import Shelf
    from napari_ae_denoise.card import Card
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.settings import TrainSettings
    from napari_ae_denoise.training_data import TrainingData


_GAIN = 0.005  # dB: less is none, as it is shown


class StateFile:
    """Where a training keeps its state, to be gone on from; deleted when nobody holds this."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="napari-ae-denoise-")
        self.path = Path(folder) / "state"
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


@dataclass(frozen=True, slots=True, eq=False)
class TrainChoices:
    """What the form says.

    Parameters
    ----------
    data : callable
        Returns the training data; reads them, where they are files.
    from_files : bool
        Whether they are.
    settings : TrainSettings
        How to train.
    start : Denoiser or None
        What to start from.
    state : StateFile
        What the training writes, and goes on from if it is there.
    """

    data: Callable[[], TrainingData]
    from_files: bool
    settings: TrainSettings
    start: Denoiser | None
    state: StateFile = field(default_factory=StateFile)

    def further(self, length: dict[str, Any], done: Mapping[str, Any]) -> TrainChoices:
        """Return what goes on from here, for a length in minutes, epochs or steps.

        ``done`` is what the card of the trained model says of its training.
        """
        if not self.state.path.exists():
            raise DenoisingError(
                "The state of the last training is gone from the temporary folder.",
                "Start from its model instead: choose it in the field Start from.",
            )
        new = {"minutes": None, "epochs": None, "steps": None, **length}
        return replace(self, settings=longer(replace(self.settings, **new), done))


def train_steps(
    choices: TrainChoices, shelf: Shelf, stop: threading.Event
) -> Generator[Progress, None, Denoiser | None]:
    """Train; what comes out goes to the shelf even if the panel is closed by then."""
    load_for_training()
    settings, state = choices.settings, choices.state.path
    try:
        with stopping(stop):
            data = choices.data()
    except Stopped:
        return None
    steps = training_steps(
        data, settings, start=choices.start, stop=stop, checkpoint=state, watch=True
    )
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
    parts = [f'Trained "{short(name)}".']
    start, after = metrics.get("start_psnr"), metrics.get("validation_psnr")
    if {"noisy_psnr", "validation_psnr"} <= set(metrics):
        between = "" if start is None else f'{start:.2f} dB by "{facts["started_from"]}", '
        parts.append(
            f"{metrics['noisy_psnr']:.2f} dB before, {between}{after:.2f} dB after denoising, "
            f"against {against} parts that were held out."
        )
    if facts.get("invalid_pixels"):
        parts.append(f"{facts['invalid_pixels']} pixels are NaN or infinite: they were masked.")
    if max(facts.get("apart", (1,))) > 1:
        parts.append(
            "Neighbouring pixels share their noise: every second one was trained on apart."
        )
    if facts.get("note"):
        parts.append(facts["note"])
    elif card.makes_worse:
        parts.append("It makes images worse as yet: press Continue, or train for longer.")
    elif start is not None and after is not None and after - start < _GAIN:
        parts.append("Nothing was gained: go on with what it started from, or train for longer.")
    else:
        parts.append("Choose it in the Denoise panel, or save it.")
    return " ".join(parts)


def progress_in_words(progress: Progress) -> str:
    """Return where a training stands."""
    of = f" of {progress.steps}" if progress.steps else ""
    stage = f" ({progress.stage})" if progress.stage else ""
    psnr, left = progress.validation_psnr, progress.remaining
    quality = "" if math.isnan(psnr) else f", held-out parts {psnr:.2f} dB"
    time = "" if math.isnan(left) else f", {duration(left)} left"
    return f"Step {progress.step}{of}{stage}, loss {progress.loss:.3g}{quality}{time}"
