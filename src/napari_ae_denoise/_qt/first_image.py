"""What the *Batch* panel says of the model for its images, before anything is pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_ae_denoise._qt.forms import note, on_change
from napari_ae_denoise._qt.latest import Latest
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.file_proposal import file_proposal_steps
from napari_ae_denoise.image_files import find_images

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_ae_denoise._qt.batch_form import BatchFields
    from napari_ae_denoise._qt.model_choice import ModelChoice
    from napari_ae_denoise.proposal import Proposal


class FirstImage(QObject):
    """Lets the choice of the model follow the first image of a batch, and says why, in a line.

    Folders are searched and images read in a thread. What is wrong with them is said when the
    batch is started.

    Parameters
    ----------
    fields : BatchFields
        Say which images.
    models : ModelChoice
        The choice.
    parent : QWidget
        Whose life it shares.
    """

    settled = Signal()  # the model is chosen, or nothing speaks for one

    def __init__(self, fields: BatchFields, models: ModelChoice, parent: QWidget) -> None:
        super().__init__(parent)
        self._fields, self._models = fields, models
        self.line = note()
        self.line.hide()
        self._proposed = ""
        self._looking = Latest(parent)
        self._looking.answered.connect(self._propose)
        self._looking.failed.connect(self._settle)
        on_change((fields.folder, fields.patterns, fields.axes, fields.level), self.look)
        on_change((models.field,), self._show_if_taken)

    @property
    def busy(self) -> bool:
        """Whether the choice of the model is still to come."""
        return self._looking.busy and self._models.follows_image

    def look(self) -> None:
        """Look at the first image, if there is one."""
        self.leave()
        self._proposed = ""
        self._show_if_taken()
        try:
            wanted = self._fields.wanted()
        except DenoisingError:
            return
        axes, level = self._fields.axes.value.strip() or None, self._fields.level.value
        self._looking.ask(lambda stop: _steps(wanted, axes, level, stop))

    def leave(self) -> None:
        """Find out nothing more."""
        self._looking.drop()

    def _propose(self, found: tuple[Path, Proposal] | None) -> None:
        if found is not None:
            path, proposal = found
            self._proposed = proposal.name
            self.line.setText(f"Chosen for {path.name}: {proposal.reason}.")
            self._models.follow_image(proposal)
            self._show_if_taken()
        self._settle()

    def _settle(self, *_: object) -> None:
        self.settled.emit()

    def _show_if_taken(self) -> None:
        self.line.setVisible(bool(self._proposed) and self._models.field.value == self._proposed)


def _steps(
    wanted: list[Path], axes: str | None, level: int, stop: threading.Event
) -> Generator[float, None, tuple[Path, Proposal] | None]:
    return (yield from file_proposal_steps(find_images(wanted), axes, level, stop=stop))
