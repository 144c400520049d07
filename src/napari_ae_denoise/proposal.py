"""Which model to propose for an image, when nobody has chosen one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ae_denoise.glance import Glance

COLOURS, MICROSCOPY, GRAY = "natural-rgb", "microscopy", "natural-gray"
_ABOVE_EIGHT_BIT = 320.0  # noise lifts white beyond 255
_STEADY = 0.9
_SPREAD, _STRONG = 2.3, 0.1  # photographs without noise have the first, and not the second
_DARK = 0.15


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
    Colours go to the model for colours. Micrographs are known by grey values of more than 8 bits,
    by pixels with a size, by noise that grows steadily with the light (texture grows by leaps),
    by noise that spans several pixels, and by a dark background. What is left is taken for a gray
    photograph, whose model is also the better one for micrographs with nothing but Gaussian noise.

    ``benchmarks/proposals.py`` told, on middles of 256 x 256 pixels: of 171 photographs with
    Gaussian noise of sigma 15, 30 and 50 95, 97 and 97 % are taken for photographs (all of
    Set12), at sigma 5 92 %, without noise 88 %; of 57 real noisy micrographs 95 % for
    micrographs (all of the Fluorescence Microscopy Denoising ones), and of 104 clean ones with
    the noise of cameras 98 %. A photograph that is taken for a micrograph costs about 1 dB, the
    contrary up to 7. The spread of the noise was then measured by wavelets; by
    `NoiseCorrelation` 754 of 760 decisions on other images are the same, and of the six others
    four are right now and two were right before.

    Where the model that fits is missing, the first one there is stands in.
    """
    wanted = _fitting(glance, calibrated)
    if wanted.name in names:
        return wanted
    return Proposal(names[0], f"{wanted.name} is not there") if names else None


def _fitting(glance: Glance, calibrated: bool) -> Proposal:
    if glance.photograph:
        return Proposal(COLOURS, "the image has colours")
    kind, signs = np.dtype(glance.dtype), glance.signs
    if (kind.kind in "ui" and kind.itemsize > 1) or signs.bright > _ABOVE_EIGHT_BIT:
        return Proposal(MICROSCOPY, "its grey values have more than 8 bits")
    if calibrated:
        return Proposal(MICROSCOPY, "its pixels have a size")
    if glance.camera is not None and signs.steady >= _STEADY:
        return Proposal(MICROSCOPY, "its noise grows with the light")
    if signs.spread >= _SPREAD and signs.spread * signs.noise >= _STRONG:
        return Proposal(MICROSCOPY, "its noise spans several pixels")
    if signs.middle < _DARK:
        return Proposal(MICROSCOPY, "most of it is dark")
    bits = ", of 8 bits," if kind == np.uint8 else ""
    if glance.sigma[1] == 0 or glance.small:
        return Proposal(GRAY, f"it is gray{bits}".rstrip(","))
    leaps = "grows with the light by leaps, as texture does"
    noise = "is the same everywhere" if glance.camera is None else leaps
    return Proposal(GRAY, f"it is gray{bits} and its noise {noise}")
