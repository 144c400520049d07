"""The command ``denoise`` over many images: one after the other, or several at once."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import typer

from napari_ae_denoise._cli.jobs import denoise_file
from napari_ae_denoise._cli.terminal import (
    INTERRUPTED,
    Batch,
    bar,
    be_quiet,
    say,
    stop_on_interrupt,
    warnings_as_lines,
)
from napari_ae_denoise.batch import Outcome, Work, denoise_one, skipped
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.devices import cpu_count
from napari_ae_denoise.errors import DenoisingError, problem_of
from napari_ae_denoise.output_names import Outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PATIENCE = 10  # seconds for a cluster to answer
_LOOK = 0.05  # seconds between two looks at what a cluster has done
_DIED = (
    "The process that worked on it ended without a word; perhaps memory ran out. Give fewer --jobs."
)


def run_batch(
    denoiser: Denoiser,
    batch: Batch,
    outputs: Sequence[Outputs],
    work: Work,
    jobs: int,
    scheduler: str | None = None,
) -> list[Outcome]:
    """Denoise the images of a batch; one that fails is reported at once, and the rest goes on.

    Parameters
    ----------
    denoiser : Denoiser
        Of ``work.model``.
    batch : Batch
        The images; counts those that failed.
    outputs : sequence of Outputs
        Of each image.
    work : Work
        What to do with each.
    jobs : int
        How many at once, each in a process of its own.
    scheduler : str, optional
        Address of the scheduler of a dask cluster, whose workers do it instead.

    Returns
    -------
    list of Outcome
        In the order of the images.
    """
    pairs = list(zip(batch.paths, outputs, strict=True))
    done: Iterator[Outcome]
    if scheduler is not None:
        done = _on_cluster(denoiser, pairs, work, scheduler)
    elif jobs == 1 or len(pairs) == 1:
        done = (_one(denoiser, path, targets, work) for path, targets in pairs)
    else:
        done = _at_once(pairs, work, min(jobs, len(pairs)))
    found: dict[Path, Outcome] = {}
    for outcome in done:
        found[outcome.path] = outcome
        for note in outcome.notes:
            say(note)
        if outcome.problem:
            batch.fail(outcome.path, outcome.problem)
    return [found[path] for path in batch.paths]


def _one(denoiser: Denoiser, path: Path, targets: Outputs, work: Work) -> Outcome:
    """Denoise one image; what a user can do something about is an outcome."""
    left = skipped(path, targets, work)
    if left is not None:
        return left
    began, problem = time.monotonic(), ""
    try:
        denoise_file(denoiser, path, targets, work)
    except typer.Exit:  # Ctrl-C
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, the other images go on)
        problem = problem_of(error)
    return Outcome(path, targets, problem, time.monotonic() - began)


# ---- several at once

_loaded: list[Denoiser] = []  # of a process of its own: its model


def _begin(model: str, threads: int) -> None:
    """Make a process ready: it reads the model once, and leaves cores to the others."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    be_quiet()
    _loaded.append(Denoiser.load(model))


def _apart(path: Path, targets: Outputs, work: Work) -> Outcome:
    with warnings_as_lines():
        try:
            return _one(_loaded[0], path, targets, work)
        except typer.Exit:  # Ctrl-C came while it was written to disk
            return Outcome(path, targets, "Interrupted; the same command goes on with it.", 0.0)


def _at_once(pairs: Sequence[tuple[Path, Outputs]], work: Work, jobs: int) -> Iterator[Outcome]:
    """Go through the outcomes, as they come."""
    # spawn, everywhere: a process that is forked inherits torch's threads as they stand
    context = multiprocessing.get_context("spawn")
    threads = max(1, cpu_count() // jobs)
    pool = ProcessPoolExecutor(jobs, context, _begin, (work.model, threads))
    try:
        waiting: dict[Future[Outcome], tuple[Path, Outputs]] = {
            pool.submit(_apart, path, targets, work): (path, targets) for path, targets in pairs
        }
        with bar(len(pairs), "image") as shown:
            for future in as_completed(waiting):
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    outcome = Outcome(*waiting[future], _DIED, 0.0)
                shown.update()
                yield outcome
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    finally:
        pool.shutdown(cancel_futures=True)


# ---- on the workers of a cluster


def _on_cluster(
    denoiser: Denoiser, pairs: Sequence[tuple[Path, Outputs]], work: Work, address: str
) -> Iterator[Outcome]:
    """Go through the outcomes, as they come; workers read and write the files themselves."""
    try:
        from distributed import Client
        from distributed import as_completed as as_ended
    except ImportError as error:
        raise DenoisingError(
            "A dask cluster needs the package distributed, which is not installed.",
            'Install it: pip install "napari-ae-denoise[cluster]".',
        ) from error
    try:
        # not the process's default: dask would go on asking one that has never started
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise DenoisingError(
            f"No dask scheduler answers at {address} ({error}).",
            "Start one with `dask scheduler`, and give the address that it prints, such as "
            "tcp://10.0.0.1:8786.",
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise DenoisingError(
                f"The dask cluster at {address} has no workers.",
                f"Start some with `dask worker {address}`.",
            )
        model = client.scatter(denoiser, broadcast=True, hash=False)
        waiting: dict[Any, tuple[Path, Outputs]] = {}
        for path, targets in pairs:  # workers may stand in another folder
            there = Outputs(*(None if p is None else p.absolute() for p in targets))  # type: ignore[arg-type]
            future = client.submit(denoise_one, model, path.absolute(), there, work, pure=False)
            waiting[future] = path, targets
        ended = as_ended(list(waiting), loop=client.loop)
        # looked at, and not waited for: KeyboardInterrupt gets lost where it comes in a callback
        with (
            stop_on_interrupt(
                "Interrupted: what is finished stays, and the rest is cancelled."
            ) as stop,
            bar(len(pairs), "image") as shown,
        ):
            while not stop.is_set() and ended.count():
                for future in ended.next_batch(block=False):
                    yield _from_cluster(future, *waiting[future])
                    shown.update()
                stop.wait(_LOOK)
        if stop.is_set():
            client.cancel(list(waiting))
            raise typer.Exit(INTERRUPTED)


def _from_cluster(future: Any, path: Path, targets: Outputs) -> Outcome:
    """Return the outcome of an image; whatever a worker died of is one, too."""
    error = future.exception()
    if error is None:
        done: Outcome = future.result()
        return Outcome(path, targets, done.problem, done.seconds, done.notes, done.skipped)
    problem = f"A worker could not do it: {type(error).__name__}: {error}. See the worker's log."
    return Outcome(path, targets, problem, 0.0)
