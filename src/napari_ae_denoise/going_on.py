"""How a training goes on for longer than it was begun for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ae_denoise.settings import TrainSettings


def longer(settings: TrainSettings, done: Mapping[str, Any]) -> TrainSettings:
    """Return settings whose length counts from the end of an earlier training.

    Parameters
    ----------
    settings : TrainSettings
        Its length is how much longer to train: steps, epochs or minutes.
    done : mapping
        The earlier training, as the card of its model has it (``card.training``).

    Returns
    -------
    TrainSettings
        For `training_steps`, with the checkpoint that the earlier training has left. The learning
        rate is then that of a training of the whole length, at this point of it.
    """
    if settings.minutes is not None:
        return replace(settings, minutes=settings.minutes + done["seconds"] / 60)
    if settings.epochs is not None:
        return replace(settings, epochs=settings.epochs + done["epochs_done"])
    return replace(settings, steps=done["steps_done"] + (settings.steps_in_all(1) or 0))
