"""Which model to propose for an image, when nobody has chosen one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ae_denoise.glance import Glance

COLOURS, MICROSCOPY, GRAY = "natural-rgb", "microscopy", "natural-gray"
_EIGHT_BIT = 255


@dataclass(frozen=True, slots=True)
class Proposal:
    """A model for an image.

    Parameters
    ----------
    name : str
        Of a bundled model.
    reason : str
        What of the image speaks for it.
    """

    name: str
    reason: str


def propose(glance: Glance, names: Sequence[str], *, calibrated: bool = False) -> Proposal | None:
    """Return the bundled model that fits an image.

    Parameters
    ----------
    glance : Glance
        What is known of the image.
    names : sequence of str
        The bundled models that there are.
    calibrated : bool
        Whether the image has a pixel size in a unit of length, as microscopes write it.

    Returns
    -------
    Proposal or None
        None if no bundled model is there.

    Notes
    -----
    Colours go to the model for colours. Noise that grows with the light, grey values of more than
    8 bits, and pixels with a size are signs of a camera on a microscope. What is left is taken for
    a gray photograph. Where the model that fits is missing, the first one there is stands in.
    """
    wanted = _fitting(glance, calibrated)
    if wanted.name in names:
        return wanted
    return Proposal(names[0], f"{wanted.name} is not there") if names else None


def _fitting(glance: Glance, calibrated: bool) -> Proposal:
    if glance.photograph:
        return Proposal(COLOURS, "the image has colours")
    if glance.camera is not None:
        return Proposal(MICROSCOPY, "its noise grows with the light")
    kind = np.dtype(glance.dtype)
    if (kind.kind in "ui" and kind.itemsize > 1) or glance.largest > _EIGHT_BIT:
        return Proposal(MICROSCOPY, "its grey values have more than 8 bits")
    if calibrated:
        return Proposal(MICROSCOPY, "its pixels have a size")
    return Proposal(GRAY, "it is gray, of 8 bits, and its noise is the same everywhere")
