"""The panel *Batch*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QPlainTextEdit

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.alignment import two_columns
from napari_ae_denoise._qt.batch_form import BatchFields
from napari_ae_denoise._qt.batch_job import BatchDone, batch_job
from napari_ae_denoise._qt.device_view import DeviceHint
from napari_ae_denoise._qt.first_image import FirstImage
from napari_ae_denoise._qt.forms import fold, form, on_change
from napari_ae_denoise._qt.model_choice import ModelChoice
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.worker import JobState
from napari_ae_denoise.batch import CANCELLED

if TYPE_CHECKING:
    import napari

    from napari_ae_denoise._qt.worker import MakeSteps
    from napari_ae_denoise.batch import BatchProgress, Outcome

_LEAST_HEIGHT = 120  # pixels


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
        self.bar.stop_button.clicked.connect(self._cancel_waiting)
        on_change([one for one in fields.all if one is not self.model], self._change_waiting)
        on_change([self.model], self._choose_waiting)
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

    # ---- Run before the model for the first image is known

    def run(self) -> None:
        """Start, as soon as the model for the first image is known."""
        self._waits = self.first_image.busy
        if not self._waits:
            super().run()
            return
        self.bar.show_state(JobState.RUNNING)  # which can be cancelled
        self.bar.status.setText("Choosing the model …")

    def _go_on(self) -> None:
        if self._stop_waiting(""):
            self.run()

    def _stop_waiting(self, said: str) -> bool:
        """Wait no longer, if it waited, and say why."""
        waited, self._waits = self._waits, False
        if waited:
            self.show_state(self.job.state)
            self.bar.status.setText(said)
        return waited

    def _cancel_waiting(self) -> None:
        self._stop_waiting("Cancelled before the first image.")

    def _change_waiting(self) -> None:
        """Begin nothing that was not asked for: what Run was pressed for is another form."""
        self._stop_waiting("Changed before it began. Press Run.")

    def _choose_waiting(self) -> None:
        if not self.models.follows_image:  # but chosen by somebody
            self._change_waiting()

    def leave(self) -> None:
        """Let go of what goes on, for the panel is out of the window."""
        self._stop_waiting("")
        self.first_image.leave()
        super().leave()

    def come_back(self) -> None:
        """Look at the first image anew."""
        super().come_back()
        self.first_image.look()

    # ---- the job

    def prepare(self) -> MakeSteps:
        """Return the job of denoising all."""
        self.outcomes.clear()  # of an earlier one, also where this one is refused
        self.outcomes.hide()
        choices = self.fields.read()
        return lambda stop: batch_job(choices, stop)

    def show_progress(self, progress: BatchProgress) -> None:
        """Show where it stands."""
        self.outcomes.clear()
        self.outcomes.show()
        failed = f", {progress.failed} failed" if progress.failed else ""
        image = f"Image {min(progress.done + 1, progress.total)} of {progress.total}{failed}"
        self.bar.show_progress(progress.fraction, f"{image}: {progress.path.name}")

    def show_result(self, result: BatchDone) -> None:
        """List what became of each image, those that failed first."""
        ordered = sorted(result.outcomes, key=lambda one: not one.problem)
        self.outcomes.setPlainText("\n".join(_line(outcome) for outcome in ordered))
        self.outcomes.show()
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
