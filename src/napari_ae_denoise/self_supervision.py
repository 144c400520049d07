"""Training pairs made of one noisy image alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_ae_denoise.channel_noise import ChannelNoise

Scheme = Literal["auto", "recorrupted", "blind-spot"]

_ALPHA = 0.5  # of recorruption: how much noise is added, in standard deviations of the image's own
_HIDDEN = 0.02  # part of the pixels that are hidden at once
_REACH = 2  # pixels: how far a hidden pixel's stand-in may come from


def recorrupted(
    noisy: npt.NDArray[np.float32],
    sigma: float | npt.NDArray[np.floating[Any]],
    rng: np.random.Generator,
    channels: ChannelNoise | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return two noisier images whose noise is independent (Recorrupted-to-Recorrupted [1]_).

    Parameters
    ----------
    noisy : ndarray
        (channels, Y, X) float32: ``x`` plus Gaussian noise of standard deviation ``sigma``.
    sigma : float or ndarray
        In the units of ``noisy``; one for each pixel where the noise is that of a camera.
    rng : Generator
        Draws ``n``, Gaussian of the same ``sigma``.
    channels : ChannelNoise, optional
        What the noise of the channels has in common, and that of ``n`` too. By default nothing.

    Returns
    -------
    seen, target : ndarray
        ``noisy + a * n`` and ``noisy - n / a``. The covariance of their noise is
        ``sigma**2 - sigma**2 = 0``, and Gaussian noise without covariance is independent. So a
        network that makes the second from the first learns ``x``.

    References
    ----------
    .. [1] T. Pang, H. Zheng, Y. Quan, H. Ji, "Recorrupted-to-Recorrupted: unsupervised deep
       learning for image denoising", CVPR 2021.
    """
    if channels is None:
        noise = rng.standard_normal(noisy.shape, dtype=np.float32)
    else:
        noise = channels.draw(noisy.shape, rng)
    again = np.asarray(sigma, np.float32) * noise
    return noisy + np.float32(_ALPHA) * again, noisy - again / np.float32(_ALPHA)


def blind_spot(
    noisy: npt.NDArray[np.float32], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return an image with a few pixels hidden, and which (Noise2Void [1]_).

    A network that must tell the hidden pixels from their surroundings learns the image, for noise
    that is independent from pixel to pixel cannot be told. Each hidden pixel is replaced by a
    neighbour, drawn evenly from a square of 5 x 5 without its middle. A mean or median would be
    better guesses, but are smoother than the pixels around: networks that see everything else
    learn to recognize them, and leave all other pixels noisy (here: 21 dB instead of 27).

    Parameters
    ----------
    noisy : ndarray
        (channels, Y, X) float32.
    rng : Generator
        Chooses pixels and neighbours.

    Returns
    -------
    seen : ndarray
        As ``noisy``. All channels of a pixel are hidden together: colour noise is correlated.
    hidden : ndarray
        (channels, Y, X) bool; at least one pixel.

    References
    ----------
    .. [1] A. Krull, T.-O. Buchholz, F. Jug, "Noise2Void: learning denoising from single noisy
       images", CVPR 2019.
    """
    height, width = noisy.shape[-2:]
    hidden = rng.random((height, width)) < _HIDDEN
    hidden[rng.integers(height), rng.integers(width)] = True
    y, x = np.nonzero(hidden)
    side = 2 * _REACH + 1
    step = rng.integers(side**2 - 1, size=y.size)
    step += step >= side**2 // 2  # not the pixel itself
    from_y = _inside(y, step // side - _REACH, height)
    from_x = _inside(x, step % side - _REACH, width)
    seen = noisy.copy()
    seen[:, y, x] = noisy[:, from_y, from_x]
    return seen, np.broadcast_to(hidden, noisy.shape)


def _inside(
    place: npt.NDArray[np.intp], step: npt.NDArray[np.intp], size: int
) -> npt.NDArray[np.intp]:
    """Return the place after a step; steps over the edge go the other way."""
    there = place + step
    there = np.where((there < 0) | (there >= size), place - step, there)
    return np.asarray(np.clip(there, 0, size - 1), np.intp)
