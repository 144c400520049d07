"""What the command ``train`` does to files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from napari_ae_denoise._cli.terminal import bar, decibels
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.model_file import SUFFIX
from napari_ae_denoise.output_names import make_folder, refuse_existing
from napari_ae_denoise.steps import Stopped, drain, stopping
from napari_ae_denoise.storage import same_file
from napari_ae_denoise.training import Progress, training_steps
from napari_ae_denoise.training_files import data_from_files

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Sequence

    from napari_ae_denoise.settings import TrainSettings

_BY_TIME = "{l_bar}{bar}| {elapsed}, {remaining} left{postfix}"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """What to train on, as the command line has it."""

    clean: Sequence[Path] | None
    noisy: Sequence[Path] | None
    noisy_again: Sequence[Path] | None
    axes: str | None
    start: str | None
    checkpoint: Path | None


def model_path(output: Path, files: TrainingFiles, *, overwrite: bool) -> Path:
    """Return the model file to write, with its ending; refuse one that would lose a file."""
    if output.suffix != SUFFIX:
        output = output.with_name(output.name + SUFFIX)
    for other in (files.checkpoint, Path(files.start) if files.start else None):
        if other is not None and same_file(output, other):
            raise DenoisingError(
                f"{output} is an input, which would be lost.", "Give another output."
            )
    refuse_existing(output, overwrite=overwrite)
    make_folder(output.parent)
    return output


def train_from_files(
    files: TrainingFiles, settings: TrainSettings, stop: threading.Event
) -> Denoiser | None:
    """Train on files with a progress bar; None if it was stopped before its first step."""
    sides = {"clean": files.clean, "noisy": files.noisy, "noisy_again": files.noisy_again}
    try:
        with stopping(stop):
            data = data_from_files(**sides, axes=files.axes)
    except Stopped:
        return None
    start = Denoiser.load(files.start) if files.start else None
    steps = training_steps(data, settings, start=start, stop=stop, checkpoint=files.checkpoint)
    denoiser = with_training_bar(steps)
    return denoiser if denoiser.card.training.get("steps_done") else None


def with_training_bar(
    steps: Generator[Progress, None, Result], on_progress: Callable[[Progress], None] | None = None
) -> Result:
    """Run a training to its end with a progress bar; ``on_progress`` sees each record."""
    with bar(1.0, "", "training", bar_format=_BY_TIME) as shown:

        def show(progress: Progress) -> None:
            shown.set_postfix_str(
                f"step {progress.step}, loss {progress.loss:.3g}, "
                f"validation {decibels(progress.validation_psnr)}",
                refresh=False,
            )
            shown.update(min(progress.fraction, 1.0) - shown.n)
            if on_progress is not None:
                on_progress(progress)

        return drain(steps, show)
