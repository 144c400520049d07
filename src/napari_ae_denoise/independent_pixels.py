"""Noisy images taken apart, so that no two neighbouring pixels share their noise.

What is learned from noisy images alone is what neighbouring pixels have in common. Noise that they
share is that, too, and a network would learn to keep it. Of every second pixel the noise is nearly
independent: so these are trained on, and the network is then run as others are on such noise, see
`subsampled`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.axes import is_dask, plane_layout
from napari_ae_denoise.noise_correlation import (
    channels_asked,
    noise_correlation,
    steps_of_channels,
)
from napari_ae_denoise.normalization import channel_groups, read_sample
from napari_ae_denoise.resolving import SMALLEST
from napari_ae_denoise.steps import look_for_stop
from napari_ae_denoise.training_data import as_list

if TYPE_CHECKING:
    from napari_ae_denoise.training_data import TrainingData


def of_independent_pixels(data: TrainingData) -> tuple[TrainingData, tuple[int, int]]:
    """Take noisy images apart whose noise neighbouring pixels share.

    Parameters
    ----------
    data : TrainingData
        Of any kind; only ``noisy`` is changed.

    Returns
    -------
    data : TrainingData
        With as many smaller images for one as there are places in a step. Nothing is copied.
    steps : (int, int)
        The largest along Y and X, of all images: 2 where every second pixel is apart, else 1.
    """
    if data.kind != "noisy":
        return data, (1, 1)
    images = as_list(data.noisy)
    found = [_steps(image, data.axes) for image in images]
    most = (max(y for y, _ in found), max(x for _, x in found))
    if most == (1, 1):
        return data, most
    parts = [
        part
        for image, steps in zip(images, found, strict=True)
        for part in _apart(image, plane_layout(image.shape, data.axes).axes, steps)
    ]
    return replace(data, noisy=parts), most


def _steps(image: Any, axes: str | None) -> tuple[int, int]:
    """Return how far apart along Y and X pixels are whose noise is independent."""
    look_for_stop()
    layout = plane_layout(image.shape, axes)
    if min(layout.plane_shape) < 2 * SMALLEST:
        return 1, 1
    asked = channels_asked(channel_groups(layout))
    return steps_of_channels([noise_correlation(read_sample(image, layout, c)) for c in asked])


def _apart(image: Any, axes: str, steps: tuple[int, int]) -> list[Any]:
    """Return each of the images that an image's every so many pixels are."""
    if steps == (1, 1):
        return [image]
    if not (isinstance(image, np.ndarray) or is_dask(image)):  # zarr would read all of it
        import dask.array as da

        image = da.from_array(image)
    by_axis = dict(zip("YX", steps, strict=True))
    starts = product(*(range(by_axis.get(axis, 1)) for axis in axes))
    return [
        image[tuple(slice(n, None, by_axis.get(a, 1)) for n, a in zip(start, axes, strict=True))]
        for start in starts
    ]
