"""Numbers that nothing can be trained with; refused as the settings are made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import PRESETS
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.objectives import Objective
from napari_ae_denoise.plain_numbers import as_given, is_number, is_whole

if TYPE_CHECKING:
    from napari_ae_denoise.settings import TrainSettings

_LENGTHS = ("steps", "epochs", "minutes")
_ABOVE_ZERO = (*_LENGTHS, "batch_size", "learning_rate", "clip_norm", "noise_sigma")
_WHOLE = ("steps", "batch_size", "seed")
_LARGEST_SEED = 2**64 - 1  # of torch
_FRACTIONS = (("validation", 0.5), ("average", 0.99999), ("warm_up", 0.5))


def check_parts(settings: TrainSettings) -> None:
    """Refuse settings that are not of the kind of thing they should be.

    Raises
    ------
    DenoisingError
        With the name, the value, and what to give.
    """
    preset = settings.preset
    if isinstance(preset, str) and preset not in PRESETS:
        raise DenoisingError(
            f'There is no preset "{preset}".', f"Choose one of {', '.join(PRESETS)}."
        )
    wanted = {
        "preset": (str | NetworkSpec, f"a NetworkSpec, or one of {', '.join(PRESETS)}"),
        "network_changes": (Mapping, 'a dict such as {"code_channels": 8}, or leave it out'),
        "objective": (Objective, 'an Objective, such as Objective("mse")'),
        "normalization": (Normalization | None, 'a Normalization, such as Normalization("fixed")'),
    }
    for name, (kind, example) in wanted.items():
        if not isinstance(getattr(settings, name), kind):
            raise _refusal(settings, name, f"Give {example}.")


def check_numbers(settings: TrainSettings) -> None:
    """Refuse numbers of settings that cannot be trained with.

    Raises
    ------
    DenoisingError
        With the name, the value, and what to give.
    """
    given = {name: getattr(settings, name) for name in _LENGTHS}
    if sum(value is not None for value in given.values()) > 1:
        told = ", ".join(f"{name}={value}" for name, value in given.items())
        raise DenoisingError(f"The training has several lengths: {told}.", "Give one of them.")
    for name in _ABOVE_ZERO:
        value = getattr(settings, name)
        if value is not None and not (is_number(value) and math.isfinite(value) and value > 0):
            raise _refusal(settings, name, "Give a number above 0.")
    for name in _WHOLE:
        value = getattr(settings, name)
        if value is not None and not (is_whole(value) and value >= 0):
            raise _refusal(settings, name, "Give a whole number that is not negative.")
    if settings.seed > _LARGEST_SEED:
        raise _refusal(settings, "seed", f"Give a whole number of at most {_LARGEST_SEED}.")
    decay = settings.weight_decay
    if not (is_number(decay) and math.isfinite(decay) and decay >= 0):
        raise _refusal(settings, "weight_decay", "Give 0 for none, or a number above 0.")
    if decay > 0 and settings.optimizer == "adam":  # torch's would go through Adam's scaling
        raise DenoisingError(
            f"The optimizer adam has no decoupled weight decay, and weight_decay is {decay}.",
            "Choose adamw or muon, or leave weight_decay out.",
        )
    sizes = settings.patch_sizes
    if not sizes or not all(is_whole(size) and size > 0 for size in sizes):
        raise DenoisingError(
            f"There are no patches of {as_given(settings.patch_size)} pixels.",
            "Give a side, a whole number above 0, or several.",
        )
    for name, limit in _FRACTIONS:
        value = getattr(settings, name)
        if not (is_number(value) and 0 <= value <= limit):
            raise _refusal(settings, name, f"Give a fraction from 0 to {limit}.")


def _refusal(settings: TrainSettings, name: str, remedy: str) -> DenoisingError:
    value = as_given(getattr(settings, name))
    return DenoisingError(f"The training cannot run with {name} = {value}.", remedy)
