"""The command ``denoise`` over many images: one after the other, or several at once."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from napari_ae_denoise._cli.jobs import denoise_file
from napari_ae_denoise._cli.terminal import (
    INTERRUPTED,
    Batch,
    bar,
    be_quiet,
    problem_of,
    warnings_as_lines,
)
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.devices import cpu_count
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_ae_denoise._cli.jobs import Outputs
    from napari_ae_denoise.tile_runner import PredictSettings

_DIED = (
    "The process that worked on it ended without a word; perhaps memory ran out. Give fewer --jobs."
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is done to each image of a batch.

    Parameters
    ----------
    model : str
        Name of a bundled model, or a model file.
    axes : str or None
        Of the images.
    settings : PredictSettings
        How to run.
    level : int
        Of OME-Zarr images.
    overwrite : bool
        Whether results may be replaced.
    """

    model: str
    axes: str | None
    settings: PredictSettings
    level: int
    overwrite: bool


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
    """

    path: Path
    targets: Outputs
    problem: str
    seconds: float


def run_batch(
    denoiser: Denoiser, batch: Batch, outputs: Sequence[Outputs], work: Work, jobs: int
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

    Returns
    -------
    list of Outcome
        In the order of the images.
    """
    pairs = list(zip(batch.paths, outputs, strict=True))
    if jobs == 1 or len(pairs) == 1:
        done: Iterator[Outcome] = (_one(denoiser, path, targets, work) for path, targets in pairs)
    else:
        done = _at_once(pairs, work, min(jobs, len(pairs)))
    found: dict[Path, Outcome] = {}
    for outcome in done:
        found[outcome.path] = outcome
        if outcome.problem:
            batch.fail(outcome.path, outcome.problem)
    return [found[path] for path in batch.paths]


def _one(denoiser: Denoiser, path: Path, targets: Outputs, work: Work) -> Outcome:
    """Denoise one image; what a user can do something about is an outcome."""
    began, problem = time.monotonic(), ""
    try:
        denoise_file(
            denoiser, path, targets, work.axes, work.settings, work.level, overwrite=work.overwrite
        )
    except (DenoisingError, MemoryError, OSError) as error:
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
