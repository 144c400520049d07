"""The buttons that act on a result: look at it, save it, compare it, and make it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_ae_denoise._qt.compare_widget import CompareWidget
from napari_ae_denoise._qt.opening import show_panel
from napari_ae_denoise._qt.result_saving import SaveResultButton
from napari_ae_denoise._qt.split_view import KEY as SPLIT_KEY
from napari_ae_denoise._qt.split_view import SplitView
from napari_ae_denoise._qt.workflow_saving import SaveWorkflowButton
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.provenance import as_script

if TYPE_CHECKING:
    from napari.viewer import ViewerModel

    from napari_ae_denoise._qt.finished import LastResult


class ResultTools(QWidget):
    """Buttons for the result that is selected, or was made last.

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
        self._viewer, self._last = viewer, last
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
        self.workflow_button = SaveWorkflowButton(last)
        self.save_button = SaveResultButton(last)
        for button in (self.workflow_button, self.save_button):
            button.said.connect(self.said)
            button.failed.connect(self.failed)
        self.compare_button = QPushButton("Co&mpare …")
        self.compare_button.setToolTip(
            "Open the panel Compare with the result and its image: PSNR and SSIM against a clean "
            "image, beside classical methods."
        )
        self.compare_button.clicked.connect(self.compare)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(_row(self.split_button, self.save_button, self.compare_button))
        column.addLayout(_row(self.copy_button, self.workflow_button))

    def compare(self) -> None:
        """Open the panel that compares, with the result and its image chosen."""
        try:
            layer, _ = self._last.result("a comparison")
        except DenoisingError as error:
            self.failed.emit(error)
            return
        panel = show_panel(self._viewer, CompareWidget, "Compare")
        panel.offer(layer)

    def copy(self) -> None:
        """Put the script on the clipboard."""
        try:
            layer, record = self._last.result("a script")
            script = as_script(record)
        except DenoisingError as error:
            self.failed.emit(error)
            return
        QApplication.clipboard().setText(script)
        self.said.emit(f'The script that makes "{layer.name}" again is on the clipboard.')


def _row(*buttons: QPushButton) -> QHBoxLayout:
    row = QHBoxLayout()
    for button in buttons:
        row.addWidget(button)
    return row
