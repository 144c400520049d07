"""What a training will take, worked out beside the form while nothing else runs."""

from __future__ import annotations

import html
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer

from napari_ae_denoise._qt.forms import duration, note
from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job, JobState
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.quiet_imports import load_for_training
from napari_ae_denoise.training_data import TrainingData
from napari_ae_denoise.training_estimate import estimate_training, estimate_unmeasured

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator

    from napari_ae_denoise._qt.train_job import TrainChoices
    from napari_ae_denoise.network_spec import NetworkSpec
    from napari_ae_denoise.settings import TrainSettings
    from napari_ae_denoise.training import Progress
    from napari_ae_denoise.training_estimate import TrainingEstimate

_STAND_IN = 256  # pixels along a side
_WAITING = "Working out time and memory …"
_QUIET = 500  # milliseconds without a change of the form, before anything is worked out


class Forecast(QObject):
    """A line of text that follows the form; the work is done in a thread of its own.

    Parameters
    ----------
    parent : QObject
        Whose life it shares.
    read : callable
        Returns what the form says.
    """

    def __init__(self, parent: QObject, read: Callable[[], TrainChoices]) -> None:
        super().__init__(parent)
        self._read = read
        self.label = note()
        self.label.setTextFormat(Qt.TextFormat.RichText)
        self._rates: dict[Any, float] = {}  # seconds a step of what was trained or measured
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_QUIET)
        self._timer.timeout.connect(self._start)
        self._job = Job(self)
        self._job.done.connect(self._show)
        self._job.failed.connect(self._show_problem)
        self._asked: Any = None
        self._held = False  # while a training runs
        when_gone(parent, self._job.abandon)

    def ask(self) -> None:
        """Work it out anew, once the form has been quiet for a while, and no training runs."""
        self._job.cancel()
        if self._held:
            self.label.clear()
            return
        self._timer.start()
        if not self.label.text():
            self.label.setText(_WAITING)

    def hold(self) -> None:
        """Leave the processor to the training that begins."""
        if self._timer.isActive() or self.label.text() == _WAITING:  # of an earlier form, or none
            self.label.clear()
        self._held = True
        self._timer.stop()
        self._job.cancel()

    def resume(self) -> None:
        """Work it out now, if a training began before it was known, or the form has changed."""
        self._held = False
        if not self.label.text():
            self.ask()

    def learn(self, choices: TrainChoices, progress: Progress) -> None:
        """Remember how long the steps of a training took."""
        self._rates[_key(choices)] = progress.elapsed / progress.step

    def _start(self) -> None:
        if self._job.state is not JobState.IDLE:
            self._timer.start()
            return
        try:
            choices = self._read()
        except DenoisingError as error:
            self._show_problem(error)
            return
        self._asked = _key(choices)
        self._job.start(partial(_steps, choices, self._rates.get(self._asked)))

    def _show(self, estimate: TrainingEstimate | None) -> None:
        if estimate is None or self._timer.isActive():
            return
        if math.isfinite(estimate.seconds_a_step):
            self._rates[self._asked] = estimate.seconds_a_step
        self.label.setText(in_words(estimate))

    def _show_problem(self, error: DenoisingError) -> None:
        self.label.setText(html.escape(str(error)))


def in_words(estimate: TrainingEstimate) -> str:
    """Return what a training will take."""
    memory, free = (_size(amount) for amount in (estimate.memory, estimate.free))
    if estimate.memory > estimate.free:
        return (
            f"<b>Needs about {memory} of memory, and {free} are free.</b> Choose smaller patches, "
            "fewer a step, or a smaller network."
        )
    needs = f"about {memory} of memory ({free} free)"
    if not math.isfinite(estimate.seconds):
        return f"Needs {needs}; how long it takes shows when it runs."
    if estimate.steps is None:
        return f"Takes {duration(estimate.seconds)} and {needs}."
    one = estimate.seconds_a_step
    each = f"{one:.2g} s" if one >= 0.1 else f"{1000 * one:.2g} ms"
    told = f"{estimate.steps:,} steps of {each}"
    return f"Takes about {duration(estimate.seconds)} ({told}) and {needs}."


def _steps(
    choices: TrainChoices, known: float | None, stop: threading.Event
) -> Generator[None, None, TrainingEstimate | None]:
    """Work it out; None if it was stopped."""
    yield
    load_for_training()
    settings, start = choices.settings, choices.start
    by_steps = settings.minutes is None and settings.epochs is None
    if choices.from_files:  # they are not read for this: how many they are is not known
        spec = start.card.network if start else settings.network_for((28, 28), 1)
        if not by_steps:
            return estimate_unmeasured(spec, settings)
        data = _stand_in(spec, settings)
    else:
        data = choices.data()
    measure = settings.minutes is None and not (known and by_steps)
    estimate = estimate_training(data, settings, start=start, measure=measure, stop=stop)
    if known and by_steps:
        steps = settings.steps_in_all(1) or 0
        estimate = replace(estimate, seconds=steps * known, seconds_a_step=known, steps=steps)
    return None if stop.is_set() else estimate


def _stand_in(spec: NetworkSpec, settings: TrainSettings) -> TrainingData:
    """Return an image with nothing in it but noise: a step takes as long on it as on any other."""
    rng = np.random.default_rng(0)
    height, width = spec.image_size or (_STAND_IN, _STAND_IN)
    image = rng.random((height, width, spec.channels), np.float32)
    image *= 10 * max(1.0, *settings.sigma_range)  # that is not hidden by the noise
    return TrainingData(clean=image, axes="YXC")


def _key(choices: TrainChoices) -> Any:
    """Return what decides how long a step takes."""
    s = choices.settings
    network = choices.start.card.network if choices.start else (s.preset, str(s.network_changes))
    sampled = s.batch_size, s.patch_sizes, s.noise, s.scheme
    return network, str(s.objective), sampled, s.optimizer, s.device


def _size(amount: int) -> str:
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"
