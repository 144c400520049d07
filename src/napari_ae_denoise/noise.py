"""Synthetic Gaussian noise, and the noise level estimated from an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import PlaneLayout, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.noise_cells import checked_range, lazily, settle
from napari_ae_denoise.normalization import check_real, sample_windows

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

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
        Any real dtype; numpy, dask or zarr. It is not changed. Pixels that are NaN or infinite
        stay so.
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
        The image's shape and dtype. dask and zarr give a dask array, computed when asked.

    Raises
    ------
    DenoisingError
        If sigma or mean is no usable number, both are 0, or the image is complex, empty, or has
        no range that noise could be relative to.

    Notes
    -----
    Noise is drawn in cells of 128 x 128 pixels, each with its own place in the stream of a
    counter-based generator [1]_. So a chunk can draw its part alone.

    References
    ----------
    .. [1] J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    array, noise = settle(image, sigma, mean, relative, clip, seed, axes)
    low, high = noise.limits(array)
    if isinstance(array, np.ndarray):
        return noise.on_block(array, (0,) * array.ndim, low, high)
    return lazily(array, noise, low, high)


def noise_steps(
    image: npt.ArrayLike,
    sigma: float,
    *,
    mean: float = 0.0,
    relative: bool = False,
    clip: bool = False,
    seed: int | None = None,
    axes: str | None = None,
    stop: threading.Event | None = None,
) -> Generator[float, None, Any]:
    """Add Gaussian noise to an image in steps, between which it can be stopped.

    Parameters
    ----------
    image, sigma, mean, relative, clip, seed, axes
        See `add_gaussian_noise`, which gives the same.
    stop : threading.Event, optional
        Ends the work early.

    Yields
    ------
    float
        The finished part, 0 to 1. A dask or zarr array is only read here, once, if its limits
        are needed (``relative`` or ``clip``); else its result is returned at once.

    Returns
    -------
    array or None
        numpy for numpy, dask for dask and zarr; None if stopped.

    Raises
    ------
    DenoisingError
        As `add_gaussian_noise`.
    """
    array, noise = settle(image, sigma, mean, relative, clip, seed, axes)
    if isinstance(array, np.ndarray):
        made = np.empty(array.shape, array.dtype)
        for part in noise.fill(made, array, (0,) * array.ndim, *noise.limits(array)):
            yield part
            if part < 1 and stop is not None and stop.is_set():
                return None
        return made
    if not noise.needs_limits:
        return lazily(array, noise, *noise.limits(array))
    # measured now, or the whole image would be read again for each part that is looked at
    low, high = math.inf, -math.inf
    for number, block in enumerate(np.ndindex(array.numblocks)):
        if stop is not None and stop.is_set():
            return None
        least, most = noise.limits(array.blocks[block].compute())
        low, high = min(low, float(least)), max(high, float(most))
        yield (number + 1) / array.npartitions
    if relative:
        checked_range(low, high)
    return lazily(array, noise, low, high)


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


def brightness_ratio(image: Any, layout: PlaneLayout, channel: int | None = None) -> float:
    """Return the noise of the brighter half of an image's pixels over that of the darker half.

    About 1 for Gaussian noise; cameras and detectors, whose noise grows with the signal, give
    more. The parameters are those of `sample_windows`.

    Returns
    -------
    float
        1 where it cannot be told.
    """
    noise, grey = [], []
    for plane, y, x in sample_windows(image, layout, channel):
        for colour in layout.read(image, plane, y, x):
            if min(colour.shape) >= _HIGH_PASS.size:
                detail = np.abs(_filtered(colour, _HIGH_PASS)).ravel()
                mean = _filtered(colour, np.full(_HIGH_PASS.size, 1 / _HIGH_PASS.size)).ravel()
                told = np.isfinite(detail) & (detail > 1e-9 * np.abs(mean))
                noise.append(detail[told])
                grey.append(mean[told])
    details, greys = (np.concatenate(a) if a else np.zeros(0) for a in (noise, grey))
    bright = greys > np.median(greys) if greys.size else np.zeros(0, bool)
    if not bright.any() or bright.all():
        return 1.0
    return float(np.median(details[bright]) / np.median(details[~bright]))


def _filtered(window: npt.NDArray[Any], taps: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a window (Y, X) filtered along both axes, where the filter fits into it."""
    along_y = np.apply_along_axis(np.convolve, 0, window.astype(np.float64), taps, "valid")
    return np.asarray(np.apply_along_axis(np.convolve, 1, along_y, taps, "valid"), np.float64)


def _window_sigma(window: npt.NDArray[Any]) -> float | None:
    """Return the noise of one window (Y, X); None where nothing of it is finite."""
    if min(window.shape) < _HIGH_PASS.size:
        return 0.0 if np.isfinite(window).all() else None
    detail = _filtered(window, _HIGH_PASS)
    detail = np.abs(detail[np.isfinite(detail)])
    if not detail.size:
        return None
    rounding = 1e-9 * float(np.abs(window[np.isfinite(window)].astype(np.float64)).max())
    informative = detail[detail > rounding]
    return float(np.median(informative)) / _MAD_OF_NORMAL if informative.size else 0.0
