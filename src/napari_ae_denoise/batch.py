"""Many images, one after the other: one that fails is an outcome, and the rest goes on."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.already_there import all_there
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import problem_of
from napari_ae_denoise.file_jobs import Work, file_job
from napari_ae_denoise.steps import Stopped, WhileUsed, drain, mapped

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from napari_ae_denoise.output_names import Outputs

__all__ = ["CANCELLED", "BatchProgress", "Outcome", "Work", "batch_steps", "denoise_one", "skipped"]

_log = logging.getLogger(__name__)
CANCELLED = "Cancelled before it was finished."


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
    skipped : bool
        Whether its results were there already.
    """

    path: Path
    targets: Outputs
    problem: str
    seconds: float
    notes: tuple[str, ...] = ()
    skipped: bool = False


def skipped(path: Path, targets: Outputs, work: Work) -> Outcome | None:
    """Return the outcome of an image that is left alone, for its results are there; else None."""
    if not (work.skip and all_there(targets)):
        return None
    note = f"{path.name}: skipped, {targets.denoised.name} is there already."
    return Outcome(path, targets, "", 0.0, (note,), skipped=True)


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
        How much of it is made, 0 to 1; the sum over all that are worked on, if several are.
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
    at_once: int = 1,
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
    at_once : int
        Images that are worked on at the same time, each in a thread of its own.

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
    pairs = list(zip(paths, outputs, strict=True))
    if min(at_once, len(pairs)) > 1:
        return (yield from _several_steps(model, pairs, work, stop, at_once))
    outcomes: list[Outcome] = []
    for path, targets in pairs:
        if stop.is_set():
            break
        failed = sum(bool(one.problem) for one in outcomes)
        begun = BatchProgress(len(outcomes), len(pairs), failed, path)
        yield begun
        steps = _one_steps(model, path, targets, work, stop)
        outcome = yield from mapped(steps, partial(_at, begun))
        outcomes.append(outcome)
        failed += bool(outcome.problem)
        yield BatchProgress(len(outcomes), len(pairs), failed, path, outcome=outcome)
    return outcomes


def _several_steps(
    model: Denoiser,
    pairs: Sequence[tuple[Path, Outputs]],
    work: Work,
    stop: threading.Event,
    at_once: int,
) -> Generator[BatchProgress, None, list[Outcome]]:
    """Denoise several images at the same time: threads say how far they are."""
    said: queue.SimpleQueue[tuple[int, float | Outcome | BaseException | None]]
    said = queue.SimpleQueue()

    def drive(number: int) -> None:
        """Say the parts of one image and its outcome; None for one that was not begun."""
        try:
            if stop.is_set():
                said.put((number, None))
                return
            steps = _one_steps(model, *pairs[number], work, stop)
            said.put((number, drain(steps, lambda part: said.put((number, part)))))
        except BaseException as error:  # noqa: BLE001 (raised where the outcomes are awaited)
            said.put((number, error))

    outcomes: dict[int, Outcome] = {}
    parts: dict[int, float] = {}
    failed = ended = 0
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="napari-ae-denoise image")
    try:
        for number in range(len(pairs)):
            pool.submit(drive, number)
        while ended < len(pairs):
            number, what = said.get()
            if isinstance(what, BaseException):
                raise what
            if isinstance(what, float):
                parts[number], outcome = what, None
            else:
                ended, outcome = ended + 1, what
                parts.pop(number, None)
            if outcome is not None:
                outcomes[number] = outcome
                failed += bool(outcome.problem)
            part, path = sum(parts.values()), pairs[number][0]
            yield BatchProgress(len(outcomes), len(pairs), failed, path, part, outcome)
    except BaseException:
        stop.set()  # what others have begun is of no use now
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return [outcomes[number] for number in sorted(outcomes)]


def _one_steps(
    denoiser: Denoiser, path: Path, targets: Outputs, work: Work, stop: threading.Event | None
) -> Generator[float, None, Outcome]:
    """Yield how much of an image is done; what a user can do something about is an outcome."""
    left = skipped(path, targets, work)
    if left is not None:
        return left
    began, problem, notes = time.monotonic(), "", list[str]()
    try:
        job = file_job(denoiser, path, targets, work)
        steps = job.steps(stop, say=notes.append, writing=lambda _: stoppable(stop))
        finished = yield from mapped(steps, lambda tile: tile.done / max(tile.total, 1))
        problem = "" if finished else CANCELLED
    except Stopped:
        problem = CANCELLED
    except Exception as error:  # noqa: BLE001 (whatever it is, the other images go on)
        _log.info("%s failed", path, exc_info=True)
        problem = problem_of(error)
    return Outcome(path, targets, problem, time.monotonic() - began, tuple(notes))


def denoise_one(denoiser: Denoiser, path: Path, targets: Outputs, work: Work) -> Outcome:
    """Denoise one image of a batch, where nobody watches or stops it: on a worker of a cluster.

    Its thread computes what is lazy itself. Given to the cluster, those tasks would wait for the
    places that images hold which wait for them.
    """
    with _in_own_thread:
        return drain(_one_steps(denoiser, path, targets, work, None))


def _at(begun: BatchProgress, part: float) -> BatchProgress:
    return replace(begun, part=part)


def _computing_alone() -> contextlib.AbstractContextManager[Any]:
    import dask

    return dask.config.set(scheduler="synchronous")


_in_own_thread = WhileUsed(_computing_alone)  # dask's settings belong to the whole process
_writing = threading.Lock()  # and so do its callbacks


@contextlib.contextmanager
def stoppable(stop: threading.Event | None) -> Iterator[None]:
    """Let an event end what dask computes inside, between two of its tasks, by `Stopped`.

    Other threads, such as that of a window, may compute with dask meanwhile and are handed the
    callback too, or hold it longer: it does nothing there.
    """
    if stop is None:
        yield
        return
    from dask.callbacks import Callback

    mine, inside = threading.get_ident(), True

    def look(*_task: Any) -> None:
        if inside and stop.is_set() and threading.get_ident() == mine:
            raise Stopped

    with _writing, Callback(pretask=look):
        try:
            yield
        finally:
            inside = False
