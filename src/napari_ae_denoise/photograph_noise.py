"""Noise as colour photographs have it: developed, their colours made coarser, and saved as JPEG.

Noise that is independent in red, green and blue is that of test images. What a camera saves is
another: its matrix mixes the colours of the sensor; its denoiser takes colour away and leaves
grain, which is the same in all three; and JPEG keeps colour at half the resolution, so that what
differs between neighbouring pixels is the same in all three again. A network that has only seen
independent noise takes such grain for structure and leaves it as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn, idctn
from scipy.ndimage import convolve1d

_PLAIN = 0.4  # of the patches: independent noise
_COARSE = 0.4  # of the patches: coarser colours; the others are mixed only
_COMPRESSED = 0.5  # of those with coarser colours
# How many pixels of light share one of colour, along Y and X (4:2:0, 4:2:2, 4:4:4), and how often
_SHARED = ((0.6, (2, 2)), (0.2, (1, 2)), (0.2, (1, 1)))
_MOST_ROUNDED = 3.0  # standard deviations of the noise: what the finest details are rounded to
_BLOCK = 8  # pixels
# Steps that frequencies of a block are rounded to (ITU-T T.81, annex K), as parts of the largest
_LIGHT_STEPS, _COLOUR_STEPS = np.full((2, 8, 8), 99 / 121, np.float32)
_LIGHT_STEPS[:] = np.divide(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    121,
)
_COLOUR_STEPS[:4, :4] = np.divide(
    [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]], 121
)
# Luminance and two differences of colour, of R, G, B (JFIF, ITU-T T.871), and back.
TO_LIGHT_AND_COLOUR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
TO_RGB = np.linalg.inv(TO_LIGHT_AND_COLOUR).astype(np.float32)
_SMOOTH = np.array([0.25, 0.5, 0.25], np.float32)  # after doubling: linear between the centres
Floats = npt.NDArray[np.float32]


def photograph_noise(light: Floats, sigma: float, rng: np.random.Generator) -> Floats:
    """Draw noise of a random one of these kinds.

    Parameters
    ----------
    light : ndarray
        (3, Y, X) clean red, green and blue, or (1, Y, X) gray, which is not mixed; 0 in darkness,
        1 where the image is bright; finite.
    sigma : float
        What the noise will be multiplied with, in the same unit.
    rng : Generator
        Draws everything.

    Returns
    -------
    ndarray
        As ``light``, float32. Its standard deviation is 1 before colours are made coarser, which
        takes a part of it.
    """
    if len(light) == 1:
        return _gray(light, sigma, rng)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    kind = rng.random()
    if kind < _PLAIN or sigma == 0:
        return noise
    coarse = kind < _PLAIN + _COARSE
    if not coarse or rng.random() < 0.5:
        noise = mixed(_mixture(rng), noise)
    if not coarse:
        return noise
    shared = _SHARED[rng.choice(len(_SHARED), p=[part for part, _ in _SHARED])][1]
    step = rng.uniform(0, _MOST_ROUNDED) if rng.random() < _COMPRESSED else 0.0
    rows, columns = (int(rng.integers(_BLOCK * n)) for n in shared)  # blocks begin anywhere
    return as_saved(light / np.float32(sigma), noise, shared, step, (rows, columns))


def _gray(light: Floats, sigma: float, rng: np.random.Generator) -> Floats:
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    if sigma == 0 or rng.random() > _COARSE * _COMPRESSED:
        return noise
    step, begun = rng.uniform(0, _MOST_ROUNDED), rng.integers(0, _BLOCK, 2)
    clean, three = (np.repeat(side, 3, axis=0) for side in (light / np.float32(sigma), noise))
    return as_saved(clean, three, (1, 1), step, (int(begun[0]), int(begun[1])))[:1]


def _mixture(rng: np.random.Generator) -> Floats:
    """Return how red, green and blue, (3, 3), come of three independent noises; each as strong."""
    if rng.random() < 0.5:  # grain: partly the same in all, or wholly
        same = min(rng.uniform(0, 1.3), 1.0)
        own = np.sqrt(1 - same)
        matrix = own * np.eye(3) + (np.sqrt(1 + 2 * same) - own) / 3
    else:  # of a camera
        matrix = np.eye(3) + rng.uniform(-0.5, 0.25, (3, 3)) * (1 - np.eye(3))
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix, np.float32)


def as_saved(
    clean: Floats, noise: Floats, shared: tuple[int, int], step: float, begun: tuple[int, int]
) -> Floats:
    """Return what becomes of noise that is saved as JPEG, with an image whose colours are kept.

    Parameters
    ----------
    clean, noise : ndarray
        (3, Y, X) red, green and blue.
    shared : tuple of int
        How many pixels of light share one of colour, along Y and X: (2, 2) for 4:2:0.
    step : float
        The largest step that frequencies are rounded to, in the unit of the noise; 0 for none.
    begun : tuple of int
        Rows and columns of the first block that lie before the image: less than 8 times ``shared``.

    Returns
    -------
    ndarray
        (3, Y, X) float32.
    """
    shape = noise.shape[-2:]
    after = [-(n + b) % (_BLOCK * s) for n, b, s in zip(shape, begun, shared, strict=True)]
    margin = [(0, 0), *zip(begun, after, strict=True)]
    clean, noise = (
        mixed(TO_LIGHT_AND_COLOUR, np.pad(side, margin, mode="symmetric"))
        for side in (clean, noise)
    )
    light, colours = noise[:1], means(noise[1:], shared)
    if step:
        light = _rounded(clean[:1], light, step * _LIGHT_STEPS)
        colours = _rounded(means(clean[1:], shared), colours, step * _COLOUR_STEPS)
    made = mixed(TO_RGB, np.concatenate([light, enlarged(colours, shared)]))
    rows, columns = (slice(b, b + n) for b, n in zip(begun, shape, strict=True))
    return made[:, rows, columns]


def mixed(matrix: Floats, colours: Floats) -> Floats:
    """Return (N, Y, X) that a matrix, (N, M), makes of colours, (M, Y, X)."""
    return np.tensordot(matrix, colours, axes=1).astype(np.float32, copy=False)


def _rounded(clean: Floats, noise: Floats, steps: npt.NDArray[Any]) -> Floats:
    """Return noise, (C, Y, X), after the frequencies of the noisy image's blocks were rounded."""
    channels, height, width = noise.shape
    blocks = (channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    frequencies = dctn((clean + noise).reshape(blocks), axes=(2, 4), norm="ortho")
    wide = steps[:, None, :]
    saved = idctn(np.rint(frequencies / wide) * wide, axes=(2, 4), norm="ortho")
    return np.asarray(saved.reshape(noise.shape) - clean, np.float32)


def means(image: Floats, over: tuple[int, int]) -> Floats:
    """Return the means of (C, Y, X) over so many pixels along Y and X."""
    channels, height, width = image.shape
    down, across = over
    parts = image.reshape(channels, height // down, down, width // across, across)
    return np.asarray(parts.mean(axis=(2, 4)), np.float32)


def enlarged(image: Floats, by: tuple[int, int]) -> Floats:
    """Return (C, Y, X), so many times larger along Y and X, linear between the pixels' centres."""
    for axis, factor in zip((1, 2), by, strict=True):
        if factor > 1:
            image = convolve1d(image.repeat(factor, axis), _SMOOTH, axis, mode="nearest")
    return image
