"""Long work as a generator of records, run to its end."""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

Record = TypeVar("Record")
Changed = TypeVar("Changed")
Result = TypeVar("Result")


_asked = threading.local()  # .stop: the event that ends what this thread does


class Stopped(Exception):
    """The stop was set before what was asked for was there, and nothing of it is."""


@contextlib.contextmanager
def stopping(stop: threading.Event | None) -> Iterator[None]:
    """Let `look_for_stop` raise `Stopped` in this thread, once an event is set.

    For what looks often and is deep inside: layers of a network, images of a long list.
    """
    before = getattr(_asked, "stop", None)
    _asked.stop = stop
    try:
        yield
    finally:
        _asked.stop = before


def look_for_stop() -> None:
    """Raise `Stopped` if what this thread does is to end; see `stopping`."""
    stop = getattr(_asked, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped


def drain(
    steps: Generator[Record, None, Result], on_record: Callable[[Record], None] | None = None
) -> Result:
    """Run a generator to its end.

    Parameters
    ----------
    steps : generator
        The work: it yields records of its progress, and returns its result.
    on_record : callable, optional
        Called with each record.

    Returns
    -------
    object
        What the generator returns.
    """
    while True:
        try:
            record = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if on_record is not None:
            on_record(record)


def mapped(
    steps: Generator[Record, None, Result], change: Callable[[Record], Changed]
) -> Generator[Changed, None, Result]:
    """Run a generator with its records changed; it returns what that one does."""
    while True:
        try:
            record = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        yield change(record)


class WhileUsed:
    """A context that several threads are in at a time: the first enters it, the last leaves it.

    For what belongs to the whole process. If each thread put back what it had found, the order in
    which they end would decide what stays.

    Parameters
    ----------
    make : callable
        Returns the context.
    """

    def __init__(self, make: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
        self._make, self._lock, self._users = make, threading.Lock(), 0
        self._made: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._made = self._make()
                self._made.__enter__()
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._made.__exit__(None, None, None)


def warned(result: Result) -> Result:
    """Warn of what people should know about a result, as its ``note`` says, and return it."""
    note: Any = getattr(result, "note", "")
    if note:
        warnings.warn(note, stacklevel=3)
    return result
