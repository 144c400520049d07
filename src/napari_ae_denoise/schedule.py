"""The learning rate over a training: warm-up, then down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ae_denoise.settings import TrainSettings

_LAST_RATE = 0.01  # of the learning rate
_FALL = 0.25  # of the training, at the end of a trapezoid
_RATE, _FINE_TUNING_RATE = 2e-3, 5e-4
_PLAIN_RATE = 6e-3


def learning_rate(fraction: float, settings: TrainSettings, *, fine_tuning: bool = False) -> float:
    """Return the learning rate at a fraction (0 to 1) of the training."""
    length = settings.warm_up
    warm_up = min(1.0, (fraction + length / 10) / length) if length else 1.0
    if settings.schedule == "constant":
        left = 1.0
    elif settings.schedule == "trapezoid":
        left = min(1.0, (1 - min(fraction, 1.0)) / _FALL)
    else:
        left = 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))
    highest = highest_rate(settings, fine_tuning=fine_tuning)
    return highest * warm_up * (_LAST_RATE + (1 - _LAST_RATE) * left)


def highest_rate(settings: TrainSettings, *, fine_tuning: bool = False) -> float:
    """Return the learning rate after the warm-up.

    The one that is given; else 2e-3, but 5e-4 from a start (fine-tuning), for what is learned
    already is not to be shaken, and 6e-3 for plain networks that follow Muon: their image passes a
    sigmoid, which makes gradients small. With penalties it is 2e-3 there too, at which their usual
    weights were measured.
    """
    if settings.learning_rate:
        return settings.learning_rate
    if fine_tuning:
        return _FINE_TUNING_RATE
    bare = not settings.objective.penalties
    plain = settings.style == "plain" and settings.optimizer == "muon"
    return _PLAIN_RATE if plain and bare else _RATE
