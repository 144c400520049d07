"""Synthetic noise, added to images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.camera_noise import CameraNoise
from napari_ae_denoise.noise_cells import GaussianNoise, checked_range, lazily, settle

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator


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
    law = GaussianNoise(sigma, mean, relative)
    return add_noise(image, law, clip=clip, seed=seed, axes=axes)


def add_camera_noise(
    image: npt.ArrayLike,
    gain: float,
    *,
    offset: float = 0.0,
    read_noise: float = 0.0,
    clip: bool = False,
    seed: int | None = None,
    axes: str | None = None,
) -> Any:
    """Add the Poisson-Gaussian noise of a camera to an image.

    Parameters
    ----------
    image : array
        See `add_gaussian_noise`.
    gain : float
        Grey values per photoelectron: a pixel that is ``n * gain`` above the offset counts ``n``
        of them on average, as a Poisson variable.
    offset : float
        Grey value of darkness; darker pixels count nothing.
    read_noise : float
        Standard deviation of the Gaussian noise of the electronics, in grey values. 0 leaves pure
        Poisson noise.
    clip, seed, axes
        See `add_gaussian_noise`.

    Returns
    -------
    array
        The image's shape and dtype. dask and zarr give a dask array, computed when asked.

    Raises
    ------
    DenoisingError
        If the numbers are not those of a camera, or the image is complex or empty.
    """
    law = CameraNoise(gain, offset, read_noise)
    return add_noise(image, law, clip=clip, seed=seed, axes=axes)


def add_noise(
    image: npt.ArrayLike,
    law: GaussianNoise | CameraNoise,
    *,
    clip: bool = False,
    seed: int | None = None,
    axes: str | None = None,
) -> Any:
    """Add noise of either kind; see `add_gaussian_noise` and `add_camera_noise`."""
    array, noise = settle(image, law, clip, seed, axes)
    low, high = noise.limits(array)
    if isinstance(array, np.ndarray):
        return noise.on_block(array, (0,) * array.ndim, low, high)
    return lazily(array, noise, low, high)


def noise_steps(
    image: npt.ArrayLike,
    law: GaussianNoise | CameraNoise,
    *,
    clip: bool = False,
    seed: int | None = None,
    axes: str | None = None,
    stop: threading.Event | None = None,
) -> Generator[float, None, Any]:
    """Add noise to an image in steps, between which it can be stopped.

    Parameters
    ----------
    image, clip, seed, axes
        See `add_gaussian_noise` and `add_camera_noise`, which give the same.
    law : GaussianNoise or CameraNoise
        The noise.
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
    array, noise = settle(image, law, clip, seed, axes)
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
    if noise.relative:
        checked_range(low, high)
    return lazily(array, noise, low, high)
