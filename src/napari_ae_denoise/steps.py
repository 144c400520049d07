"""Long work as a generator of records, run to its end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Record = TypeVar("Record")
Result = TypeVar("Result")


class Stopped(Exception):
    """The stop was set before what was asked for was there, and nothing of it is."""


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


def warned(result: Result) -> Result:
    """Warn of what people should know about a result, as its ``note`` says, and return it."""
    note: Any = getattr(result, "note", "")
    if note:
        warnings.warn(note, stacklevel=3)
    return result
