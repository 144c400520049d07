"""The button that saves the workflow of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtWidgets import QFileDialog

from napari_ae_denoise._qt.model_saving import file_name
from napari_ae_denoise._qt.writing_button import WritingButton, placed
from napari_ae_denoise.workflow import Workflow

if TYPE_CHECKING:
    from pathlib import Path

    from napari_ae_denoise._qt.finished import LastResult


class Made(NamedTuple):
    """How a layer was made."""

    layer: str  # its name
    workflow: Workflow


class SaveWorkflowButton(WritingButton):
    """Saves the workflow of the result that is meant.

    Parameters
    ----------
    last : LastResult
        Which result is meant.
    """

    def __init__(self, last: LastResult) -> None:
        super().__init__(
            "Save wor&kflow …",
            "Write a file that makes the same of other images: "
            "napari-ae-denoise replay FILE IMAGE -o OUTPUT.",
            write=_write,
        )
        self._last = last

    def chosen(self) -> Made:
        """Return how the result that is meant was made."""
        layer, record = self._last.result("a workflow")
        return Made(layer.name, Workflow.of_record(record))

    def dialog(self, what: Made) -> QFileDialog:
        """Return what asks where."""
        name = placed(file_name(what.layer, ".json"))
        dialog = QFileDialog(self, "Save workflow", name, "Workflows (*.json)")
        dialog.setDefaultSuffix(".json")  # so that it asks before it replaces the real file
        return dialog

    def written(self, what: Made, path: Path) -> str:
        """Say of which result it is."""
        return f'The workflow of "{what.layer}" is in {path}.'


def _write(what: Made, path: Path) -> Path:
    return what.workflow.save(path)
