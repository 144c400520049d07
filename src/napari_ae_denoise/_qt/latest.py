"""Answers the latest question alone, in a thread: late answers are dropped, none queue up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job, JobState

if TYPE_CHECKING:
    from napari_ae_denoise._qt.worker import MakeSteps


class Latest(QObject):
    """Runs one generator at a time; a new one stops it and takes its place.

    Parameters
    ----------
    parent : QObject
        Whose life it shares; with it goes what is running.
    """

    answered = Signal(object)  # what the generator of the latest question returns
    failed = Signal(object)  # DenoisingError

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job = Job(self)
        self._next: MakeSteps | None = None
        self._wanted = False
        self._job.done.connect(self._on_done)
        self._job.failed.connect(self._on_failed)
        when_gone(self, self._job.abandon)

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way."""
        return self._wanted

    def ask(self, make_steps: MakeSteps) -> None:
        """Answer this question, and no other one any more."""
        self._wanted = True
        if self._job.state is JobState.IDLE:
            self._job.start(make_steps)
        else:
            self._next = make_steps
            self._job.cancel()

    def drop(self) -> None:
        """Let the last question be."""
        self._wanted, self._next = False, None
        self._job.cancel()

    def _went_on(self) -> bool:
        """Start the question that waits; return whether the answer that came is still wanted."""
        following, self._next = self._next, None
        if following is not None:
            self._job.start(following)
            return True
        return not self._wanted

    def _on_done(self, answer: object) -> None:
        if not self._went_on():
            self._wanted = False
            self.answered.emit(answer)

    def _on_failed(self, error: object) -> None:
        if not self._went_on():
            self._wanted = False
            self.failed.emit(error)
