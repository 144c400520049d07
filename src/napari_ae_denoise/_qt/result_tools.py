"""The buttons that act on a result: before and after, and a script that makes it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QHBoxLayout, QPushButton, QWidget

from napari_ae_denoise._qt.finished import record_of_layer
from napari_ae_denoise._qt.split_view import KEY as SPLIT_KEY
from napari_ae_denoise._qt.split_view import SplitView
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.provenance import as_script

if TYPE_CHECKING:
    from napari.viewer import ViewerModel

    from napari_ae_denoise._qt.finished import LastResult


class ResultTools(QWidget):
    """A row of buttons for the result that is selected, or was made last.

    Parameters
    ----------
    viewer : Viewer
        Where it is.
    last : LastResult
        Which result is meant.
    """

    said = Signal(str)
    failed = Signal(object)  # DenoisingError

    def __init__(self, viewer: ViewerModel, last: LastResult) -> None:
        super().__init__()
        self._last = last
        self.split = SplitView(viewer, last, self)
        self.split_button = QPushButton("&Before | after")
        self.split_button.setCheckable(True)
        self.split_button.setToolTip(
            "Show the original on the left of a line and the result on its right: drag the line "
            f"with the mouse. The key {SPLIT_KEY} over the image shows all of the original, and "
            "once more what was there."
        )
        self.split_button.clicked.connect(self.split.set_shown)
        self.split.shown.connect(self.split_button.setChecked)
        self.split.failed.connect(self.failed)
        self.copy_button = QPushButton("&Copy as Python")
        self.copy_button.setToolTip(
            "Put a Python script on the clipboard that makes the result again: the selected one, "
            "or the last."
        )
        self.copy_button.clicked.connect(self.copy)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.split_button)
        row.addWidget(self.copy_button)

    def copy(self) -> None:
        """Put the script on the clipboard."""
        layer = self._last.get(record_of_layer)
        try:
            if layer is None:
                raise DenoisingError(
                    "There is no result to make a script of.",
                    "Press Denoise, or select a layer that was made here.",
                )
            script = as_script(record_of_layer(layer) or {})
        except DenoisingError as error:
            self.failed.emit(error)
            return
        QApplication.clipboard().setText(script)
        self.said.emit(f'The script that makes "{layer.name}" again is on the clipboard.')
