"""Reading, computing and writing at the same time, with a bounded amount in between."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator

Job = TypeVar("Job")
Read = TypeVar("Read")
Made = TypeVar("Made")
Told = TypeVar("Told")


def overlapped(
    jobs: Iterator[Job],
    read: Callable[[Job], Read],
    compute: Callable[[Job, Read], Made],
    write: Callable[[Job, Made], Told],
    *,
    stop: threading.Event | None = None,
    ahead: int = 1,
) -> Generator[Told, None, None]:
    """Read the next job and write the last one while this one is computed.

    Parameters
    ----------
    jobs : iterator
        Asked for one more job each time one is begun, and for no more than ``ahead`` in advance.
    read, compute, write : callable
        ``write(job, compute(job, read(job)))``. All reads happen in one thread and all writes in
        another, in the order of the jobs; computing happens in the thread of the caller.
    stop : threading.Event, optional
        Once set, no further job is computed; what is computed is written.
    ahead : int
        How many jobs may wait between two stages.

    Yields
    ------
    object
        What ``write`` returned, in the order of the jobs.

    Notes
    -----
    The first error ends the work and is raised here. Jobs that were computed before it are still
    written, so nothing that was finished is lost.
    """
    reading: deque[tuple[Job, Future[Read]]] = deque()
    writing: deque[Future[Told]] = deque()
    readers = ThreadPoolExecutor(1, "napari-ae-denoise reads")
    writers = ThreadPoolExecutor(1, "napari-ae-denoise writes")

    def read_ahead() -> None:
        while len(reading) < ahead:
            for job in jobs:
                reading.append((job, readers.submit(read, job)))
                break
            else:
                return

    def finished(most: int) -> Iterator[Told]:
        while writing and (len(writing) > most or writing[0].done()):
            yield writing.popleft().result()

    try:
        read_ahead()
        while reading and not (stop is not None and stop.is_set()):
            job, window = reading.popleft()
            value = window.result()
            read_ahead()
            made = compute(job, value)
            del value, window  # or a tile more would be in memory
            yield from finished(ahead)
            writing.append(writers.submit(write, job, made))
            del made
        yield from finished(0)
    finally:
        for _, window in reading:
            window.cancel()
        pools: tuple[Any, ...] = (readers, writers)
        for pool in pools:
            pool.shutdown(wait=True)
