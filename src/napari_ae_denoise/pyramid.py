"""Coarser copies of an image, each half as wide as the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.grey_map import to_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

_SMALLEST = 256  # pixels: a level that fits into this is the last one


def factors(plane_shape: Sequence[int], step: int) -> tuple[int, ...]:
    """Return by how much each level is coarser along Y and X: 1, 2, 4, ...

    Parameters
    ----------
    plane_shape : (int, int)
        Height and width of the finest level, in pixels.
    step : int
        Side of the tiles, in pixels. Each pixel of each level is made of one tile alone, so the
        factors are divisors of it.
    """
    found = [1]
    while max(plane_shape) > _SMALLEST * found[-1] and step % (2 * found[-1]) == 0:
        found.append(2 * found[-1])
    return tuple(found)


def coarser(extent: slice, factor: int) -> slice:
    """Return the pixels of a coarser level that some pixels of the finest one are part of."""
    return slice(extent.start // factor, -(-extent.stop // factor))


def halved(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (..., Y, X) at half the resolution: the mean of each square of 2 x 2 pixels.

    Invalid pixels (NaN, infinite) do not count; a square that has no other ones is NaN. At an odd
    edge the mean is that of the pixels that there are. Integers are rounded.
    """
    *outer, height, width = image.shape
    pad = [(0, 0)] * len(outer) + [(0, height % 2), (0, width % 2)]
    floats = np.pad(image, pad, mode="edge").astype(np.result_type(image.dtype, np.float32))
    squares = floats.reshape(*outer, (height + 1) // 2, 2, (width + 1) // 2, 2)
    if not np.issubdtype(image.dtype, np.inexact) or np.isfinite(squares).all():
        return to_dtype(squares.mean(axis=(-3, -1)), image.dtype)
    valid = np.isfinite(squares)
    counts = valid.sum(axis=(-3, -1))
    with np.errstate(invalid="ignore"):
        total = np.where(valid, squares, 0).sum(axis=(-3, -1))
        mean = np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)
    return to_dtype(mean, image.dtype)
