"""A button that writes a file in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton

from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job, JobState, MakeSteps
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class WritingButton(QPushButton):
    """A button with a job; it cannot be pressed while that writes.

    Parameters
    ----------
    text, tooltip : str
        What it is called, and what it does.
    begins, has : str
        What is said at the start and at the end, with the path after it.
    """

    said = Signal(str)
    failed = Signal(object)  # DenoisingError

    def __init__(self, text: str, tooltip: str, *, begins: str, has: str) -> None:
        super().__init__(text)
        self._begins, self._has = begins, has
        self.setToolTip(tooltip)
        self.job = Job(self, finishes=True)
        self.job.state_changed.connect(self._show_state)
        when_gone(self, self.job.abandon)
        self.job.done.connect(self._show_end)
        self.job.failed.connect(self.failed)

    def start(self, prepare: Callable[[], MakeSteps], path: str | Path) -> None:
        """Start what ``prepare`` returns, whose result is the path that was written."""
        try:
            self.job.start(prepare())
        except DenoisingError as error:
            self.failed.emit(error)
        else:
            self.said.emit(f"{self._begins} {path} …")

    def _show_end(self, path: Path) -> None:
        self.said.emit(f"{self._has} {path}.")

    def _show_state(self, state: JobState) -> None:
        self.setEnabled(state is JobState.IDLE)
