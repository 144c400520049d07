"""A finished result and its image: mixed by a strength, and what was removed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_ae_denoise.axes import is_dask
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import to_dtype
from napari_ae_denoise.unfinished import unfinished_value

_BLOCK_PIXELS = 4 * 1024**2  # that are mixed at once, so that little memory is taken for it


def mixed(image: Any, denoised: Any, strength: float) -> Any:
    """Return ``image * (1 - strength) + denoised * strength``, in grey values.

    Parameters
    ----------
    image, denoised : array
        Of one shape; numpy, or lazy (dask, zarr).
    strength : float
        From 0 (the image itself) to 1 (all of the denoising).

    Returns
    -------
    array
        Of the type of ``denoised``, integers rounded; a new numpy array, or a dask array where one
        of the two is lazy. ``denoised`` itself at strength 1.

    Raises
    ------
    DenoisingError
        If the strength is not from 0 to 1, or the shapes differ.
    """
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise DenoisingError(
            f"Results have no strength of {strength}.",
            "Give a number from 0 (the image itself) to 1 (fully denoised).",
        )
    if tuple(image.shape) != tuple(denoised.shape):
        raise DenoisingError(
            f"An image of shape {tuple(image.shape)} and a result of shape "
            f"{tuple(denoised.shape)} cannot be mixed.",
            "Give the image that the result was made of.",
        )
    if strength == 1:
        return denoised
    if isinstance(image, np.ndarray) and isinstance(denoised, np.ndarray):
        made = np.empty(denoised.shape, denoised.dtype)
        rows = max(1, _BLOCK_PIXELS * len(made) // max(made.size, 1)) if made.ndim else 1
        for first in range(0, len(made), rows):
            part = slice(first, first + rows)
            made[part] = _mix(image[part], denoised[part], strength)
        return made
    import dask.array as da

    own, clean = lazily(image), lazily(denoised)
    return da.map_blocks(
        _mix, own.rechunk(clean.chunks), clean, strength, dtype=clean.dtype, meta=clean._meta
    )


def difference(image: Any, denoised: Any) -> Any:
    """Return image minus denoised: what was taken out of an image, in grey values.

    Parameters
    ----------
    image, denoised : array
        Of one shape; numpy, or lazy (dask, zarr).

    Returns
    -------
    array
        float32; a dask array where one of the two is lazy. The difference is taken in a type that
        holds both: of values about a billion float32 knows every 64th only.
    """
    if not (isinstance(image, np.ndarray) and isinstance(denoised, np.ndarray)):
        return removed_lazily(image, denoised)
    work = np.result_type(image.dtype, denoised.dtype, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # invalid pixels stay invalid
        return np.subtract(image, denoised, dtype=work).astype(np.float32, copy=False)


def removed_lazily(image: Any, denoised: Any, *, unfinished: bool = False) -> Any:
    """Return image minus denoised, float32, as a dask array; nothing is read.

    Parameters
    ----------
    image, denoised : array
        Of one shape; numpy, or lazy (dask, zarr).
    unfinished : bool
        Whether ``denoised`` is a result on disk of which parts are missing: NaN, or the largest
        integer there is. There the difference is NaN.
    """
    import dask.array as da

    clean = lazily(denoised)
    hole = unfinished_value(clean.dtype) if unfinished else None
    return da.map_blocks(
        _difference,
        lazily(image).rechunk(clean.chunks),
        clean,
        hole,
        dtype=np.float32,
        meta=np.empty((0,) * clean.ndim, np.float32),
    )


def _difference(image: Any, denoised: Any, hole: Any) -> Any:
    noise = difference(image, denoised)
    if hole is not None and hole == hole:  # NaN is one by itself
        noise[denoised == hole] = np.nan
    return noise


def lazily(array: Any) -> Any:
    """Return an array as a dask array; nothing is read."""
    import dask.array as da

    if is_dask(array):
        return array
    chunks = getattr(array, "chunks", None)
    if chunks is None:  # a plane each
        chunks = tuple(1 if axis < array.ndim - 2 else n for axis, n in enumerate(array.shape))
        if array.ndim > 2 and array.shape[-1] in (3, 4):  # or colours
            chunks = (*chunks[:-3], *array.shape[-3:])
    return da.from_array(array, chunks=chunks, name=False)  # a name by content would read it all


def _mix(image: Any, denoised: Any, strength: float) -> Any:
    dtype = denoised.dtype
    work = np.result_type(dtype, image.dtype, np.float32)
    own = image.astype(work)
    with np.errstate(invalid="ignore", over="ignore"):  # pixels that are not finite stay so
        own *= 1 - strength  # not by the difference, which can be larger than any float
        own += denoised * own.dtype.type(strength)
    return to_dtype(own, dtype)
