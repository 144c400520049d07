"""The noise level of an image, estimated from its finest details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import as_array, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.normalization import check_real, read_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

MAD_OF_NORMAL = 0.6744897501960817  # median absolute value of a standard normal variable
# High-pass filter of the Daubechies wavelet with two vanishing moments: blind to linear ramps.
_HIGH_PASS = np.array(
    [-0.12940952255092145, -0.22414386804185735, 0.836516303737469, -0.48296291314469025]
)


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
        In grey values; of all planes and channels together. 0 for an image without detail.

    Raises
    ------
    DenoisingError
        If the image is complex or empty, or no pixel of it is finite.

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
    array: Any = as_array(image)
    check_real(array)
    layout = plane_layout(array.shape, axes, network_channels=1)
    windows = read_sample(array, layout)
    details, _ = details_and_means(windows)
    if not details.size and not any(np.isfinite(window).any() for window in windows):
        raise DenoisingError(
            "The noise cannot be estimated: no pixel of the image is finite.",
            "Choose another image, or give the noise level yourself.",
        )
    return sigma_from(details)


def sigma_from(details: npt.NDArray[np.float64]) -> float:
    """Return the noise, of what `details_and_means` gives; 0 where there is none."""
    return float(np.median(np.abs(details))) / MAD_OF_NORMAL if details.size else 0.0


def details_and_means(
    windows: Sequence[npt.NDArray[Any]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the finest detail at many places of an image, and the mean grey value there.

    Parameters
    ----------
    windows : sequence of ndarray
        (channels, Y, X) each, as `read_sample` gives them.

    Returns
    -------
    details, means : ndarray
        (places,) The standard deviation of the details is that of noise that is independent from
        pixel to pixel. Places that are exactly flat or not finite are left out.
    """
    details, means = [np.zeros(0)], [np.zeros(0)]
    for window in windows:
        for colour in window:
            detail, mean = _detail_and_mean(colour)
            told = ~np.isnan(detail)
            details.append(detail[told])
            means.append(mean[told])
    return np.concatenate(details), np.concatenate(means)


def details_of_channels(windows: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the finest details of each channel, (channels, places): the same places of all.

    The parameter is that of `details_and_means`. NaN where a channel is flat or not finite.
    """
    found = [np.zeros((len(windows[0]), 0))]
    found += [np.stack([_detail_and_mean(channel)[0] for channel in w]) for w in windows]
    return np.concatenate(found, axis=1)


def _detail_and_mean(
    window: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the details of a window (Y, X), NaN where they tell nothing, and the means there."""
    if min(window.shape) < _HIGH_PASS.size:
        return np.zeros(0), np.zeros(0)
    detail = _filtered(window, _HIGH_PASS).ravel()
    mean = _filtered(window, np.full(_HIGH_PASS.size, 1 / _HIGH_PASS.size)).ravel()
    told = np.isfinite(detail) & (np.abs(detail) > 1e-9 * np.abs(mean))
    return np.where(told, detail, np.nan), mean


def _filtered(window: npt.NDArray[Any], taps: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a window (Y, X) filtered along both axes, where the filter fits into it."""
    height, width = (side - taps.size + 1 for side in window.shape)
    flipped, values = taps[::-1], window.astype(np.float64)
    along_y = sum(tap * values[n : n + height] for n, tap in enumerate(flipped))
    along_x = sum(tap * along_y[:, n : n + width] for n, tap in enumerate(flipped))
    return np.asarray(along_x, np.float64)
