"""What the channels of a noisy image have in common in their noise, measured, and drawn again.

Colours share noise where a camera's matrix mixed them, where a denoiser left gray grain, and all
of it where an image has no colour. JPEG keeps colour at half the resolution: then the noise of
light is independent from pixel to pixel, and that of colour spans several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.noise_level import details_of_channels, sigma_from
from napari_ae_denoise.photograph_noise import TO_LIGHT_AND_COLOUR, TO_RGB, enlarged, means, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

_HALF = (2, 2)  # pixels of light that share one of colour
# Pixels over which coarse colour is measured: decoders smooth it over fewer
_FAR, _FARTHER = (4, 4), (8, 8)
_ALIKE = 0.8  # correlation of the finest details where there is only light in them
# From the one to the other the variance of structure grows, of ten images 1.5 to 6 times; at less
# than twice a part of it is taken for noise
_GROWS = 2.0
_MOST = 0.6  # variance of colour's coarse noise in that of light, which JPEG leaves a fifth of
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ChannelNoise:
    """How the noise of channels that are seen together comes of independent noises.

    Parameters
    ----------
    sigmas : ndarray
        (channels,) The standard deviations, in grey values.
    mixture : ndarray
        (channels, channels), whose product with itself transposed is the correlation of the
        finest details.
    colour : ndarray or None
        (2, 2): such a matrix of the two differences of colour, on a grid of half the resolution,
        where they are coarser than the light; in units of ``sigmas``' mean. None where they are
        not.
    """

    sigmas: npt.NDArray[np.float64]
    mixture: Floats
    colour: Floats | None = None

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        """Draw such noise, (channels, Y, X), in the sigma of each channel."""
        if self.colour is None:
            return mixed(self.mixture, rng.standard_normal(shape, dtype=np.float32))
        height, width = shape[-2:]
        light = rng.standard_normal((1, height, width), dtype=np.float32)
        half = (2, height // 2 + 2, width // 2 + 2)
        colours = mixed(self.colour, rng.standard_normal(half, dtype=np.float32))
        top, left = rng.integers(0, 2, 2)  # the grid begins anywhere
        coarse = enlarged(colours, _HALF)[:, top : top + height, left : left + width]
        return mixed(TO_RGB, np.concatenate([light, coarse]))


def channel_noise(windows: Sequence[npt.NDArray[Any]], *, rgb: bool) -> ChannelNoise:
    """Measure what the channels of an image have in common in their noise.

    Colour that is coarser along X alone (4:2:2) is taken for one that is along both axes.

    Parameters
    ----------
    windows : sequence of ndarray
        (channels, Y, X) each, as `read_sample` gives them.
    rgb : bool
        Whether the channels are red, green and blue.
    """
    details = details_of_channels(windows)
    sigmas = np.array([_sigma(channel) for channel in details])
    alike = np.eye(len(sigmas))
    for one, other in combinations(np.flatnonzero(sigmas), 2):
        found = _shared(details[one] / sigmas[one], details[other] / sigmas[other])
        alike[one, other] = alike[other, one] = np.clip(found, -1, 1)
    mixture = _root(alike)
    mixture /= np.linalg.norm(mixture, axis=1, keepdims=True)
    if rgb and alike.min() > _ALIKE:
        return ChannelNoise(sigmas, mixture, _coarse(windows, float(sigmas.mean())))
    return ChannelNoise(sigmas, mixture)


def _coarse(windows: Sequence[npt.NDArray[Any]], sigma: float) -> Floats | None:
    """Return `ChannelNoise.colour`; None where what there is of colour is structure, or nothing.

    What is seen over two distances is a sum of noise and structure: the one falls from the nearer
    to the farther, the other grows.
    """
    colours = [mixed(TO_LIGHT_AND_COLOUR[1:], (w / sigma).astype(np.float32)) for w in windows]
    far, farther = _over_far(colours)
    unit_far, unit_farther = _of_unit_noise()
    colour = (_GROWS * far - farther) / (_GROWS * unit_far - unit_farther)
    return _root(colour) if 0 < colour.trace() / 2 <= _MOST else None


def _over_far(colours: Sequence[Floats]) -> list[npt.NDArray[np.float64]]:
    """Return the covariance of two colours over both distances."""
    return [_covariance([means(_whole(c, far), far) for c in colours]) for far in (_FAR, _FARTHER)]


def _covariance(windows: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the covariance of the finest details of two channels."""
    first, second = details_of_channels(windows)
    shared = _shared(first, second)
    return np.array([[_sigma(first) ** 2, shared], [shared, _sigma(second) ** 2]])


def _shared(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Return the covariance of details; edges hardly move it."""
    return (_sigma(first + second) ** 2 - _sigma(first - second) ** 2) / 4


def _sigma(details: npt.NDArray[np.float64]) -> float:
    return sigma_from(details[np.isfinite(details)])


def _root(covariance: npt.NDArray[np.float64]) -> Floats:
    """Return the symmetric matrix whose square is a covariance."""
    strength, directions = np.linalg.eigh(covariance)
    root = directions * np.sqrt(np.maximum(strength, 0)) @ directions.T
    return np.asarray(root, np.float32)


def _whole(image: Floats, over: tuple[int, int]) -> Floats:
    """Return the part of (C, Y, X) that can be cut into rectangles."""
    height, width = (n // o * o for n, o in zip(image.shape[1:], over, strict=True))
    return image[:, :height, :width]


@cache
def _of_unit_noise() -> tuple[float, float]:
    """Return the variances over both distances of coarse noise of variance 1 on its own grid."""
    noise = np.random.default_rng(0).standard_normal((2, 256, 256), dtype=np.float32)
    far, farther = (float(seen.trace() / 2) for seen in _over_far([enlarged(noise, _HALF)]))
    return far, farther
