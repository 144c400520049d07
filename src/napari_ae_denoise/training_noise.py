"""The noise that clean patches get in training, of random kinds where a model is to know many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from napari_ae_denoise.photograph_noise import photograph_noise

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_ae_denoise.card import Card

NoiseKind = Literal["gaussian", "camera", "photograph"]
NOISE_KINDS: tuple[NoiseKind, ...] = get_args(NoiseKind)
NoiseChoice = Literal["auto", NoiseKind]

_MOST_PHOTONS = 1e6  # at white: more of them are Gaussian, and would only take time to draw
BRIGHTEST = 1e6  # times white: hot pixels beyond count as this; numpy draws up to 9e18 photons
# Parts of the patches, and the standard deviation of the blur of their noise, in pixels along Y
# and X: white; nearly so; of interpolated images; of scans, whose detector lags along X alone.
_BLURS: tuple[tuple[float, tuple[float, float], tuple[float, float]], ...] = (
    (0.3, (0.0, 0.0), (0.0, 0.0)),
    (0.2, (0.2, 0.4), (0.2, 0.4)),
    (0.25, (0.4, 1.0), (0.4, 1.0)),
    (0.25, (0.0, 0.3), (0.4, 1.2)),
)
_LEAST_BLUR = 0.15  # pixels: less changes nothing


def noise_kind(asked: NoiseChoice, start: Card | None) -> NoiseKind:
    """Return what noise a training adds, for a choice and the card of the model it starts from.

    ``auto`` is what that one learned from, for it would unlearn that with another; else Gaussian.
    """
    if asked != "auto":
        return asked
    known = (kind for kind in NOISE_KINDS if start is not None and start.noise == kind)
    return next(known, "gaussian")


def unit_noise(
    kind: NoiseKind,
    brightness: npt.NDArray[np.float32],
    sigma: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Draw noise whose standard deviation is 1 where the image is bright.

    Parameters
    ----------
    kind : {"gaussian", "camera", "photograph"}
        ``gaussian``: the same everywhere. ``camera``: Poisson-Gaussian noise with a random share
        of each, in part blurred, as the noise of interpolated and of scanned images is.
        ``photograph``: of gray and of three colours, see `photograph_noise`; of other channels
        as ``gaussian``.
    brightness : ndarray
        (channels, Y, X), or a list of grey values: 0 in darkness, 1 where the image is bright;
        finite, and at most ``BRIGHTEST``.
    sigma : float
        What the noise will be multiplied with, as a part of the grey values from dark to bright:
        it decides how many photons are counted.
    rng : Generator
        Draws everything.

    Returns
    -------
    ndarray
        The shape of ``brightness``, float32.
    """
    if kind == "photograph" and brightness.ndim == 3 and len(brightness) in (1, 3):
        return photograph_noise(brightness, sigma, rng)
    white = rng.standard_normal(brightness.shape, dtype=np.float32)
    if kind != "camera" or sigma == 0:
        return white
    share = 1 - rng.random() ** 2  # of the variance that grows with the light; mostly most of it
    photons = min(1 / (sigma**2 * share), _MOST_PHOTONS) if share else _MOST_PHOTONS
    expected = np.maximum(brightness, 0) * photons
    counted = (rng.poisson(expected) - expected) / np.sqrt(photons)
    noise = np.sqrt(share) * counted + np.sqrt(1 - share) * white
    return _blurred(noise.astype(np.float32), rng)


def _blurred(noise: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return noise as it is, or blurred along Y and X and as strong as before."""
    from scipy.ndimage import gaussian_filter1d

    if noise.ndim < 2:  # grey values alone have no neighbours
        return noise
    which = rng.choice(len(_BLURS), p=[part for part, _, _ in _BLURS])
    impulse = np.zeros(33)
    impulse[16] = 1
    for axis, limits in zip((-2, -1), _BLURS[which][1:], strict=True):
        blur = float(rng.uniform(*limits))
        if blur < _LEAST_BLUR:
            continue
        strength = float(np.sqrt((gaussian_filter1d(impulse, blur) ** 2).sum()))  # of white noise
        noise = gaussian_filter1d(noise, blur, axis=axis, mode="reflect") / np.float32(strength)
    return noise
