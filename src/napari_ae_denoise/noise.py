"""Synthetic Gaussian noise, and the noise level estimated from an image."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import PlaneLayout, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.normalization import check_real, sample_windows, to_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CELL = 128  # pixels along Y and X of the cells that noise is drawn in
_MAD_OF_NORMAL = 0.6744897501960817  # median absolute value of a standard normal variable
# High-pass filter of the Daubechies wavelet with two vanishing moments: blind to linear ramps.
_HIGH_PASS = np.array(
    [-0.12940952255092145, -0.22414386804185735, 0.836516303737469, -0.48296291314469025]
)


def add_gaussian_noise(
    image: npt.ArrayLike,
    sigma: float,
    *,
    mean: float = 0.0,
    relative: bool = False,
    clip: bool = False,
    seed: int | None = None,
    axes: str | None = None,
) -> Any:
    """Add Gaussian noise to an image.

    Parameters
    ----------
    image : array
        Any real dtype; numpy or dask. It is not changed. Pixels that are NaN or infinite stay so.
    sigma : float
        Standard deviation of the noise in grey values, or as a fraction of the image's data range
        if ``relative``.
    mean : float
        Mean of the noise, in the same unit.
    relative : bool
        Whether ``sigma`` and ``mean`` are fractions of the data range: the largest minus the
        smallest finite grey value.
    clip : bool
        Whether the result is clipped to the image's own smallest and largest grey value. Noise
        that is clipped is no longer Gaussian. Integers are always rounded and clipped to what
        their dtype holds.
    seed : int, optional
        The same seed gives the same noise, whatever the array's kind and chunks.
    axes : str, optional
        One letter per axis, such as ``"ZYX"``; guessed from the shape by default. Only an alpha
        channel depends on it: it gets no noise.

    Returns
    -------
    array
        The image's shape and dtype. A dask array gives a dask array, computed when asked.

    Raises
    ------
    DenoisingError
        If sigma or mean is no usable number, or the image is complex, empty, or has no range
        that noise could be relative to.

    Notes
    -----
    Noise is drawn in cells of 128 x 128 pixels, each with its own place in the stream of a
    counter-based generator [1]_. So a chunk can draw its part alone.

    References
    ----------
    .. [1] J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    if not (math.isfinite(sigma) and sigma >= 0):
        raise DenoisingError(
            f"Noise cannot have the standard deviation {sigma}.",
            "Give sigma as a finite number of at least 0.",
        )
    if not math.isfinite(mean):
        raise DenoisingError(f"Noise cannot have the mean {mean}.", "Give a finite number.")
    array: Any = image if hasattr(image, "dtype") else np.asarray(image)
    check_real(array)
    has_alpha = plane_layout(array.shape, axes).has_alpha if array.ndim >= 2 else False
    # the seed is settled now, or a lazy image would be another one each time it is computed
    entropy = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    low, high = _limits(array, has_alpha) if relative or clip else (-math.inf, math.inf)

    def noisy(block: npt.NDArray[Any], origin: Sequence[int], least: Any, most: Any) -> Any:
        least, most = float(least), float(most)
        unit = _checked_range(least, most) if relative else 1.0
        out = np.empty(block.shape, block.dtype)
        work = np.result_type(block.dtype, np.float32)
        for inside, noise in _cells(block.shape, origin, array.shape, entropy):
            values = block[inside].astype(work)
            values += (noise * (sigma * unit) + mean * unit).astype(work)
            out[inside] = to_dtype(np.clip(values, least, most) if clip else values, out.dtype)
        if has_alpha:
            out[..., -1] = block[..., -1]
        return out

    if isinstance(array, np.ndarray):
        return noisy(array, (0,) * array.ndim, low, high)
    if type(array).__module__.split(".")[0] != "dask":
        return noisy(np.asarray(array), (0,) * array.ndim, low, high)
    import dask.array as da

    def lazily(block: Any, least: Any, most: Any, block_info: Any = None) -> Any:
        origin = [start for start, _ in block_info[0]["array-location"]]
        return noisy(block, origin, least, most)

    if has_alpha and array.chunks[-1] != (4,):
        array = array.rechunk({array.ndim - 1: -1})
    return da.map_blocks(lazily, array, low, high, dtype=array.dtype, meta=array._meta)


