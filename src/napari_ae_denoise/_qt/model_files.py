"""The buttons that open, save and export models."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_ae_denoise._qt.model_export import ExportButton
from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job, JobState
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.model_file import SUFFIX

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator

    from napari_ae_denoise._qt.shelf import Shelf
    from napari_ae_denoise.denoiser import Denoiser

_MODELS = "Models (*.safetensors)"
_OPENED = "Models (*.safetensors *.h5 *.keras *.zip)"


class ModelFiles(QWidget):
    """Opens models onto a shelf, and saves or exports one of them.

    Parameters
    ----------
    chosen : callable
        Returns the denoiser to save and a name for its file, or raises a `DenoisingError`.
    shelf : Shelf
        Where opened models go; it remembers the files of saved ones too.
    opens : bool
        Whether there is a button that opens.
    """

    opened = Signal(str)  # the name that a model of a file has on the shelf
    said = Signal(str)
    failed = Signal(object)  # DenoisingError

    def __init__(
        self, chosen: Callable[[], tuple[Denoiser, str]], shelf: Shelf, *, opens: bool = True
    ) -> None:
        super().__init__()
        self._chosen, self._shelf = chosen, shelf
        self.open_button = QPushButton("&Open model …")
        self.open_button.setToolTip(
            "Open a .safetensors model file, a Keras .h5 or .keras, or a bioimage.io .zip. Nothing "
            "in it is run."
        )
        self.open_button.clicked.connect(self.ask_for_model)
        self.job = Job(self)
        self.job.state_changed.connect(self._show_state)
        self.job.done.connect(self._take)
        self.job.failed.connect(self.failed)
        when_gone(self, self.job.abandon)
        self.save_button = QPushButton("&Save model …")
        self.save_button.setToolTip("Save the model as a .safetensors file.")
        self.save_button.clicked.connect(self.ask_where_to_save)
        self.export_button = ExportButton(chosen, file_name)
        self.export_button.said.connect(self.said)
        self.export_button.failed.connect(self.failed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.open_button)
        row.addWidget(self.save_button)
        row.addWidget(self.export_button)
        if not opens:
            self.open_button.hide()

    def ask_for_model(self) -> None:
        """Ask for a model file and open it."""
        path, _ = QFileDialog.getOpenFileName(self, "Open model", "", f"{_OPENED};;All files (*)")
        if path:
            self.open(path)

    def open(self, path: str | Path) -> None:
        """Open a model file in a thread; if that fails, what is on the shelf stays."""
        path = Path(path)
        try:
            self.job.start(partial(_opening, path))
        except DenoisingError as error:
            self.failed.emit(error)
        else:
            if self.job.state is not JobState.IDLE:  # for want of a thread
                self.said.emit(f"Opening {path} …")

    def _take(self, opened: tuple[Denoiser, Path]) -> None:
        name = self._shelf.take_opened(*opened)
        self.opened.emit(name)
        self.said.emit(f'Opened "{name}".')

    def _show_state(self, state: JobState) -> None:
        self.open_button.setEnabled(state is JobState.IDLE)

    def ask_where_to_save(self) -> None:
        """Ask for a file and save the model."""
        try:
            chosen = self._chosen()
        except DenoisingError as error:
            self.failed.emit(error)
            return
        dialog = QFileDialog(self, "Save model", file_name(chosen[1]), _MODELS)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX)  # so that it asks before it replaces the real file
        if dialog.exec():  # meanwhile another one may have been trained
            self.save(dialog.selectedFiles()[0], chosen)
        dialog.deleteLater()

    def save(self, path: str | Path, chosen: tuple[Denoiser, str] | None = None) -> None:
        """Save a model of the shelf, and its name there; by default the one that is chosen now."""
        try:
            denoiser, name = chosen or self._chosen()
            written = denoiser.save(path)
        except DenoisingError as error:
            self.failed.emit(error)
        else:
            self._shelf.in_file(name, written)
            self.said.emit(f"Saved {written}.")


def file_name(name: str, ending: str = SUFFIX) -> str:
    """Return a model's name as one that every system takes for a file."""
    return (re.sub(r"[^\w.+ -]+", "_", name).strip(" .") or "model") + ending


def _opening(path: Path, _stop: threading.Event) -> Generator[None, None, tuple[Denoiser, Path]]:
    from napari_ae_denoise.denoiser import Denoiser

    yield
    return Denoiser.load(path).renamed(path.stem), path.resolve()
