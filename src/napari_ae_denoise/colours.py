"""Whether an image of red, green and blue has any colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.axes import is_rgb, plane_layout
from napari_ae_denoise.normalization import sample_windows

if TYPE_CHECKING:
    import threading

_WINDOWS = 4  # of an image that are looked at


def colourless(image: Any, axes: str, stop: threading.Event | None = None) -> bool:
    """Return whether red, green and blue are the same in a few windows of an image.

    Parameters
    ----------
    image : array
        numpy, dask or zarr.
    axes : str
        One letter per axis.
    stop : Event, optional
        Once it is set, no further window is read.

    Returns
    -------
    bool
        False for an image that is not of three colours.
    """
    if not is_rgb(axes, image.shape):
        return False
    layout = plane_layout(image.shape, axes, network_channels=3)
    for window in sample_windows(image, layout)[:_WINDOWS]:
        if stop is not None and stop.is_set():
            break
        red, green, blue = layout.read(image, *window)[:3]
        if not (np.array_equal(red, green) and np.array_equal(red, blue)):
            return False
    return True