def _limits(image: Any, has_alpha: bool) -> tuple[Any, Any]:
    """Return the smallest and the largest finite grey value; lazily for a dask array."""
    colours = image[..., :-1] if has_alpha else image
    if not np.issubdtype(image.dtype, np.floating):
        return colours.min(), colours.max()
    if isinstance(image, np.ndarray):
        finite = colours[np.isfinite(colours)]
        return (finite.min(), finite.max()) if finite.size else (math.nan, math.nan)
    import dask.array as da

    finite = da.isfinite(colours)
    return da.where(finite, colours, np.inf).min(), da.where(finite, colours, -np.inf).max()


def _checked_range(low: float, high: float) -> float:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        what = f"every pixel is {low:g}" if low == high else "no pixel is finite"
        raise DenoisingError(
            f"The image has no data range that noise could be a fraction of: {what}.",
            "Give sigma in grey values (relative=False).",
        )
    return high - low


def _cells(
    shape: Sequence[int],
    origin: Sequence[int],
    whole: Sequence[int],
    entropy: npt.NDArray[Any],
) -> Iterator[tuple[tuple[slice, ...], npt.NDArray[np.float32]]]:
    """Cut a block into the cells of the whole image; yield where each lies, and its noise.

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
        noise = generator.standard_normal(sides, dtype=np.float32)
        inside, part = [], []
        for index, start, n, side in zip(cell, origin, shape, sides, strict=True):
            first = index * side - start  # of the cell, counted from the block's own origin
            inside.append(slice(max(first, 0), min(first + side, n)))
            part.append(slice(max(-first, 0), min(side, n - first)))
        yield tuple(inside), noise[tuple(part)]


def estimate_sigma(image: npt.ArrayLike, *, axes: str | None = None) -> float:
    """Estimate the standard deviation of the Gaussian noise in an image.

    Parameters
    ----------
    image : array
        Any real dtype; numpy, dask or zarr. At most about a million pixels are read of it.
    axes : str, optional
        One letter per axis; guessed from the shape by default.

    Returns
    -------
    float
        In grey values: the median over the image's planes and channels.

    Raises
    ------
    DenoisingError
        If the image is complex, empty, or has no finite pixels.

    Notes
    -----
    The finest diagonal wavelet coefficients of an image are nearly all noise; the median of their
    absolute values is not moved by the few that are edges [1]_. Areas where the image is exactly
    flat (saturated or masked) tell nothing and are left out. Texture as fine as a pixel is taken
    for noise, so that the estimate is an upper one where there is much of it.

    References
    ----------
    .. [1] D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
       Biometrika 81(3), 1994.
    """
    array: Any = image if hasattr(image, "dtype") else np.asarray(image)
    check_real(array)
    layout = plane_layout(array.shape, axes, network_channels=1)
    return sigma_of(array, layout)


def sigma_of(image: Any, layout: PlaneLayout, channel: int | None = None) -> float:
    """Return what `estimate_sigma` does, of an image seen as planes of one channel.

    The parameters are those of `sample_windows`.
    """
    windows = sample_windows(image, layout, channel)
    estimates = [
        estimate
        for plane, y, x in windows
        for colour in layout.read(image, plane, y, x)
        if (estimate := _window_sigma(colour)) is not None
    ]
    if not estimates:
        raise DenoisingError(
            "The noise cannot be estimated: no part of the image is finite and large enough.",
            "Choose another image, or give the noise level yourself.",
        )
    return float(np.median(estimates))


def _window_sigma(window: npt.NDArray[Any]) -> float | None:
    """Return the noise of one window (Y, X); None where nothing of it is finite."""
    if min(window.shape) < _HIGH_PASS.size:
        return 0.0 if np.isfinite(window).all() else None
    grey = window.astype(np.float64)
    detail = np.apply_along_axis(np.convolve, 0, grey, _HIGH_PASS, "valid")
    detail = np.apply_along_axis(np.convolve, 1, detail, _HIGH_PASS, "valid")
    detail = np.abs(detail[np.isfinite(detail)])
    if not detail.size:
        return None
    rounding = 1e-9 * float(np.abs(grey[np.isfinite(grey)]).max())
    informative = detail[detail > rounding]
    return float(np.median(informative)) / _MAD_OF_NORMAL if informative.size else 0.0
