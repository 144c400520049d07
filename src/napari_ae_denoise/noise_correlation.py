"""Whether the noise of an image is alike in neighbouring pixels, and along which axes.

Cameras that bin or interpolate, images that were registered, rotated or scaled, and scans that are
slower than their detector have such noise. It is looked for where the image is flattest: there the
difference of two pixels is nearly noise alone. That of white noise does not depend on their
distance; that of shared noise is small for neighbours and full-grown a few pixels on; that of
structure goes on growing, and the more the farther.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Channel = TypeVar("Channel")
Correlated = Literal["auto", "none", "y", "x", "xy"]
CORRELATED: tuple[Correlated, ...] = get_args(Correlated)

_BLOCK = 16  # pixels along Y and X
_FLATTEST = 0.2  # of the blocks
_FEWEST = 8  # blocks
_DISTANCES = (1, 2, 4)  # pixels
# White noise has 0; noise under a blur of 0.6 or 0.8 pixels 0.35 or 0.4; that of a wide-field
# camera 0.41 to 0.47. Of 1,300 photographs and micrographs, clean and with white noise of sigma 3,
# 10 and 25, six clean ones reach these limits, which have fine texture all over.
_BOTH_AXES, _ONE_AXIS, _NOT_AT_ALL = 0.38, 0.18, 0.05
_MOST_CHANNELS = 4  # that are asked: their samples are in memory together
_VISIBLE = 0.06  # of the image's standard deviation: what is weaker may be anything


class NoiseCorrelation(NamedTuple):
    """How much of the noise neighbouring pixels share.

    Parameters
    ----------
    y, x : float
        Along these axes: 0 for white noise, up to about 0.5.
    level : float
        The standard deviation of the noise where the image is flattest, in that of the image.
        0 if the image is too small or too flat to tell.
    """

    y: float = 0.0
    x: float = 0.0
    level: float = 0.0

    @property
    def steps(self) -> tuple[int, int]:
        """How far apart along Y and X pixels are whose noise is independent: 1 or 2.

        2 only where it is plain to see, for white noise looks worse that way.
        """
        if self.level < _VISIBLE:
            return 1, 1
        if min(self.y, self.x) > _BOTH_AXES:
            return 2, 2
        if max(self.y, self.x) > _ONE_AXIS and min(self.y, self.x) < _NOT_AT_ALL:
            return 1 + (self.y > self.x), 1 + (self.x > self.y)
        return 1, 1

    @property
    def spread(self) -> float:
        """How much more noise there is between distant pixels than between neighbours.

        As variances, along both axes: 1 for white noise.
        """
        return 1 / ((1 - self.y) * (1 - self.x))


def noise_correlation(windows: Sequence[npt.NDArray[Any]]) -> NoiseCorrelation:
    """Measure how much of the noise neighbouring pixels share.

    Parameters
    ----------
    windows : sequence of ndarray
        (channels, Y, X) each, as `read_sample` gives them.
    """
    blocks = _blocks(windows)
    variances = blocks.var((1, 2))
    blocks = blocks[variances > 0]
    count = max(_FEWEST, int(_FLATTEST * len(blocks)))
    if len(blocks) < count:
        return NoiseCorrelation()
    flat = blocks[np.argsort(variances[variances > 0], kind="stable")[:count]]
    shared, levels = [], []
    for axis in (1, 2):
        near, far, farther = (_difference(flat, axis, distance) for distance in _DISTANCES)
        # structure that goes on growing is taken off: of a slope, four times as much as nearer
        shared.append(((far - near) - (farther - far) / 4) / farther if farther else 0.0)
        levels.append(farther)
    spread = float(np.std(np.concatenate([w[np.isfinite(w)].astype(np.float64) for w in windows])))
    return NoiseCorrelation(shared[0], shared[1], float(np.sqrt(min(levels))) / spread)


def steps_for(windows: Sequence[npt.NDArray[Any]], correlated: Correlated) -> tuple[int, int]:
    """Return how far apart along Y and X pixels are whose noise is independent: 1 or 2.

    Parameters
    ----------
    windows : sequence of ndarray
        See `noise_correlation`; looked at with ``"auto"`` alone.
    correlated : {"auto", "none", "y", "x", "xy"}
        Along which axes neighbouring pixels share their noise. ``auto``: where it is plain to
        see; see `NoiseCorrelation.steps`.
    """
    if correlated != "auto":
        return 1 + ("y" in correlated), 1 + ("x" in correlated)
    return noise_correlation(windows).steps


def channels_asked(channels: Sequence[Channel]) -> list[Channel]:
    """Return the channels of an image that are asked for shared noise: few, and spread evenly."""
    count = min(len(channels), _MOST_CHANNELS)
    return [channels[number * len(channels) // count] for number in range(count)]


def steps_of_channels(found: Sequence[NoiseCorrelation]) -> tuple[int, int]:
    """Return what most channels of an image say of how far apart independent pixels are.

    The noise of a channel is that of its own detector, and the flattest parts of all channels
    together would be those of the darkest one alone.

    Parameters
    ----------
    found : sequence of NoiseCorrelation
        Of each channel that `channels_asked` names.

    Returns
    -------
    (int, int)
        Along Y and X; where as many channels say one thing as another, that of the smaller steps.
    """
    votes = Counter(one.steps for one in found)
    return min(votes, key=lambda steps: (-votes[steps], steps), default=(1, 1))


def _blocks(windows: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the squares (blocks, Y, X) of windows; those with invalid pixels are left out."""
    found = [np.zeros((0, _BLOCK, _BLOCK))]
    for window in windows:
        rows, columns = (side // _BLOCK for side in window.shape[-2:])
        cut = window[:, : rows * _BLOCK, : columns * _BLOCK].astype(np.float64)
        cut = cut.reshape(len(window), rows, _BLOCK, columns, _BLOCK).swapaxes(2, 3)
        found.append(cut.reshape(-1, _BLOCK, _BLOCK))
    blocks = np.concatenate(found)
    return blocks[np.isfinite(blocks).all((1, 2))]


def _difference(blocks: npt.NDArray[np.float64], axis: int, distance: int) -> float:
    """Return half the mean square difference of pixels at a distance; the median of the blocks."""
    further = np.take(blocks, range(distance, _BLOCK), axis)
    nearer = np.take(blocks, range(_BLOCK - distance), axis)
    return float(np.median(((further - nearer) ** 2).mean((1, 2)))) / 2
