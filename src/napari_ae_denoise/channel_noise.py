"""What the channels of a noisy image have in common in their noise, measured, and drawn again.

Colours share noise where a camera's matrix mixed them, where a denoiser left gray grain, and all
of it where an image has no colour. JPEG keeps colour at half the resolution: then the noise of
light is independent from pixel to pixel, and that of colour spans several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.noise_level import LEAST_SIDE, fine_details, sigma_from
from napari_ae_denoise.photograph_noise import TO_LIGHT_AND_COLOUR, TO_RGB, enlarged, means, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

_HALF = (2, 2)  # pixels of light that share one of colour
_FAR = (4, 4)  # pixels over which coarse colour is measured: decoders smooth it over fewer
# Of colour's noise, the variance of means over so many pixels, in that of white noise of the same
# finest details: 1 for white noise, 20 and more for JPEG's 4:2:0.
_COARSE = 5.0
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ChannelNoise:
    """How the noise of channels that are seen together comes of independent noises.

    Parameters
    ----------
    mixture : ndarray
        (channels, channels), whose square is the covariance of the finest details; their mean
        variance is 1.
    colour : ndarray or None
        (2, 2): the same of the two differences of colour, on a grid of half the resolution, where
        they are coarser than the light; None where they are not.
    """

    mixture: Floats
    colour: Floats | None = None

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        """Draw such noise, (channels, Y, X)."""
        if self.colour is None:
            return mixed(self.mixture, rng.standard_normal(shape, dtype=np.float32))
        height, width = shape[-2:]
        light = rng.standard_normal((1, height, width), dtype=np.float32)
        half = (2, height // 2 + 2, width // 2 + 2)
        colours = mixed(self.colour, rng.standard_normal(half, dtype=np.float32))
        top, left = rng.integers(0, 2, 2)  # the grid begins anywhere
        coarse = enlarged(colours, _HALF)[:, top : top + height, left : left + width]
        return mixed(TO_RGB, np.concatenate([light, coarse]))


def channel_noise(windows: Sequence[npt.NDArray[Any]]) -> ChannelNoise:
    """Measure what the channels of an image have in common in their noise.

    Parameters
    ----------
    windows : sequence of ndarray
        (channels, Y, X) each, as `read_sample` gives them.
    """
    channels = len(windows[0])
    covariance = _covariance(windows)
    mean = covariance.trace() / channels
    if not mean:
        return ChannelNoise(np.eye(channels, dtype=np.float32))
    mixture = _root(covariance / mean)
    if channels != 3:
        return ChannelNoise(mixture)
    colours = [mixed(TO_LIGHT_AND_COLOUR[1:], w.astype(np.float32)) for w in windows]
    far = _covariance([means(_whole(c, _FAR), _FAR) for c in colours])
    white = _FAR[0] * _FAR[1] * far.trace()
    if white <= _COARSE * _covariance(colours).trace():
        return ChannelNoise(mixture)
    return ChannelNoise(mixture, _root(far / (_seen_of_coarse() * mean)))


def _covariance(windows: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the covariance (channels, channels) of the finest details; edges hardly move it."""
    channels = len(windows[0])
    fitting = [w for w in windows if min(w.shape[1:]) >= LEAST_SIDE]
    details = [np.zeros((channels, 0))]
    details += [np.stack([fine_details(channel).ravel() for channel in w]) for w in fitting]
    seen = np.concatenate(details, axis=1)
    seen = seen[:, np.isfinite(seen).all(axis=0) & seen.any(axis=0)]
    made = np.zeros((channels, channels))
    for one, other in combinations_with_replacement(range(channels), 2):
        together, apart = (sigma_from(seen[one] + sign * seen[other]) for sign in (1, -1))
        made[one, other] = made[other, one] = (together**2 - apart**2) / 4
    return made


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
def _seen_of_coarse() -> float:
    """Return what is seen over `_FAR` of coarse noise of variance 1 on its own grid."""
    rng = np.random.default_rng(0)
    noise = enlarged(rng.standard_normal((1, 256, 256), dtype=np.float32), _HALF)
    return float(_covariance([means(noise, _FAR)])[0, 0])
