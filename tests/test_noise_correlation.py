"""Noise that neighbouring pixels share is told from white noise and from structure."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from napari_ae_denoise.noise_correlation import noise_correlation, steps_for


def _scene(side=256):
    """Return a smooth image, its edges and a slope."""
    y, x = np.mgrid[:side, :side] / side
    return 60 * x + 80 * (np.hypot(y - 0.5, x - 0.4) < 0.2) + 30 * np.sin(12 * y)


def _noise(rng, blur_y, blur_x):
    noise = rng.standard_normal((256, 256))
    for axis, blur in enumerate((blur_y, blur_x)):
        noise = gaussian_filter1d(noise, blur, axis=axis) if blur else noise
    return noise / noise.std()


@pytest.mark.parametrize(
    ("blur_y", "blur_x", "steps"),
    [(0, 0, (1, 1)), (0.8, 0.8, (2, 2)), (0, 0.8, (1, 2)), (0.8, 0, (2, 1))],
)
def test_shared_noise_is_found_along_its_axes(blur_y, blur_x, steps):
    rng = np.random.default_rng(3)
    noisy = _scene() + 12 * _noise(rng, blur_y, blur_x)
    assert steps_for([noisy[None]], "auto") == steps


@pytest.mark.parametrize("sigma", [0.0, 2.0])
def test_structure_is_not_taken_for_noise(sigma):
    rng = np.random.default_rng(3)
    texture = _scene() + 20 * gaussian_filter(rng.standard_normal((256, 256)), 3) * 3
    noisy = texture + sigma * rng.standard_normal(texture.shape)
    assert steps_for([noisy[None]], "auto") == (1, 1)


def test_faint_noise_is_left_alone():
    rng = np.random.default_rng(3)
    noisy = _scene() + 0.5 * _noise(rng, 0.8, 0.8)
    assert noise_correlation([noisy[None]])[2] < 0.06
    assert steps_for([noisy[None]], "auto") == (1, 1)


@pytest.mark.parametrize(
    "image", [np.zeros((1, 64, 64)), np.ones((1, 8, 8)), np.full((1, 64, 64), np.nan)]
)
def test_an_image_that_tells_nothing_is_taken_for_white(image):
    assert noise_correlation([image]) == (0.0, 0.0, 0.0)


def test_invalid_pixels_do_not_matter():
    rng = np.random.default_rng(3)
    noisy = _scene() + 12 * _noise(rng, 0.8, 0.8)
    noisy[100, 30] = np.nan
    noisy[7, 200] = np.inf
    assert steps_for([noisy[None]], "auto") == (2, 2)


def test_the_measure_does_not_depend_on_the_unit():
    rng = np.random.default_rng(3)
    noisy = _scene() + 12 * _noise(rng, 0.8, 0.8)
    np.testing.assert_allclose(
        noise_correlation([noisy[None]]), noise_correlation([noisy[None] * 300 + 1000]), rtol=1e-6
    )
