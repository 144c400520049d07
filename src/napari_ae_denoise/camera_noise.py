"""The noise of cameras and detectors, which grows with the light: estimated, levelled, undone.

A pixel counts photoelectrons, whose number is a Poisson variable, and adds the noise of its
electronics. So the variance of the noise is a straight line over the grey value.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import as_array, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import GreyMap, to_dtype
from napari_ae_denoise.noise_level import MAD_OF_NORMAL, details_and_means
from napari_ae_denoise.normalization import Normalization, check_real, read_sample
from napari_ae_denoise.plain_numbers import as_given, is_number

_DARKNESS = 2 * (3 / 8) ** 0.5  # the stabilized value of no light and no read noise: the least
_BINS = 40  # of grey values, with as many pixels each
_SMALLEST_BIN = 64  # pixels
_FEWEST_BINS = 4
_ROUNDS = 20  # of the fit
_DARKEST = 0.002  # quantile of the local means that is taken for darkness


@dataclass(frozen=True, slots=True)
class CameraNoise:
    """Poisson-Gaussian noise: ``variance = gain * (grey - offset) + read_noise**2``.

    Parameters
    ----------
    gain : float
        Grey values per photoelectron; above 0.
    offset : float
        Grey value of darkness.
    read_noise : float
        Standard deviation in darkness, in grey values.

    Notes
    -----
    The transforms are the generalized Anscombe transform [1]_ and the closed form of its exact
    unbiased inverse [2]_, which both depend on the variance at a grey value alone.

    References
    ----------
    .. [1] J.-L. Starck, F. Murtagh, A. Bijaoui, "Image Processing and Data Analysis", Cambridge
       University Press, 1998.
    .. [2] M. Makitalo, A. Foi, "Optimal inversion of the generalized Anscombe transformation for
       Poisson-Gaussian noise", IEEE Transactions on Image Processing 22(1), 2013.
    """

    gain: float
    offset: float
    read_noise: float

    def __post_init__(self) -> None:
        """Refuse noise that cannot be."""
        numbers = (self.gain, self.offset, self.read_noise)
        if not all(map(is_number, numbers)):
            given = ", ".join(map(as_given, numbers))
            raise DenoisingError(
                f"A camera cannot have the gain, offset and read noise {given}.",
                "Give three numbers.",
            )
        if not (np.isfinite(numbers).all() and self.gain > 0 and self.read_noise >= 0):
            raise DenoisingError(
                f"A camera cannot have a gain of {self.gain:g}, an offset of {self.offset:g} and a "
                f"read noise of {self.read_noise:g}.",
                "Give finite numbers, a gain above 0 and a read noise that is not negative.",
            )

    def __str__(self) -> str:
        """Say what it is, for people."""
        return (
            f"camera noise: gain {self.gain:.3g} grey values per photoelectron, offset "
            f"{self.offset:.3g}, read noise {self.read_noise:.3g}"
        )

    def electrons(self, grey: float) -> float:
        """Return how many photoelectrons a grey value stands for."""
        return max(grey - self.offset, 0.0) / self.gain

    def variance(self, grey: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the variance of the noise at (noise-free) grey values."""
        return np.maximum(grey - self.offset, 0) * self.gain + self.read_noise**2

    def stabilize(self, grey: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Map grey values so that their noise is of standard deviation 1 everywhere."""
        with np.errstate(over="ignore"):
            electrons = np.minimum((grey - self.offset) / self.gain, np.finfo(np.float64).max)
        return np.asarray(2 * np.sqrt(np.maximum(electrons + self._shift, 0)))

    def unbiased(self, stabilized: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Map denoised, stabilized values to the grey values whose noisy ones have that mean.

        The mean of a root is less than the root of the mean: plain squaring would make dark areas
        too dark.
        """
        d = np.maximum(stabilized, _DARKNESS)
        root = np.sqrt(1.5)
        electrons = d**2 / 4 + root / 4 / d - 11 / 8 / d**2 + 5 / 8 * root / d**3
        electrons -= 1 / 8 + (self.read_noise / self.gain) ** 2
        return np.asarray(electrons * self.gain + self.offset)

    @property
    def _shift(self) -> float:
        """What is added to the electrons under the root."""
        return 3 / 8 + (self.read_noise / self.gain) ** 2


@dataclass(frozen=True, slots=True)
class StabilizedMap:
    """A grey map of an image with camera noise: the noise is levelled before the affine map.

    It is used as a `GreyMap` is.

    Parameters
    ----------
    camera : CameraNoise
        Of the image.
    affine : GreyMap
        From stabilized to normalized values.
    fill : float
        Grey value that stands in for a pixel without finite neighbours.
    """

    camera: CameraNoise
    affine: GreyMap
    fill: float = 0.0

    def apply(self, grey: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return grey values of any real dtype as normalized float32."""
        return self.affine.apply(self.camera.stabilize(grey.astype(np.float64)))

    def invert(self, normalized: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return normalized values as grey values; integers are rounded and clipped."""
        stabilized = self.affine.invert(normalized, np.dtype(np.float64))
        return to_dtype(self.camera.unbiased(stabilized), dtype)

    def to_record(self) -> dict[str, Any]:
        """Return what json can hold."""
        return asdict(self)


def stabilized_map(
    camera: CameraNoise, values: npt.NDArray[Any], normalization: Normalization
) -> StabilizedMap:
    """Return the map of an image with camera noise, measured on a sample of its grey values.

    The grey values that a fixed normalization makes 0 and 1 of are these in the levelled image too.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if normalization.kind == "fixed":
        dark, bright = normalization.offset, normalization.offset + normalization.scale
        low, high = (float(v) for v in camera.stabilize(np.array([dark, bright])))
        # no closer than the noise: both may lie where there is no light
        normalization = replace(normalization, offset=low, scale=max(high - low, 1.0))
    affine = normalization.of_values(camera.stabilize(finite))
    return StabilizedMap(camera, affine, fill=float(np.median(finite)))


def estimate_camera_noise(image: npt.ArrayLike, *, axes: str | None = None) -> CameraNoise:
    """Estimate the Poisson-Gaussian noise of an image from the image alone.

    Parameters
    ----------
    image : array
        Any real dtype; numpy, dask or zarr. At most about a million pixels are read of it.
    axes : str, optional
        One letter per axis; guessed from the shape by default.

    Returns
    -------
    CameraNoise
        In grey values.

    Raises
    ------
    DenoisingError
        If the image is complex or empty, or its noise does not grow with its grey values, or too
        little of it can be looked at.

    Notes
    -----
    Pixels are put into bins by the mean grey value around them; in each, the noise is told from
    the finest details by their median absolute value, of the places with the least structure; and
    a line is fitted to variance over grey value, by least squares that forgive outliers [1]_.
    Gain and read noise follow from that line, once the offset is known. It is taken to be the
    darkest grey value that is found: where no part of the image is dark it is too high, and so is
    the read noise, but what is done with them depends on the line alone.

    References
    ----------
    .. [1] A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, "Practical Poissonian-Gaussian noise
       modeling and fitting for single-image raw-data", IEEE Transactions on Image Processing
       17(10), 2008.
    """
    array: Any = as_array(image)
    check_real(array)
    layout = plane_layout(array.shape, axes, network_channels=1)
    return camera_noise_from(*details_and_means(read_sample(array, layout)))


def camera_noise_from(
    details: npt.NDArray[np.float64], means: npt.NDArray[np.float64], growth: float = 2.0
) -> CameraNoise:
    """Return what `estimate_camera_noise` does, of what `details_and_means` gives.

    ``growth`` is how many times the variance must grow from the darkest to the brightest places.
    """
    greys, variances, counts = _by_grey_value(details, means)
    if greys.size < _FEWEST_BINS:
        raise DenoisingError(
            "The camera noise cannot be estimated: too little of the image is finite, not "
            "saturated and of different grey values.",
            "Choose the Gaussian noise model, or another image.",
        )
    if not np.isfinite([greys, variances]).all():
        raise DenoisingError(
            f"The camera noise cannot be estimated: at grey values of {np.abs(means).max():.3g} "
            "its variance is larger than any number.",
            "Divide the image by a number, or choose the Gaussian noise model.",
        )
    slope, level = _line(greys, variances, counts)
    dark = float(np.quantile(means, _DARKEST))
    darkest, brightest = slope * greys[0] + level, slope * greys[-1] + level
    if not slope > 0 or brightest < growth * max(darkest, 0):
        raise DenoisingError(
            f"The noise of the image does not grow with its grey values: its variance is about "
            f"{max(darkest, 0):.3g} at {greys[0]:.3g} and {max(brightest, 0):.3g} at "
            f"{greys[-1]:.3g}.",
            "Choose the Gaussian noise model.",
        )
    offset = max(dark, -level / slope)  # the variance is not negative
    return CameraNoise(slope, offset, float(np.sqrt(max(slope * offset + level, 0.0))))


def steadiness(details: npt.NDArray[np.float64], means: npt.NDArray[np.float64]) -> float:
    """Return how steadily the noise grows with the grey value: 1 where it never falls.

    It is Spearman's rank correlation of grey value and noise. Texture also grows with the light in
    some photographs, but by leaps, and falls again.
    """
    _, variances, _ = _by_grey_value(details, means)  # in the order of the grey values
    if variances.size < _FEWEST_BINS:
        return 0.0
    ranks = np.argsort(np.argsort(variances))
    return float(np.corrcoef(np.arange(ranks.size), ranks)[0, 1])


def _by_grey_value(
    details: npt.NDArray[np.float64], means: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return mean grey value, variance of the noise and number of places, for each bin."""
    if not means.size:
        return np.zeros(0), np.zeros(0), np.zeros(0, np.int64)
    order = np.argsort(means)
    greys, variances, counts = [], [], []
    for places in np.array_split(order, max(1, min(_BINS, means.size // _SMALLEST_BIN))):
        sigma = np.median(np.abs(details[places])) / MAD_OF_NORMAL
        with np.errstate(over="ignore"):  # the caller looks
            greys.append(means[places].mean())
            variances.append(sigma**2)
        counts.append(places.size)
    return np.array(greys), np.array(variances), np.array(counts)


def _line(
    greys: npt.NDArray[np.float64],
    variances: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
) -> tuple[float, float]:
    """Return slope and level of the line of variance over grey value.

    A variance that is told from n places is known to about its own size over the root of n: bins
    count by that, and less where they are far off (structure, saturation).
    """
    precision = np.sqrt(counts)
    weights = precision / variances.mean()
    line = np.stack([greys, np.ones_like(greys)], axis=1)  # (bins, 2)
    slope = level = 0.0
    for _ in range(_ROUNDS):
        unit = np.abs(greys).max() or 1.0  # or columns of very different size lose one of them
        scaled = line * weights[:, None] / [unit, 1.0]
        fitted, *_ = np.linalg.lstsq(scaled, variances * weights, rcond=None)
        fitted /= [unit, 1.0]
        slope, level = float(fitted[0]), float(fitted[1])
        expected = np.maximum(line @ fitted, 0.01 * variances.max())
        off = np.abs(line @ fitted - variances) / expected * precision
        usual = max(float(np.median(off)), 1.0)
        weights = precision / expected / np.sqrt(np.maximum(off / usual, 1))
    return slope, level
