"""The training loop: plain, seeded, stoppable; a generator that ends with a denoiser."""

from __future__ import annotations

import itertools
import logging
import math
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.devices import give_memory_back, memory_given_back, spare_a_core
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.schedule import learning_rate
from napari_ae_denoise.seeding import seeded
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.steps import Stopped, drain, stopping
from napari_ae_denoise.training_progress import Look, Progress
from napari_ae_denoise.training_run import TrainingRun

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator
    from pathlib import Path

    from napari_ae_denoise.training_data import TrainingData

_log = logging.getLogger(__name__)

__all__ = ["Look", "Progress", "TrainSettings", "train", "training_steps"]


def train(
    data: TrainingData,
    settings: TrainSettings | None = None,
    *,
    start: Denoiser | None = None,
    stop: threading.Event | None = None,
    checkpoint: str | Path | None = None,
) -> Denoiser:
    """Train a denoiser; `training_steps`, drained. Nothing is shown meanwhile.

    Parameters
    ----------
    data, settings, start, stop, checkpoint
        See `training_steps`.

    Returns
    -------
    Denoiser
        With the weights that did best on the held-out data.

    Raises
    ------
    DenoisingError
        Where `training_steps` does.
    """
    return drain(training_steps(data, settings, start=start, stop=stop, checkpoint=checkpoint))


def training_steps(
    data: TrainingData,
    settings: TrainSettings | None = None,
    *,
    start: Denoiser | None = None,
    stop: threading.Event | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_minutes: float = 5.0,
    watch: bool = False,
) -> Generator[Progress, None, Denoiser]:
    """Train a denoiser, step by step.

    Parameters
    ----------
    data : TrainingData
        What to train on.
    settings : TrainSettings, optional
        How.
    start : Denoiser, optional
        Go on from its weights (fine-tuning) instead of from random ones; its network replaces
        the preset.
    stop : threading.Event, optional
        Once set, the training ends after the running step, with the best weights so far.
    checkpoint : path-like, optional
        File that the state of the training is kept in. If it is there, the training goes on
        where that state stands.
    checkpoint_minutes : float
        How often it is written.
    watch : bool
        Whether the records show what the network makes of a part of the data, anew every two
        seconds or, if that takes long, more rarely; see `Look`.

    Yields
    ------
    Progress
        After each step.

    Returns
    -------
    Denoiser
        With the weights that did best on the held-out data.

    Raises
    ------
    DenoisingError
        If data, settings and network do not fit, the checkpoint cannot be written, or the very
        first step fails. Whatever fails later ends the training with the best weights so far, and
        a note in the last record and in the card.
    """
    settings = settings or TrainSettings()
    try:
        with stopping(stop):
            run = TrainingRun(data, settings, start, checkpoint)
    except Stopped:
        give_memory_back()
        return _unbegun(data, settings, start)
    note = ""
    if checkpoint and run.state.step and run.fraction >= 1:
        note = (
            f"Nothing was trained: the state in {checkpoint} has its {run.state.step} steps. Give "
            "a longer training, or another checkpoint."
        )
    if checkpoint:
        run.state.save(checkpoint)  # refused now, if at all, and not after hours
    saved = time.monotonic()
    watched = run.watch() if watch else None
    with memory_given_back(), spare_a_core():
        if start is not None:
            run.rate_start(start)
        for step in itertools.count(run.state.step):
            if run.fraction >= 1 or (stop is not None and stop.is_set()):
                break
            rate = learning_rate(run.fraction, settings, fine_tuning=start is not None)
            loss = math.nan
            try:
                loss = run.step(step, rate)
                if math.isfinite(loss) and run.at_end_of_epoch:
                    run.validate()
            except Exception as error:
                if run.state.step == 0:
                    raise
                _log.exception("a training failed after step %d", run.state.step)
                note = f"Stopped after step {run.state.step}: {error}"
            else:
                if not math.isfinite(loss):
                    note = f"Stopped before step {step + 1}: the loss or its gradient was {loss}."
                    if run.state.step == 0:
                        raise DenoisingError(
                            f"The training cannot begin: the first loss is {loss}.",
                            "Check the images for extreme values, or lower the learning rate.",
                        )
            if checkpoint and time.monotonic() - saved > 60 * checkpoint_minutes:
                _save_if_possible(run, checkpoint)
                saved = time.monotonic()
            record = run.progress(loss, rate, note)
            if watched is not None:
                record = replace(record, look=watched.after_step(run.state.step))
            yield record
            if note:
                break
        if note or not run.at_end_of_epoch:
            run.rate_last_steps()
        if checkpoint:
            _save_if_possible(run, checkpoint)
    return run.denoiser(note)


def _unbegun(data: TrainingData, settings: TrainSettings, start: Denoiser | None) -> Denoiser:
    """Return what a training leaves that was stopped while its images were looked at."""
    if start is None:
        spec = settings.network_spec(data)
        with seeded(settings.seed):
            start = Denoiser(ConvAutoencoder(spec), Card(network=spec, name=settings.name))
    training = {**start.card.training, "steps_done": 0}
    return Denoiser(start.network, replace(start.card, training=training))


def _save_if_possible(run: TrainingRun, checkpoint: str | Path) -> None:
    """Write the state; a full disk must not cost the training itself."""
    try:
        run.state.save(checkpoint)
    except DenoisingError as error:
        warnings.warn(f"The training goes on, but {error}", stacklevel=2)
