"""The panel *Batch*."""

from __future__ import annotations

import glob
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit, LineEdit
from qtpy.QtWidgets import QListWidget

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.forms import device_field, field, fold, form
from napari_ae_denoise._qt.model_choice import ModelChoice
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise.batch import BatchProgress, Work, batch_steps
from napari_ae_denoise.batch_report import check_report, write_report
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import find_images
from napari_ae_denoise.output_names import resolve_outputs
from napari_ae_denoise.tile_runner import PredictSettings

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    import napari

    from napari_ae_denoise._qt.worker import MakeSteps
    from napari_ae_denoise.batch import Outcome
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.output_names import Outputs


@dataclass(frozen=True, slots=True, eq=False)
class BatchChoices:
    """What the form says."""

    paths: tuple[Path, ...]
    outputs: tuple[Outputs, ...]
    denoiser: Denoiser
    work: Work
    report: Path | None


@dataclass(frozen=True, slots=True)
class BatchDone:
    """How it ended."""

    outcomes: tuple[Outcome, ...]
    total: int
    report: Path | None

    @property
    def made(self) -> int:
        """How many images are denoised."""
        return sum(not outcome.problem for outcome in self.outcomes)


class BatchWidget(Panel):
    """Denoises the images of a folder, from file to file."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="&Run",
            stop="Cancel",
            tooltips=(
                "Denoise all the images, one after the other.",
                "Cancel after the running tile; images that are finished stay.",
            ),
        )
        self.folder = FileEdit(
            name="folder",
            label="Folder",
            mode=FileDialogMode.EXISTING_DIRECTORY,
            nullable=True,
            tooltip="Its images are denoised.",
        )
        self.patterns = LineEdit(
            name="patterns",
            label="Files",
            tooltip='Empty: all images of the folder. Or patterns within it, such as "*.tif" or '
            '"**/cells*.tif"; those with spaces in quotes. Without a folder: paths and patterns.',
        )
        self.output = LineEdit(
            name="output",
            label="Output",
            tooltip="A folder for the results, which is made; or a pattern such as "
            '"out/{stem}_clean{suffix}", within the folder unless it begins at the root.',
        )
        self.models = ModelChoice(shelf_of(viewer), self)
        self.model = self.models.field
        self.report = field(
            "report", True, "Report", "Write report.html beside the results: figures and pictures."
        )
        self.overwrite = field(
            "overwrite", False, "Overwrite", "Replace results that are there. Inputs never are."
        )
        self.axes = LineEdit(
            name="axes", label="Axes", tooltip="Of all images. Empty: as each file says."
        )
        self.strength = field(
            "strength", 100.0, "Strength (%)", "100 %: all of the denoising.", min=0.0, max=100.0
        )
        self.device = device_field()
        self.outcomes = QListWidget()
        self.outcomes.setWordWrap(True)
        self.outcomes.setToolTip("What became of each image; those that failed say why.")
        self.lay_out(
            form(self.folder, self.patterns, self.output, self.model, self.report, self.overwrite),
            fold("More settings", form(self.axes, self.strength, self.device)),
            self.outcomes,
            remembered=(self.report,),
        )

    def read(self) -> BatchChoices:
        """Return what the form says; refuse what would lose a file."""
        folder = str(self.folder.value or "").strip()
        base = Path(folder).expanduser() if folder not in ("", ".") else None
        paths = find_images(_wanted(base, self.patterns.value))
        told = self.output.value.strip()
        if not told:
            raise DenoisingError(
                "There is no place for the results.",
                "Give a folder in Output, or a pattern such as out/{stem}_clean{suffix}.",
            )
        output = Path(told).expanduser()
        output = output if base is None else base / output
        if "{" not in told and len(paths) == 1:  # always a folder here
            output = output / "{name}"
        overwrite = self.overwrite.value
        denoiser = self.models.chosen()
        outputs = resolve_outputs(paths, output, None, None, overwrite=overwrite)
        report = outputs[0].denoised.parent / "report.html" if self.report.value else None
        if report is not None:
            check_report(report, overwrite=overwrite)
        settings = PredictSettings(device=self.device.value, strength=self.strength.value / 100)
        axes = self.axes.value.strip() or None
        work = Work(self.model.value, axes, settings, 0, overwrite)
        return BatchChoices(tuple(paths), tuple(outputs), denoiser, work, report)

    def prepare(self) -> MakeSteps:
        """Return the job of denoising all."""
        choices = self.read()
        self.outcomes.clear()
        return lambda stop: _steps(choices, stop)

    def show_progress(self, progress: BatchProgress) -> None:
        """Show where it stands."""
        failed = f", {progress.failed} failed" if progress.failed else ""
        image = f"Image {min(progress.done + 1, progress.total)} of {progress.total}{failed}"
        self.bar.show_progress(progress.fraction, f"{image}: {progress.path.name}")

    def show_result(self, result: BatchDone) -> None:
        """List what became of each image, those that failed first."""
        for outcome in sorted(result.outcomes, key=lambda one: not one.problem):
            end = f"failed: {outcome.problem}" if outcome.problem else "denoised"
            self.outcomes.addItem(" ".join([f"{outcome.path.name} {end}", *outcome.notes]))
        failed = sum(bool(outcome.problem) for outcome in result.outcomes)
        said = f"{result.made} of {result.total} images denoised"
        said += f", {failed} failed." if failed else "."
        where = f" The report is {result.report}." if result.report is not None else ""
        self.bar.status.setText(said + where)
        if failed:
            self.show_warning(f"{said} The list in the panel says why.")


def _wanted(base: Path | None, told: str) -> list[Path]:
    """Return the paths and patterns that the fields name."""
    try:
        words = shlex.split(told) if "\\" not in told else told.split()
    except ValueError as error:
        raise DenoisingError(
            f"The files {told} cannot be read: {error}.", "Close each quote that is opened."
        ) from error
    if base is None and not words:
        raise DenoisingError("No images are chosen.", "Choose a folder, or name files.")
    if base is None:
        return [Path(word).expanduser() for word in words]
    within = Path(glob.escape(str(base)))  # its own name is no pattern
    return [within / word for word in words] or [base]


def _steps(
    choices: BatchChoices, stop: threading.Event
) -> Generator[BatchProgress, None, BatchDone]:
    """Denoise, and write the report of what was begun."""
    outcomes = yield from batch_steps(
        choices.paths, choices.outputs, choices.work, denoiser=choices.denoiser, stop=stop
    )
    report = choices.report if outcomes else None
    if report is not None:
        write_report(report, outcomes, choices.denoiser.card.name)
    return BatchDone(tuple(outcomes), len(choices.paths), report)
