"""The model of the command ``denoise``, where none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise._cli.terminal import say
from napari_ae_denoise.bundled import bundled_names
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.glance import glance_steps
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.proposal import propose
from napari_ae_denoise.steps import drain
from napari_ae_denoise.units import CENTIMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_OF_PRINT = ("inch", "centimeter")  # what photographs say of their pixels


def fitting_model(paths: Sequence[Path], axes: str | None, level: int) -> str:
    """Return the bundled model that fits the first image that can be read, and say so.

    Parameters
    ----------
    paths : sequence of Path
        The images.
    axes : str or None
        One letter per axis of theirs.
    level : int
        Of OME-Zarr images.

    Raises
    ------
    DenoisingError
        If no image can be read; says why of the first.
    """
    failed: DenoisingError | None = None
    for path in paths:
        try:
            image = read_image(path, level)
            seen = drain(glance_steps(image.array, axes or image.axes))
        except DenoisingError as error:
            failed = failed or error
            continue
        measured = bool(image.spacing) and image.unit in CENTIMETERS and image.unit not in _OF_PRINT
        found = None if seen is None else propose(seen, bundled_names(), calibrated=measured)
        if found is not None:
            say(f"note: {path.name}: {found.reason}, so {found.name} is taken; -m names another.")
            return found.name
    raise failed or DenoisingError("No model comes with this package.", "Name one: -m FILE.")
