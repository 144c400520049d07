"""Many images, one after the other: one that fails is an outcome, and the rest goes on."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError, problem_of
from napari_ae_denoise.file_jobs import Work, file_job

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from napari_ae_denoise.output_names import Outputs

__all__ = ["BatchProgress", "Outcome", "Work", "batch_steps", "denoise_one"]

STOPPED = "Stopped before it was finished."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image.

    Parameters
    ----------
    path : Path
        The image.
    targets : Outputs
        Where its results are, if nothing went wrong.
    problem : str
        Cause and remedy in a line; empty if nothing went wrong.
    seconds : float
        What it took.
    notes : tuple of str
        What people should know of the image.
    """

    path: Path
    targets: Outputs
    problem: str
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Where a batch stands.

    Parameters
    ----------
    done, total, failed : int
        Images.
    path : Path
        The image that is worked on.
    part : float
        How much of it is made, 0 to 1.
    outcome : Outcome or None
        Of an image, once it has ended.
    """

    done: int
    total: int
    failed: int
    path: Path
    part: float = 0.0
    outcome: Outcome | None = None

    @property
    def fraction(self) -> float:
        """How much of the whole batch is done, 0 to 1."""
        return (self.done + self.part) / self.total


def batch_steps(
    paths: Sequence[Path],
    outputs: Sequence[Outputs],
    work: Work,
    *,
    denoiser: Denoiser | None = None,
    stop: threading.Event | None = None,
) -> Generator[BatchProgress, None, list[Outcome]]:
    """Denoise images, file by file.

    Parameters
    ----------
    paths : sequence of Path
        The images.
    outputs : sequence of Outputs
        Where the results of each go; see `output_names.resolve_outputs`.
    work : Work
        What to do with each.
    denoiser : Denoiser, optional
        Of ``work.model``; opened by that name if not given.
    stop : threading.Event, optional
        Looked at after each tile; images that are finished stay.

    Yields
    ------
    BatchProgress
        As an image begins, after its tiles, and when it has ended.

    Returns
    -------
    list of Outcome
        Of each image that was begun, in their order.
    """
    stop = threading.Event() if stop is None else stop
    model = Denoiser.load(work.model) if denoiser is None else denoiser
    outcomes: list[Outcome] = []
    failed = 0
    for path, targets in zip(paths, outputs, strict=True):
        if stop.is_set():
            break
        begun = BatchProgress(len(outcomes), len(paths), failed, path)
        yield begun
        outcome = yield from _one_steps(model, targets, work, stop, begun)
        outcomes.append(outcome)
        failed += bool(outcome.problem)
        yield BatchProgress(len(outcomes), len(paths), failed, path, outcome=outcome)
    return outcomes


def _one_steps(
    denoiser: Denoiser, targets: Outputs, work: Work, stop: threading.Event, begun: BatchProgress
) -> Generator[BatchProgress, None, Outcome]:
    """Denoise one image; what a user can do something about is an outcome."""
    began, problem, notes = time.monotonic(), "", list[str]()
    try:
        job = file_job(denoiser, begun.path, targets, work)
        steps = job.steps(stop, say=notes.append, writing=lambda _: stoppable(stop))
        while True:
            try:
                tile = next(steps)
            except StopIteration as end:
                problem = "" if end.value else STOPPED
                break
            done, total, failed = begun.done, begun.total, begun.failed
            yield BatchProgress(done, total, failed, begun.path, tile.done / max(tile.total, 1))
    except _Stopped:
        problem = STOPPED
    except (DenoisingError, MemoryError, OSError) as error:
        problem = problem_of(error)
    return Outcome(begun.path, targets, problem, time.monotonic() - began, tuple(notes))


def denoise_one(denoiser: Denoiser, path: Path, targets: Outputs, work: Work) -> Outcome:
    """Denoise one image of a batch, where nobody watches; as for a worker of a cluster."""
    steps = batch_steps([path], [targets], work, denoiser=denoiser)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value[0]  # type: ignore[no-any-return]


class _Stopped(Exception):
    """Somebody asked to stop while dask computed."""


@contextlib.contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """Let an event end what dask computes inside, between two of its tasks."""
    from dask.callbacks import Callback

    def look(*_task: Any) -> None:
        if stop.is_set():
            raise _Stopped

    with Callback(pretask=look):
        yield
