"""A button that asks for a file and writes it in a thread: a disk may be slow to answer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job, JobState
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator


_saved_in: list[Path] = []  # where a file was saved last in this session


def placed(name: str) -> str:
    """Return a file's name in a folder: its own, or that of the last file, or the user's.

    By itself Qt takes the folder that napari was started in: of an icon, that of the system.
    """
    if Path(name).parent != Path():
        return name
    return str((_saved_in[-1] if _saved_in else Path.home()) / name)


def ask_where(dialog: QFileDialog) -> str:
    """Let a dialog ask for a file to write; empty if it is not to be."""
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    chosen = dialog.selectedFiles()[0] if dialog.exec() else ""
    dialog.deleteLater()
    if chosen:
        _saved_in[:] = [Path(chosen).parent]
    return chosen


class WritingButton(QPushButton):
    """A button with a job; it cannot be pressed while that writes.

    A subclass says what is written, and makes the dialog that asks where.

    Parameters
    ----------
    text, tooltip : str
        What it is called, and what it does.
    write : callable
        Writes what ``chosen`` returned to a path, in a thread, and returns the path that was
        really written. It holds nothing of Qt.
    begins, has : str
        What is said at the start and at the end, with the path after it.
    """

    said = Signal(str)
    failed = Signal(object)  # DenoisingError

    def __init__(
        self,
        text: str,
        tooltip: str,
        *,
        write: Callable[[Any, Path], Path],
        begins: str = "Saving",
        has: str = "Saved",
    ) -> None:
        super().__init__(text)
        self._write, self._begins, self._has = write, begins, has
        self.setToolTip(tooltip)
        self.clicked.connect(self.ask)
        self.job = Job(self, finishes=True, awaited=True)
        self.job.state_changed.connect(self._show_state)
        when_gone(self, self.job.abandon)
        self.job.done.connect(self._show_end)
        self.job.failed.connect(self.failed)

    # ---- what a subclass says

    chosen: Callable[[], Any]  # what is to be written: what is meant now; or a `DenoisingError`
    dialog: Callable[[Any], QFileDialog]  # that asks where, with a name and an ending for it

    def written(self, what: Any, path: Path) -> str:
        """Return what is said once it is written."""
        return f"{self._has} {path}."

    # ---- what they share

    def ask(self) -> None:
        """Ask for a file, and write what was meant before: meanwhile something else may be."""
        try:
            what = self.chosen()
        except DenoisingError as error:
            self.failed.emit(error)
            return
        path = ask_where(self.dialog(what))
        if path:
            self.save(path, what)

    def save(self, path: str | Path, what: Any = None) -> None:
        """Write to a file; by default what is meant now."""
        try:
            what = self.chosen() if what is None else what
            self.job.start(partial(_steps, self._write, what, Path(path)))
        except DenoisingError as error:
            self.failed.emit(error)
        else:
            if self.job.state is not JobState.IDLE:  # for want of a thread
                self.said.emit(f"{self._begins} {path} …")

    def _show_end(self, end: tuple[Any, Path]) -> None:
        self.said.emit(self.written(*end))

    def _show_state(self, state: JobState) -> None:
        self.setEnabled(state is JobState.IDLE)


def _steps(
    write: Callable[[Any, Path], Path], what: Any, path: Path, _stop: threading.Event
) -> Generator[None, None, tuple[Any, Path]]:
    yield
    return what, write(what, path)
