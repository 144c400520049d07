"""The panel *Batch*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QPlainTextEdit

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.alignment import two_columns
from napari_ae_denoise._qt.batch_form import BatchChoices, BatchFields
from napari_ae_denoise._qt.device_view import DeviceHint
from napari_ae_denoise._qt.first_image import FirstImage
from napari_ae_denoise._qt.forms import fold, form
from napari_ae_denoise._qt.model_choice import ModelChoice
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.worker import in_words
from napari_ae_denoise.batch import CANCELLED, BatchProgress, batch_steps
from napari_ae_denoise.batch_report import write_report
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.report import log

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator
    from pathlib import Path

    import napari

    from napari_ae_denoise._qt.worker import MakeSteps
    from napari_ae_denoise.batch import Outcome

_LEAST_HEIGHT = 120  # pixels


@dataclass(frozen=True, slots=True)
class BatchDone:
    """How it ended; ``warning`` says why there is no report."""

    outcomes: tuple[Outcome, ...]
    total: int
    report: Path | None
    warning: str = ""

    @property
    def made(self) -> int:
        """How many images are denoised."""
        return sum(not (outcome.problem or outcome.skipped) for outcome in self.outcomes)


class BatchWidget(Panel):
    """Denoises the images of a folder, from file to file."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="&Run",
            stop="Cancel",
            tooltips=(
                "Denoise all the images.",
                "Cancel after the running tile; images that are finished stay.",
            ),
        )
        self.models = ModelChoice(shelf_of(viewer), self)
        self.model = self.models.field
        self.fields = fields = BatchFields(self.models)
        self.first_image = FirstImage(fields, self.models, self)
        self.first_image.settled.connect(self._go_on)
        self._waits = False  # pressed Run before the model was known
        self.device_hint = DeviceHint(fields.device)
        self.outcomes = QPlainTextEdit()  # which breaks long names, and can be copied from
        self.outcomes.setReadOnly(True)
        self.outcomes.setTabChangesFocus(True)
        self.outcomes.setMinimumHeight(_LEAST_HEIGHT)
        self.outcomes.setToolTip("What became of each image; those that failed say why.")
        self.outcomes.hide()
        self.lay_out(
            form(*fields.main),
            self.first_image.line,
            two_columns(*fields.written),
            self.device_hint,
            fold("More settings", form(*fields.more)),
            self.outcomes,
            remembered=fields.remembered,
        )

    def run(self) -> None:
        """Start, as soon as the model for the first image is known."""
        self._waits = self.first_image.busy
        if self._waits:
            self.bar.status.setText("Choosing the model …")
        else:
            super().run()

    def _go_on(self) -> None:
        if self._waits:
            self.run()

    def leave(self) -> None:
        """Let go of what goes on, for the panel is out of the window."""
        self.first_image.leave()
        super().leave()

    def prepare(self) -> MakeSteps:
        """Return the job of denoising all."""
        choices = self.fields.read()
        self.outcomes.clear()
        self.outcomes.show()
        return lambda stop: _steps(choices, stop)

    def show_progress(self, progress: BatchProgress) -> None:
        """Show where it stands."""
        failed = f", {progress.failed} failed" if progress.failed else ""
        image = f"Image {min(progress.done + 1, progress.total)} of {progress.total}{failed}"
        self.bar.show_progress(progress.fraction, f"{image}: {progress.path.name}")

    def show_result(self, result: BatchDone) -> None:
        """List what became of each image, those that failed first."""
        ordered = sorted(result.outcomes, key=lambda one: not one.problem)
        self.outcomes.setPlainText("\n".join(_line(outcome) for outcome in ordered))
        failed = sum(bool(one.problem) and one.problem != CANCELLED for one in result.outcomes)
        stopped = any(one.problem == CANCELLED for one in result.outcomes)
        said = "Cancelled: " if stopped or len(result.outcomes) < result.total else ""
        said += f"{result.made} of {result.total} images denoised"
        skipped = sum(one.skipped for one in result.outcomes)
        said += f", {skipped} skipped" if skipped else ""
        said += f", {failed} failed." if failed else "."
        where = f"The report is {result.report}." if result.report is not None else ""
        self.bar.status.setText(" ".join(filter(None, [said, where, result.warning])))
        why = "The list in the panel says why." if failed else ""
        if failed or result.warning:
            self.show_warning(" ".join(filter(None, [said, why, result.warning])))


def _line(outcome: Outcome) -> str:
    """Return what became of an image."""
    name, end = outcome.path.name, "denoised."
    if outcome.skipped:
        end = ""  # its note says it
    elif outcome.problem:
        stopped = outcome.problem == CANCELLED
        end = "cancelled before it was finished." if stopped else f"failed: {outcome.problem}"
    notes = [note.removeprefix(f"{name}: ").removeprefix("note: ") for note in outcome.notes]
    return " ".join(filter(None, [f"{name}:", end, *notes]))


def _steps(
    choices: BatchChoices, stop: threading.Event
) -> Generator[BatchProgress, None, BatchDone]:
    """Denoise, and write the report of what was begun; the outcomes are told without it too."""
    outcomes = yield from batch_steps(
        choices.paths,
        choices.outputs,
        choices.work,
        denoiser=choices.denoiser,
        stop=stop,
        at_once=choices.at_once,
    )
    report, warning = choices.report if outcomes else None, ""
    if report is not None:
        work, name = choices.work, choices.denoiser.card.name
        try:
            write_report(report, outcomes, name, axes=work.axes, level=work.level)
        except DenoisingError as error:
            report, warning = None, f"There is no report: {error}"
        except Exception as error:  # noqa: BLE001 (logged, and said with the outcomes)
            log(error)
            report, warning = None, f"There is no report: {in_words(error)}"
    return BatchDone(tuple(outcomes), len(choices.paths), report, warning)
