"""Models that are read from files once, each in a thread: none waits for another one's disk."""

from __future__ import annotations

import atexit
import threading
import weakref
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from napari_ae_denoise._qt.worker import join_within

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_ae_denoise.denoiser import Denoiser

_LOOK = 0.02  # seconds between looks at the stop
_SECONDS_AT_EXIT = 3.0
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class OpenedModels:
    """Denoisers by name, those that were read and those that are being read; nothing is of Qt."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Denoiser] = {}
        self._to_come: dict[str, Future[Denoiser]] = {}

    def at_hand(self, name: str) -> Denoiser | None:
        """Return a denoiser that was read; None for any other."""
        return self._held.get(name)

    def reading(self, name: str, load: Callable[[], Denoiser]) -> Future[Denoiser]:
        """Return a denoiser to come, or its error; what is being read is not read twice."""
        with self._lock:
            if name in self._to_come:
                return self._to_come[name]
            here = self._held.get(name)
            if here is not None:
                return there(here)
            found: Future[Denoiser] = Future()
            self._to_come[name] = found
        thread = threading.Thread(
            target=self._read, args=(name, load, found), name="napari-ae-denoise model", daemon=True
        )
        _threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._end(name)
            found.set_exception(error)
        return found

    def _read(self, name: str, load: Callable[[], Denoiser], found: Future[Denoiser]) -> None:
        try:
            denoiser = load()
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            self._end(name)
            found.set_exception(error)
        else:
            self._held[name] = denoiser
            self._end(name)
            found.set_result(denoiser)

    def _end(self, name: str) -> None:
        with self._lock:
            del self._to_come[name]


def there(denoiser: Denoiser) -> Future[Denoiser]:
    """Return a denoiser that is at hand as one to come."""
    found: Future[Denoiser] = Future()
    found.set_result(denoiser)
    return found


def wait_for(
    found: Future[Denoiser], stop: threading.Event
) -> Generator[None, None, Denoiser | None]:
    """Wait for a denoiser, as a job does; None if it was stopped before.

    Raises
    ------
    DenoisingError
        If its file cannot be used (any more).
    """
    while not found.done():
        if stop.is_set():
            return None
        yield
        wait([found], timeout=_LOOK)
    return found.result()


@atexit.register
def _wait_at_exit() -> None:
    """Let files be read to their end before Python takes torch away from under them."""
    join_within(_SECONDS_AT_EXIT, [thread for thread in _threads if thread.is_alive()])
