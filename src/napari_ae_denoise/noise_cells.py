"""Noise drawn cell by cell, so that any block of an image can draw its part alone."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import as_array, no_pixels, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import to_dtype
from napari_ae_denoise.normalization import check_real
from napari_ae_denoise.plain_numbers import as_given, is_number, is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_ae_denoise.camera_noise import CameraNoise

_MANY = 1e5  # photons: from here on Poisson numbers are drawn as normal ones
_CELL = 128  # pixels along Y and X of the cells that noise is drawn in


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Noise that is the same everywhere.

    Parameters
    ----------
    sigma, mean : float
        In grey values, or as fractions of the image's data range if ``relative``.
    relative : bool
        See ``sigma``.
    """

    sigma: float
    mean: float = 0.0
    relative: bool = False

    def __post_init__(self) -> None:
        """Refuse noise that cannot be, or that would change nothing."""
        sigma, mean = self.sigma, self.mean
        if not (is_number(sigma) and math.isfinite(sigma) and sigma >= 0):
            raise DenoisingError(
                f"Noise cannot have the standard deviation {as_given(sigma)}.",
                "Give sigma as a finite number of at least 0.",
            )
        if not (is_number(mean) and math.isfinite(mean)):
            raise DenoisingError(
                f"Noise cannot have the mean {as_given(mean)}.", "Give a finite number."
            )
        if sigma == 0 and mean == 0:
            raise DenoisingError(
                "Noise of sigma 0 and mean 0 changes nothing.", "Give sigma above 0."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """The noise of one image, settled before any of it is drawn.

    The seed is settled too (``entropy``), or a lazy image would be another one each time it is
    computed.
    """

    law: GaussianNoise | CameraNoise
    clip: bool
    entropy: npt.NDArray[Any]
    shape: tuple[int, ...]
    has_alpha: bool

    @property
    def relative(self) -> bool:
        """Whether the noise is a fraction of the data range of the image."""
        return isinstance(self.law, GaussianNoise) and self.law.relative

    @property
    def needs_limits(self) -> bool:
        """Whether the noise depends on the smallest and the largest grey value of the image."""
        return self.relative or self.clip

    def limits(self, image: Any) -> tuple[Any, Any]:
        """Return the smallest and largest finite grey value, if needed; lazily for dask arrays."""
        if not self.needs_limits:
            return -math.inf, math.inf
        colours = image[..., :-1] if self.has_alpha else image
        if not np.issubdtype(image.dtype, np.floating):
            return colours.min(), colours.max()
        if isinstance(image, np.ndarray):
            finite = np.isfinite(colours)
            return (
                colours.min(where=finite, initial=np.inf),
                colours.max(where=finite, initial=-np.inf),
            )
        import dask.array as da

        finite = da.isfinite(colours)
        return da.where(finite, colours, np.inf).min(), da.where(finite, colours, -np.inf).max()

    def fill(
        self,
        out: npt.NDArray[Any],
        block: npt.NDArray[Any],
        origin: Sequence[int],
        low: Any,
        high: Any,
    ) -> Iterator[float]:
        """Write a block of the image into ``out``, noisy, cell by cell; yield the finished part."""
        low, high = float(low), float(high)
        unit = checked_range(low, high) if self.relative else 1.0
        work = np.result_type(block.dtype, np.float32)
        done = 0
        for inside, part, draws, sides in _cells(block.shape, origin, self.shape, self.entropy):
            values = block[inside].astype(work)
            normal = draws.standard_normal(sides, dtype=np.float32)[part]
            with np.errstate(over="ignore"):  # told below
                if isinstance(self.law, GaussianNoise):
                    values += normal.astype(work) * (self.law.sigma * unit) + self.law.mean * unit
                else:
                    uniform = draws.random(sides)[part]
                    values = _exposed(self.law, values, uniform, normal).astype(work)
            beyond = np.isinf(values)
            if beyond.any():  # finite pixels stay so
                most = np.copysign(np.finfo(work).max, values)
                np.copyto(values, most, where=beyond & np.isfinite(block[inside]))
            if self.clip:
                np.clip(values, low, high, out=values, where=np.isfinite(values))
            out[inside] = to_dtype(values, out.dtype)
            if self.has_alpha:
                out[inside][..., -1] = block[inside][..., -1]
            done += values.size
            yield done / block.size

    def on_block(
        self, block: npt.NDArray[Any], origin: Sequence[int], low: Any, high: Any
    ) -> npt.NDArray[Any]:
        """Return a noisy block of the image."""
        out = np.empty(block.shape, block.dtype)
        for _ in self.fill(out, block, origin, low, high):
            pass
        return out


def settle(
    image: npt.ArrayLike,
    law: GaussianNoise | CameraNoise,
    clip: bool,
    seed: int | None,
    axes: str | None,
) -> tuple[Any, Noise]:
    """Check what was asked for; return the image as a numpy or dask array, and its noise."""
    array = as_array(image)
    check_real(array)
    if 0 in array.shape:
        raise no_pixels(array.shape)
    if not (seed is None or (is_whole(seed) and seed >= 0)):
        raise DenoisingError(
            f"No noise can be drawn with the seed {as_given(seed)}.",
            "Give a whole number that is not negative, or none.",
        )
    has_alpha = plane_layout(array.shape, axes).has_alpha if array.ndim >= 2 else False
    entropy = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    if not isinstance(array, np.ndarray):
        import dask.array as da

        if not isinstance(array, da.Array):  # without a name dask would hash the whole image
            array = da.from_array(array, chunks=getattr(array, "chunks", "auto"), name=False)
        if has_alpha and array.chunks[-1] != (4,):
            array = array.rechunk({array.ndim - 1: -1})
    return array, Noise(law, clip, entropy, array.shape, has_alpha)


def lazily(array: Any, noise: Noise, low: Any, high: Any) -> Any:
    """Return a dask array with its noise, drawn when it is computed."""
    import dask.array as da

    block = functools.partial(_block, noise)
    return da.map_blocks(block, array, low, high, dtype=array.dtype, meta=array._meta)


def _block(
    noise: Noise, block: npt.NDArray[Any], low: Any, high: Any, block_info: Any = None
) -> npt.NDArray[Any]:
    origin = [start for start, _ in block_info[0]["array-location"]]
    return noise.on_block(block, origin, low, high)


def checked_range(low: float, high: float) -> float:
    """Return the data range between two limits, or say that there is none."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        what = f"every pixel is {low:g}" if low == high else "no pixel is finite"
        raise DenoisingError(
            f"The image has no data range that noise could be a fraction of: {what}.",
            "Give sigma in grey values (relative=False).",
        )
    if not math.isfinite(high - low):
        raise DenoisingError(
            f"The data range of the image, {low:.3g} to {high:.3g}, is larger than any number.",
            "Divide the image by a number.",
        )
    return high - low


def _cells(
    shape: Sequence[int],
    origin: Sequence[int],
    whole: Sequence[int],
    entropy: npt.NDArray[Any],
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...], np.random.Generator, list[int]]]:
    """Cut a block into the cells of the whole image.

    Yields where each lies in the block, which part of the cell that is, the cell's own generator,
    and the cell's shape: what is drawn is drawn for the whole cell.

    The last axis is part of a cell whole if it is short (colours).
    """
    colours = len(whole) > 2 and whole[-1] <= 4
    plane_axes = range(len(whole) - (3 if colours else 2), len(whole))
    sides = [
        (min(n, _CELL) if not (colours and a == len(whole) - 1) else n) if a in plane_axes else 1
        for a, n in enumerate(whole)
    ]
    grid = [-(-n // side) for n, side in zip(whole, sides, strict=True)]
    touched = [
        range(start // side, -(-(start + n) // side))
        for start, n, side in zip(origin, shape, sides, strict=True)
    ]
    for cell in itertools.product(*touched):
        number = int(np.ravel_multi_index(cell, grid))
        generator = np.random.Generator(np.random.Philox(key=entropy, counter=[0, 0, 0, number]))
        inside, part = [], []
        for index, start, n, side in zip(cell, origin, shape, sides, strict=True):
            first = index * side - start  # of the cell, counted from the block's own origin
            inside.append(slice(max(first, 0), min(first + side, n)))
            part.append(slice(max(-first, 0), min(side, n - first)))
        yield tuple(inside), tuple(part), generator, sides


def _exposed(
    camera: CameraNoise,
    grey: npt.NDArray[Any],
    uniform: npt.NDArray[np.float64],
    normal: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    """Return what a camera makes of clean grey values; below its offset there is no light."""
    light = np.maximum(grey.astype(np.float64) - camera.offset, 0)
    light = np.where(np.isfinite(light), light, 0)  # invalid pixels stay as they are
    counted = _poisson(light / camera.gain, uniform) * camera.gain
    return np.asarray(grey - light + counted + camera.read_noise * normal)


def _poisson(
    expected: npt.NDArray[np.float64], uniform: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return Poisson numbers by the inverse of their distribution, one per uniform number.

    numpy's own generator takes a number of draws that depends on the expected values: a block that
    knows only its part of a cell could not draw it.
    """
    from scipy.special import ndtri, pdtr

    z = ndtri(np.clip(uniform, 1e-15, 1 - 1e-15))
    with np.errstate(invalid="ignore"):
        # the expansion of Cornish and Fisher, which is nearly always right
        counted = np.rint(np.maximum(expected + np.sqrt(expected) * z + (z**2 - 4) / 6, 0))
        rest = np.flatnonzero((expected > 0) & (expected < _MANY))
    while rest.size:  # too few
        rest = rest[pdtr(counted.flat[rest], expected.flat[rest]) < uniform.flat[rest]]
        counted.flat[rest] += 1
    with np.errstate(invalid="ignore"):
        rest = np.flatnonzero((expected > 0) & (expected < _MANY) & (counted > 0))
    while rest.size:  # too many
        rest = rest[pdtr(counted.flat[rest] - 1, expected.flat[rest]) >= uniform.flat[rest]]
        counted.flat[rest] -= 1
        rest = rest[counted.flat[rest] > 0]
    return np.where(expected > 0, counted, 0)
