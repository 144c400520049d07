"""The buttons that open, save and export models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_ae_denoise._qt.model_saving import Chosen, ExportButton, SaveModelButton
from napari_ae_denoise._qt.preferences import memory
from napari_ae_denoise._qt.shelf import keep_used
from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job, JobState

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator

    from napari_ae_denoise._qt.shelf import Shelf
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.session_memory import SessionMemory

_OPENED = "Models (*.safetensors *.h5 *.keras *.zip)"


class ModelFiles(QWidget):
    """Opens models onto a shelf, and saves or exports one of them.

    Parameters
    ----------
    chosen : callable
        Returns the denoiser to save and its name, or raises a `DenoisingError`.
    shelf : Shelf
        Where opened models go; it remembers the files of saved ones too.
    opens : bool
        Whether there is a button that opens.
    """

    opened = Signal(str)  # the name on the shelf of the model that was asked for last
    said = Signal(str)
    failed = Signal(object)  # DenoisingError

    def __init__(self, chosen: Callable[[], Chosen], shelf: Shelf, *, opens: bool = True) -> None:
        super().__init__()
        self._shelf = shelf
        self.open_button = QPushButton("&Open model …")
        self.open_button.setToolTip(
            "Open a .safetensors model file, a Keras .h5 or .keras, or a bioimage.io .zip. Nothing "
            "in it is run."
        )
        self.open_button.clicked.connect(self.ask_for_model)
        self._jobs: dict[Path, Job] = {}  # so that no file waits for one that does not answer
        self._asked: Path | None = None
        when_gone(self, partial(_abandon, self._jobs))
        self.save_button = SaveModelButton(chosen, shelf)
        self.export_button = ExportButton(chosen)
        for button in (self.save_button, self.export_button):
            button.said.connect(self.said)
            button.failed.connect(self.failed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.open_button)
        row.addWidget(self.save_button)
        row.addWidget(self.export_button)
        if not opens:
            self.open_button.hide()

    @property
    def opening(self) -> bool:
        """Whether a file is being read."""
        return any(job.state is not JobState.IDLE for job in self._jobs.values())

    def ask_for_model(self) -> None:
        """Ask for a model file and open it."""
        path, _ = QFileDialog.getOpenFileName(self, "Open model", "", f"{_OPENED};;All files (*)")
        if path:
            self.open(path)

    def open(self, path: str | Path) -> None:
        """Open a model file in a thread; if that fails, what is on the shelf stays."""
        self._asked = path = Path(path)
        before = self._jobs.get(path)
        if before is not None and before.state is not JobState.IDLE:
            return  # pressed twice
        if before is not None:
            before.deleteLater()
        self._jobs[path] = job = Job(self, awaited=True)
        job.done.connect(self._take)
        job.failed.connect(self.failed)
        job.start(partial(_opening, path, memory()))
        if job.state is not JobState.IDLE:  # for want of a thread
            self.said.emit(f"Opening {path} …")

    def _take(self, opened: tuple[Denoiser, Path, Path]) -> None:
        denoiser, path, file = opened
        asked = path == self._asked  # and no other one since
        name = self._shelf.take_opened(denoiser, file, asked=asked)
        if asked:
            self.opened.emit(name)
        self.said.emit(f'Opened "{name}".')


def _abandon(jobs: dict[Path, Job]) -> None:
    for job in jobs.values():
        job.abandon()


def _opening(
    path: Path, kept: SessionMemory | None, _stop: threading.Event
) -> Generator[None, None, tuple[Denoiser, Path, Path]]:
    from napari_ae_denoise.denoiser import Denoiser

    yield
    denoiser, file = Denoiser.load(path).renamed(path.stem), path.resolve()
    keep_used(kept, denoiser, file, denoiser.card.name)
    return denoiser, path, file
