"""How near an image is to a reference: PSNR and SSIM, by scikit-image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import PlaneLayout, as_array, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.normalization import check_real
from napari_ae_denoise.plain_numbers import as_given, is_number
from napari_ae_denoise.steps import drain

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

_SSIM_WINDOW = 7  # pixels


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near an image is to a reference.

    Parameters
    ----------
    psnr : float
        dB; see `psnr`.
    ssim : float
        See `ssim`; NaN if it cannot be measured.
    problem : str
        Why SSIM cannot be measured, and what to do; else empty.
    planes : tuple of (float, float)
        PSNR and SSIM of each plane.
    squared_errors : tuple of float
        Mean squared error of each plane, in grey values squared; see `together`.
    """

    psnr: float
    ssim: float
    problem: str = ""
    planes: tuple[tuple[float, float], ...] = ()
    squared_errors: tuple[float, ...] = ()


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
        Of the same shape, any real dtypes; numpy, dask or zarr, read plane by plane.
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
    pairs = _Pairs(reference, image, data_range, axes)
    return _decibels([_squared_error(*pair) for pair in pairs], data_range)


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
        Of the same shape, any real dtypes; numpy, dask or zarr, read plane by plane.
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
    pairs = _Pairs(reference, image, data_range, axes)
    if (small := pairs.too_small) is not None:
        raise small
    return float(np.mean([_likeness(*pair, data_range) for pair in pairs]))


def compare_steps(
    reference: npt.ArrayLike,
    image: npt.ArrayLike,
    *,
    data_range: float,
    axes: str | None = None,
) -> Generator[float, None, Nearness]:
    """Measure PSNR and SSIM of an image, plane by plane.

    Parameters
    ----------
    reference, image : array
        Of the same shape, any real dtypes; numpy, dask or zarr.
    data_range : float
        In grey values; see `data_range_of`.
    axes : str, optional
        One letter per axis; guessed from the shape by default.

    Yields
    ------
    float
        The finished part, 0 to 1, after each plane.

    Returns
    -------
    Nearness
        What `psnr` and `ssim` give. Where planes are too small for SSIM it is NaN.

    Raises
    ------
    DenoisingError
        As `psnr`.
    """
    pairs = _Pairs(reference, image, data_range, axes)
    small = pairs.too_small
    errors, likenesses = [], []
    for number, pair in enumerate(pairs):
        errors.append(_squared_error(*pair))
        likenesses.append(math.nan if small else _likeness(*pair, data_range))
        yield (number + 1) / pairs.layout.planes
    return _nearness(errors, likenesses, data_range, str(small) if small else "")


def together(planes: Sequence[Nearness], data_range: float) -> Nearness:
    """Return how near a stack is whose planes, of one size, were measured one by one."""
    errors = [error for plane in planes for error in plane.squared_errors]
    likenesses = [alike for plane in planes for _, alike in plane.planes]
    return _nearness(errors, likenesses, data_range, planes[-1].problem)


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
    return drain(data_range_steps(reference, axes))


def data_range_steps(reference: Any, axes: str | None = None) -> Generator[float, None, float]:
    """Find what `data_range_of` returns, plane by plane.

    Yields
    ------
    float
        The finished part, 0 to 1. Nothing where the dtype alone tells.
    """
    array = _array(reference)
    if array.dtype in (np.uint8, np.bool_):
        return 255.0 if array.dtype == np.uint8 else 1.0
    layout = plane_layout(array.shape, axes)
    low, high = math.inf, -math.inf
    for number, plane in enumerate(_planes(array, layout)):
        finite = plane[np.isfinite(plane)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        yield (number + 1) / layout.planes
    if low >= high:
        raise DenoisingError(
            "The reference is constant or has no finite pixels, so that it has no data range.",
            "Choose another reference, or give the data range yourself.",
        )
    return high - low


class _Pairs:
    """The planes of two images that can be compared, pair by pair: (channels, Y, X) float64."""

    def __init__(
        self,
        reference: npt.ArrayLike,
        image: npt.ArrayLike,
        data_range: float,
        axes: str | None,
    ) -> None:
        self._reference, self._image = _array(reference), _array(image)
        shapes = self._reference.shape, self._image.shape
        if shapes[0] != shapes[1]:
            raise DenoisingError(
                f"The images differ in shape: {shapes[0]} and {shapes[1]}.",
                "Compare images of the same shape, pixel on pixel.",
            )
        if not (is_number(data_range) and math.isfinite(data_range) and data_range > 0):
            raise DenoisingError(
                f"Images cannot be compared in the data range {as_given(data_range)}.",
                "Give a finite number above 0, such as 255 for 8-bit images.",
            )
        self.layout = plane_layout(shapes[0], axes)

    @property
    def too_small(self) -> DenoisingError | None:
        """The refusal of planes that are smaller than the window of SSIM."""
        height, width = self.layout.plane_shape
        if min(height, width) >= _SSIM_WINDOW:
            return None
        return DenoisingError(
            f"SSIM needs planes of at least {_SSIM_WINDOW} x {_SSIM_WINDOW} pixels; these have "
            f"{height} x {width}.",
            "Compare them by PSNR.",
        )

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        images = (_planes(image, self.layout) for image in (self._reference, self._image))
        for number, (a, b) in enumerate(zip(*images, strict=True)):
            x, y = a.astype(np.float64), b.astype(np.float64)
            missing = int(np.count_nonzero(~(np.isfinite(x) & np.isfinite(y))))
            if missing:
                where = f" of plane {number}" if self.layout.planes > 1 else ""
                raise DenoisingError(
                    f"{missing} pixels{where} are NaN or infinite and cannot be compared.",
                    "Fill or crop them first.",
                )
            yield x, y


def _array(image: Any) -> Any:
    """Return an image that can be indexed, without reading it; a line is a plane of one row."""
    array = as_array(image)
    check_real(array)
    return np.asarray(array)[np.newaxis] if array.ndim == 1 else array


def _planes(array: Any, layout: PlaneLayout) -> Iterator[npt.NDArray[Any]]:
    for plane in range(layout.planes):
        yield layout.read(array, plane, slice(None), slice(None))


def _squared_error(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    from skimage.metrics import mean_squared_error

    return float(mean_squared_error(x, y))


def _likeness(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], data_range: float) -> float:
    from skimage.metrics import structural_similarity

    return float(structural_similarity(x, y, data_range=data_range, channel_axis=0))


def _nearness(
    errors: Sequence[float], likenesses: Sequence[float], data_range: float, problem: str
) -> Nearness:
    """Return how near a stack is, by the mean squared error and SSIM of each plane."""
    planes = [(_decibels([e], data_range), s) for e, s in zip(errors, likenesses, strict=True)]
    whole, alike = _decibels(errors, data_range), float(np.mean(likenesses))
    return Nearness(whole, alike, problem, tuple(planes), tuple(errors))


def _decibels(squared_errors: Sequence[float], data_range: float) -> float:
    """Return the PSNR of planes of one size by their mean squared errors."""
    error = float(np.mean(squared_errors))
    return 20 * math.log10(data_range) - 10 * math.log10(error) if error else math.inf
