"""Classical methods of denoising, by scikit-image, to compare networks with.

Each is told the standard deviation of the noise (estimated, if it is not given) and takes from it
what else it needs, so that all of them can be run at a press.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import as_array, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import to_dtype
from napari_ae_denoise.noise_level import estimate_sigma
from napari_ae_denoise.normalization import check_real
from napari_ae_denoise.plain_numbers import as_given, is_number
from napari_ae_denoise.steps import drain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Plane = npt.NDArray[np.float64]  # (channels, Y, X)

_BLURS = (0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3)  # pixels
_TV_WEIGHT = 1.1  # of the noise
_MEANS_REACH = 0.8  # of the noise
_SHIFTS = 4  # along each side, so 16 wavelet transforms


def classical_methods() -> tuple[str, ...]:
    """Return the names of the methods that can be used here.

    BM3D is among them where the package ``bm3d`` is installed.
    """
    return tuple(name for name in _METHODS if name != "BM3D" or _has_bm3d())


def _has_bm3d() -> bool:
    """Return whether the package is installed; a folder of that name alone is none."""
    found = find_spec("bm3d")
    return found is not None and found.origin is not None


def denoise_classically(
    image: Any, method: str, *, sigma: float | None = None, axes: str | None = None
) -> npt.NDArray[Any]:
    """Denoise an image by a classical method, plane by plane.

    Parameters
    ----------
    image : array
        Any real dtype; numpy, dask or zarr.
    method : {"Gaussian", "total variation", "wavelets", "non-local means", "BM3D"}
        ``Gaussian``: a blur, whose width is the one with the least risk by Stein's estimate [1]_.
        ``total variation``: Chambolle's [2]_, with a weight of 1.1 times the noise.
        ``wavelets``: thresholds by BayesShrink [3]_, averaged over shifts of the image.
        ``non-local means``: [4]_, with patches of 5 pixels. ``BM3D``: [5]_.
    sigma : float, optional
        Standard deviation of the noise, in grey values; estimated from each plane by default. At 0
        the image stays as it is.
    axes : str, optional
        One letter per axis; guessed from the shape by default. The colours of a photograph are
        denoised together, the alpha channel stays.

    Returns
    -------
    ndarray
        Of the shape and dtype of the image; integers are rounded and clipped.

    Raises
    ------
    DenoisingError
        If the method is not known or not installed, sigma is negative or no finite number, the
        axes do not fit, or a pixel is not finite.

    References
    ----------
    .. [1] C. M. Stein, "Estimation of the mean of a multivariate normal distribution", The Annals
       of Statistics 9(6), 1981.
    .. [2] A. Chambolle, "An algorithm for total variation minimization and applications", Journal
       of Mathematical Imaging and Vision 20, 2004.
    .. [3] S. G. Chang, B. Yu, M. Vetterli, "Adaptive wavelet thresholding for image denoising and
       compression", IEEE Transactions on Image Processing 9(9), 2000.
    .. [4] A. Buades, B. Coll, J.-M. Morel, "A non-local algorithm for image denoising", CVPR 2005.
    .. [5] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image denoising by sparse 3-D
       transform-domain collaborative filtering", IEEE Transactions on Image Processing 16(8),
       2007.
    """
    return drain(classical_steps(image, method, sigma=sigma, axes=axes))


def classical_steps(
    image: Any, method: str, *, sigma: float | None = None, axes: str | None = None
) -> Generator[float, None, npt.NDArray[Any]]:
    """Denoise as `denoise_classically` does.

    Yields
    ------
    float
        The finished part, 0 to 1, after each plane.
    """
    if method not in classical_methods():
        hint = " (pip install bm3d)" if method in _METHODS else ""
        raise DenoisingError(
            f'The method "{method}" is not at hand{hint}.',
            f"Choose one of {', '.join(classical_methods())}.",
        )
    if sigma is not None and not (is_number(sigma) and math.isfinite(sigma) and sigma >= 0):
        raise DenoisingError(
            f"Noise has no standard deviation of {as_given(sigma)}.",
            "Give a finite number of at least 0, in grey values, or none to estimate it.",
        )
    array = as_array(image)
    check_real(array)
    layout = plane_layout(array.shape, axes)
    out = np.array(array) if layout.has_alpha else np.empty(array.shape, array.dtype)
    for number in range(layout.planes):
        plane = layout.read(array, number, slice(None), slice(None)).astype(np.float64)
        if not np.isfinite(plane).all():
            raise DenoisingError(
                f"Plane {number} holds pixels that are NaN or infinite, which {method} would "
                "spread.",
                "Fill or crop them first.",
            )
        noise = estimate_sigma(plane, axes="CYX") if sigma is None else float(sigma)
        made = _METHODS[method](plane, noise) if noise > 0 else plane
        done = to_dtype(np.asarray(made, np.float64), array.dtype)
        layout.write(out, number, slice(None), slice(None), done)
        yield (number + 1) / layout.planes
    return out


def _gaussian(plane: Plane, sigma: float) -> Plane:
    from scipy.ndimage import gaussian_filter

    def blurred(image: Plane, width: float) -> Plane:
        return np.asarray(gaussian_filter(image, (0, width, width), mode="reflect"))

    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1
    least, best = np.inf, plane
    for width in _BLURS:
        made = blurred(plane, width)
        kept = blurred(point, width)[0, 20, 20]  # how much of a pixel stays where it was
        risk = np.mean((plane - made) ** 2) + 2 * sigma**2 * kept
        if risk < least:
            least, best = risk, made
    return best


def _total_variation(plane: Plane, sigma: float) -> Plane:
    from skimage.restoration import denoise_tv_chambolle

    low = float(plane.min())
    span = float(plane.max()) - low
    if span == 0:
        return plane
    image, axis = _colours_last((plane - low) / span)
    made = denoise_tv_chambolle(image, _TV_WEIGHT * sigma / span, channel_axis=axis)
    return low + span * _colours_first(made)


def _wavelets(plane: Plane, sigma: float) -> Plane:
    from skimage.restoration import denoise_wavelet

    made = np.zeros_like(plane)
    shifts = [(y, x) for y in range(_SHIFTS) for x in range(_SHIFTS)]
    for shift in shifts:
        for number, channel in enumerate(np.roll(plane, shift, axis=(1, 2))):
            back = denoise_wavelet(channel, sigma, wavelet="db2", rescale_sigma=False)
            made[number] += np.roll(back, (-shift[0], -shift[1]), axis=(0, 1))
    return made / len(shifts)


def _non_local_means(plane: Plane, sigma: float) -> Plane:
    from skimage.restoration import denoise_nl_means

    image, axis = _colours_last(plane)
    how = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": axis}
    return _colours_first(denoise_nl_means(image, h=_MEANS_REACH * sigma, sigma=sigma, **how))


def _bm3d(plane: Plane, sigma: float) -> Plane:
    import bm3d  # type: ignore[import-not-found, unused-ignore]

    image, axis = _colours_last(plane)
    method = bm3d.bm3d if axis is None else bm3d.bm3d_rgb
    return _colours_first(method(image, sigma))


def _colours_last(plane: Plane) -> tuple[npt.NDArray[np.float64], int | None]:
    """Return a plane as scikit-image has it, and its axis of colours, if it has one."""
    if len(plane) == 1:
        return plane[0], None
    return np.ascontiguousarray(np.moveaxis(plane, 0, -1)), -1


def _colours_first(image: Any) -> Plane:
    image = np.asarray(image, np.float64)
    return image[np.newaxis] if image.ndim == 2 else np.moveaxis(image, -1, 0)


_METHODS: dict[str, Callable[[Plane, float], Plane]] = {
    "Gaussian": _gaussian,
    "total variation": _total_variation,
    "wavelets": _wavelets,
    "non-local means": _non_local_means,
    "BM3D": _bm3d,
}
