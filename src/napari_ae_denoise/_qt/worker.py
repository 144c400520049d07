"""One long job in a thread of its own, told to the window in few and safe signals.

Why not superqt's workers, which napari offers:

- A generator worker takes any ``RuntimeError`` for its own deletion: neither ``errored`` nor
  ``finished`` is emitted. torch raises ``RuntimeError`` for shapes, devices and memory.
- ``quit()`` withholds the result.
- Each runs under ``warnings.catch_warnings``, which belongs to the whole process: when two workers
  overlap, the filters of the first stay for good, and napari shows no warning any more.
- They share a pool of as many threads as cores: on two cores a third job would wait in silence.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_ae_denoise import report
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.job_state import JobMachine, JobState
from napari_ae_denoise.quiet_imports import old_objects_apart

__all__ = ["Job", "JobState", "in_words"]

_SECONDS_BETWEEN_RECORDS = 0.1  # each is an event of the window; more would flood it
_SECONDS_AT_EXIT = 3.0
_SECONDS_FOR_A_FILE = 600.0  # a disk on a network may never answer
_NICER = 5  # than the window: a third of a core that both want
_log = logging.getLogger(__name__)

Steps = Generator[Any, None, Any]
MakeSteps = Callable[[threading.Event], Steps]


class _Messages(QObject):
    """What the thread says; Qt brings it to the thread of the window."""

    record = Signal(object)
    result = Signal(object)
    error = Signal(object)


class Job(QObject):
    """Runs one generator at a time in a thread.

    All signals arrive in the thread of the window. Each start ends in exactly one of ``done`` and
    ``failed``, and the job is idle before either is emitted: `_end` is the one place that every
    end goes through, and puts the panel back.

    Parameters
    ----------
    parent : QObject, optional
        Whose life it shares.
    stop_button : str
        What the button says that stops it; empty if there is none.
    finishes : bool
        Whether what has begun is brought to its end, even when panel and window go: as a file is.
    awaited : bool
        Whether a panel that is taken out of its window lives on until it ends, which is said.
    """

    state_changed = Signal(object)  # JobState
    progressed = Signal(object)  # what the generator yields
    done = Signal(object)  # what it returns, also after a stop
    failed = Signal(object)  # DenoisingError

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        stop_button: str = "",
        finishes: bool = False,
        awaited: bool = False,
    ) -> None:
        super().__init__(parent)
        self._stop_button, self._finishes, self.awaited = stop_button, finishes, awaited
        self._machine = JobMachine()
        self._stop = threading.Event()
        self._messages: _Messages | None = None

    @property
    def state(self) -> JobState:
        """What it is doing."""
        return self._machine.state

    @property
    def ended(self) -> JobState | None:
        """How the last job ended; None before the first."""
        return self._machine.ended

    def start(self, make_steps: MakeSteps) -> None:
        """Run the generator that ``make_steps`` makes of a stop event.

        Raises
        ------
        DenoisingError
            If a job is running.
        """
        if self.state is not JobState.IDLE:
            press = f", or press {self._stop_button} first" if self._stop_button else ""
            raise DenoisingError("This panel is still at work.", f"Wait for it to end{press}.")
        self._stop = threading.Event()
        self._messages = messages = _Messages()
        messages.record.connect(self._on_record)
        messages.result.connect(self._on_result)
        messages.error.connect(self._on_error)
        self._become(JobState.RUNNING)
        thread = threading.Thread(
            target=_drive, args=(make_steps, self._stop, messages), name=THREAD_NAME, daemon=True
        )
        _forget_the_dead()
        _running[thread] = None if self._finishes else self._stop, messages
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            del _running[thread]
            self._on_error(in_words(error))

    def cancel(self) -> None:
        """Ask the job to stop after the running step or tile; it still returns its result."""
        if self.state is JobState.RUNNING:
            self._stop.set()
            self._become(JobState.CANCELLING)

    def abandon(self) -> None:
        """Stop, and let go of the result: nobody will be there to show it."""
        if not self._finishes:
            self._stop.set()
        self._messages = None

    def _become(self, state: JobState) -> None:
        self._machine.go(state)
        self.state_changed.emit(state)

    def _end(self, how: JobState) -> bool:
        """Go to how a job ended, and be idle again; False where nobody listens any more."""
        if self._messages is None:
            return False
        self._messages = None
        self._become(how)
        self._become(JobState.IDLE)
        return True

    def _on_record(self, record: object) -> None:
        if self._messages is not None:
            self.progressed.emit(record)

    def _on_result(self, result: object) -> None:
        cancelled = self.state is JobState.CANCELLING
        if self._end(JobState.CANCELLED if cancelled else JobState.DONE):
            self.done.emit(result)

    def _on_error(self, error: DenoisingError) -> None:
        if self._end(JobState.FAILED):
            self.failed.emit(error)


THREAD_NAME = "napari-ae-denoise job"
# Holds what threads speak through, and lets go of it in the thread of the window only: a QObject
# that dies in another thread, with messages on their way, takes the program with it.
# With each what stops it, or None for one that is brought to its end.
_running: dict[threading.Thread, tuple[threading.Event | None, _Messages]] = {}


def _forget_the_dead() -> None:
    for thread in [thread for thread in _running if not thread.is_alive()]:
        del _running[thread]


def _drive(make_steps: MakeSteps, stop: threading.Event, messages: _Messages) -> None:
    """Drive a generator to its end; say few records, always the last, and every error."""
    try:
        with old_objects_apart():
            result = _result(make_steps(stop), messages)
    except DenoisingError as error:
        messages.error.emit(error)
    except BaseException as error:  # noqa: BLE001 (logged, and said in the window; Rust's panics too)
        _log.exception("a job failed")
        report.log(error)
        messages.error.emit(in_words(error))
    else:
        messages.result.emit(result)


def _result(steps: Steps, messages: _Messages) -> Any:
    """Return what a generator returns; say few of its records, always the last; None is none."""
    held, told, first = None, 0.0, True
    while True:
        try:
            held = next(steps)
        except StopIteration as end:
            if held is not None:
                messages.record.emit(held)
            return end.value
        if first:  # what others share, such as zarr's threads, is begun by now
            first = False
            _step_back()
        if held is not None and time.monotonic() - told >= _SECONDS_BETWEEN_RECORDS:
            messages.record.emit(held)
            held, told = None, time.monotonic()


def _step_back() -> None:
    """Let this thread wait for the window where both need a core, and those that it begins, too.

    Only Linux gives a thread a niceness of its own, and nobody may take it back: so it is for a
    thread that ends with its job.
    """
    if sys.platform == "linux":
        me = threading.get_native_id()
        with contextlib.suppress(OSError):
            own = os.getpriority(os.PRIO_PROCESS, me)
            os.setpriority(os.PRIO_PROCESS, me, min(own + _NICER, 19))


def in_words(error: BaseException) -> DenoisingError:
    """Return an error that was not foreseen as one for people; its cause is the error itself."""
    remedy = f"If it happens again, please report it; the details are in {report.log_path()}."
    cause = f"Something went wrong that was not foreseen ({type(error).__name__}: {error})."
    if isinstance(error, OSError):
        cause = f"A file or disk could not be read or written ({error})."
        remedy = "Check that it is there, readable and not full."
    elif isinstance(error, RuntimeError):
        remedy = f"Try smaller patches or tiles, or another device. {remedy}"
    made = DenoisingError(cause, remedy)
    made.__cause__ = error
    return made


def join_within(seconds: float, threads: Iterable[threading.Thread]) -> None:
    """Wait for threads to end, for so long in all."""
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


@atexit.register
def _stop_all() -> None:
    """Let running threads end before Python takes torch away from under them.

    A file that is being written is waited for longer: it was asked for, and would be lost.
    """
    for stop, _ in _running.values():
        if stop is not None:
            stop.set()
    began = time.monotonic()
    for thread, (stop, _) in _running.items():
        patience = _SECONDS_AT_EXIT if stop is not None else _SECONDS_FOR_A_FILE
        thread.join(max(0.0, began + patience - time.monotonic()))
