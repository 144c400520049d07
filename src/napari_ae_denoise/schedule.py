"""The learning rate over a training: warm-up, then down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ae_denoise.settings import TrainSettings

_LAST_RATE = 0.01  # of the learning rate
_FALL = 0.25  # of the training, at the end of a trapezoid


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
    highest = settings.highest_rate(fine_tuning=fine_tuning)
    return highest * warm_up * (_LAST_RATE + (1 - _LAST_RATE) * left)
