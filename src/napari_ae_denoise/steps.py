"""Long work as a generator of records, run to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Record = TypeVar("Record")
Result = TypeVar("Result")


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
