"""One long job in a worker thread, told to the window in few and safe signals.

What superqt's workers do, and what is done about it here:

- A generator worker takes any ``RuntimeError`` for its own deletion: neither ``errored`` nor
  ``finished`` is emitted. torch raises ``RuntimeError`` for shapes, devices and memory. So no
  exception leaves the generator as what it was: it leaves as a `DenoisingError`.
- ``quit()`` withholds the result. So a job is stopped by an event of our own.
- Each yield is a signal to the window. So at most ten records a second are yielded, and the last.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

from qtpy.QtCore import QObject, Signal
from superqt.utils import create_worker

from napari_ae_denoise.errors import DenoisingError

_SECONDS_BETWEEN_RECORDS = 0.1
_log = logging.getLogger(__name__)

Steps = Generator[Any, None, Any]
MakeSteps = Callable[[threading.Event], Steps]


class JobState(enum.Enum):
    """What a job is doing; `CANCELLING` lasts until the running step or tile is through."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"


class Job(QObject):
    """Runs one generator at a time in a worker thread.

    All signals arrive in the thread of the window. Each start ends in exactly one of ``done`` and
    ``failed``, and the job is idle before either is emitted.
    """

    state_changed = Signal(object)  # JobState
    progressed = Signal(object)  # what the generator yields
    done = Signal(object)  # what it returns, also after a stop
    failed = Signal(object)  # DenoisingError
    warned = Signal(str)  # each text once a run

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = JobState.IDLE
        self._stop = threading.Event()
        self._worker: Any = None
        self._warnings: set[str] = set()

    def start(self, make_steps: MakeSteps) -> None:
        """Run the generator that ``make_steps`` makes of a stop event.

        Raises
        ------
        DenoisingError
            If a job is running.
        """
        if self.state is not JobState.IDLE:
            raise DenoisingError(
                "This panel is still at work.", "Wait for it to end, or press Stop first."
            )
        self._stop = threading.Event()
        self._warnings = set()
        worker = create_worker(_driven, make_steps, self._stop, _ignore_errors=True)
        worker.yielded.connect(self._on_record)
        worker.returned.connect(self._on_result)
        worker.errored.connect(self._on_error)
        worker.warned.connect(self._on_warning)
        self._worker = worker
        self._become(JobState.RUNNING)
        worker.start()

    def cancel(self) -> None:
        """Ask the job to stop after the running step or tile; it still returns its result."""
        if self.state is JobState.RUNNING:
            self._stop.set()
            self._become(JobState.CANCELLING)

    def abandon(self) -> None:
        """Stop, and let go of the result: nobody will be there to show it."""
        self._stop.set()
        self._worker = None

    def _become(self, state: JobState) -> None:
        self.state = state
        self.state_changed.emit(state)

    def _on_record(self, record: object) -> None:
        if self._worker is not None:
            self.progressed.emit(record)

    def _on_result(self, result: object) -> None:
        if self._worker is not None:
            self._worker = None
            self._become(JobState.IDLE)
            self.done.emit(result)

    def _on_error(self, error: Exception) -> None:
        if self._worker is not None:
            self._worker = None
            self._become(JobState.IDLE)
            self.failed.emit(error)

    def _on_warning(self, details: tuple[Any, ...]) -> None:
        text = str(details[0])
        if self._worker is not None and text not in self._warnings:
            self._warnings.add(text)
            self.warned.emit(text)


def _driven(make_steps: MakeSteps, stop: threading.Event) -> Steps:
    """Drive a job: fewer records, and only exceptions that arrive."""
    try:
        steps = make_steps(stop)
        held, told = None, 0.0
        while True:
            try:
                held = next(steps)
            except StopIteration as end:
                if held is not None:
                    yield held
                return end.value
            if time.monotonic() - told >= _SECONDS_BETWEEN_RECORDS:
                yield held
                held, told = None, time.monotonic()
    except DenoisingError:
        raise
    except Exception as error:
        _log.exception("a job failed")
        raise DenoisingError(
            f"Something went wrong that was not foreseen ({type(error).__name__}: {error}).",
            "Try smaller patches or tiles or another device; if it happens again, please report "
            "it with the text in the terminal.",
        ) from error
