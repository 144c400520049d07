"""How near an image is to a reference: PSNR and SSIM, by scikit-image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.normalization import check_real

_SSIM_WINDOW = 7  # pixels


def psnr(
    reference: npt.ArrayLike,
    image: npt.ArrayLike,
    *,
    data_range: float,
    axes: str | None = None,
) -> float:
    """Return the peak signal-to-noise ratio of an image.

    Parameters
    ----------
    reference, image : array
        Of the same shape, any real dtypes.
    data_range : float
        The peak, in grey values; see `data_range_of`.
    axes : str, optional
        One letter per axis; guessed from the shape by default. The alpha channel of a photograph
        is not compared.

    Returns
    -------
    float
        dB: ``10 * log10(data_range**2 / mean((reference - image)**2))``; infinite where they are
        equal.

    Raises
    ------
    DenoisingError
        If the shapes differ, the range is not above 0, or a pixel is NaN or infinite.
    """
    from skimage.metrics import peak_signal_noise_ratio

    a, b = _comparable(reference, image, data_range, axes)
    if np.array_equal(a, b):
        return math.inf  # scikit-image divides by zero, with a warning
    return float(peak_signal_noise_ratio(a, b, data_range=data_range))


def ssim(
    reference: npt.ArrayLike,
    image: npt.ArrayLike,
    *,
    data_range: float,
    axes: str | None = None,
) -> float:
    """Return the structural similarity of an image [1]_.

    Parameters
    ----------
    reference, image : array
        Of the same shape, any real dtypes.
    data_range : float
        In grey values; see `data_range_of`.
    axes : str, optional
        One letter per axis; guessed from the shape by default.

    Returns
    -------
    float
        From -1 to 1 (equal): the mean over pixels and colours, then over planes.

    Raises
    ------
    DenoisingError
        As `psnr`, and if the planes are smaller than the window of 7 pixels.

    References
    ----------
    .. [1] Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from
       error visibility to structural similarity", IEEE Transactions on Image Processing 13(4),
       2004.
    """
    from skimage.metrics import structural_similarity

    a, b = _comparable(reference, image, data_range, axes)
    layout = plane_layout(a.shape, axes)
    if min(layout.plane_shape) < _SSIM_WINDOW:
        raise DenoisingError(
            f"SSIM needs planes of at least {_SSIM_WINDOW} x {_SSIM_WINDOW} pixels; these have "
            f"{layout.plane_shape[0]} x {layout.plane_shape[1]}.",
            "Compare them by PSNR.",
        )
    every = slice(None)
    planes = (
        (layout.read(a, p, every, every), layout.read(b, p, every, every))
        for p in range(layout.planes)
    )
    return float(
        np.mean(
            [structural_similarity(x, y, data_range=data_range, channel_axis=0) for x, y in planes]
        )
    )


def data_range_of(reference: Any, axes: str | None = None) -> float:
    """Return the data range that a reference is usually compared in.

    Returns
    -------
    float
        255 for 8-bit images, 1 for bool, else the largest minus the smallest finite grey value
        (without the alpha of RGBA).

    Raises
    ------
    DenoisingError
        If it would be 0.
    """
    array = np.asarray(reference)
    check_real(array)
    if array.dtype in (np.uint8, np.bool_):
        return 255.0 if array.dtype == np.uint8 else 1.0
    array = _without_alpha(array, axes)
    finite = array[np.isfinite(array)]
    if not finite.size or finite.min() == finite.max():
        raise DenoisingError(
            "The reference is constant or has no finite pixels, so that it has no data range.",
            "Choose another reference, or give the data range yourself.",
        )
    return float(finite.max()) - float(finite.min())


def _without_alpha(array: npt.NDArray[Any], axes: str | None) -> npt.NDArray[Any]:
    if array.ndim >= 3 and plane_layout(array.shape, axes).has_alpha:
        return array[..., :-1]
    return array


def _comparable(
    reference: npt.ArrayLike, image: npt.ArrayLike, data_range: float, axes: str | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    a, b = np.asarray(reference), np.asarray(image)
    for array in (a, b):
        check_real(array)
    if a.shape != b.shape:
        raise DenoisingError(
            f"The images differ in shape: {a.shape} and {b.shape}.",
            "Compare images of the same shape, pixel on pixel.",
        )
    if not (math.isfinite(data_range) and data_range > 0):
        raise DenoisingError(
            f"Images cannot be compared in the data range {data_range}.",
            "Give a finite number above 0, such as 255 for 8-bit images.",
        )
    x, y = (_without_alpha(i, axes).astype(np.float64) for i in (a, b))
    missing = int(np.count_nonzero(~(np.isfinite(x) & np.isfinite(y))))
    if missing:
        raise DenoisingError(
            f"{missing} pixels are NaN or infinite and cannot be compared.",
            "Fill or crop them first.",
        )
    return x, y
