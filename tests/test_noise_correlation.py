"""Noise that neighbouring pixels share is told from white noise and from structure."""

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from napari_ae_denoise.card import Card
from napari_ae_denoise.glance import glance_steps
from napari_ae_denoise.networks import PRESETS
from napari_ae_denoise.noise_correlation import channels_asked, noise_correlation, steps_for
from napari_ae_denoise.resolving import resolve
from napari_ae_denoise.steps import drain


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


class Channels:
    """Many channels, each made when it is read: white noise (w) or noise shared along Y, X (s)."""

    def __init__(self, kinds):
        rng = np.random.default_rng(3)
        self._made = {k: _scene() + 12 * _noise(rng, b, b) for k, b in (("w", 0), ("s", 0.8))}
        self._kinds, self.shape = kinds, (len(kinds), 256, 256)
        self.ndim, self.dtype, self.reads = 3, np.dtype(float), []

    def __getitem__(self, index):
        self.reads.append(index[0])
        return (1 + index[0]) * self._made[self._kinds[index[0]]][index[1:]]


@pytest.mark.parametrize(
    ("kinds", "steps"),
    [("ss", (2, 2)), ("wsss", (2, 2)), ("swww", (1, 1)), ("sw", (1, 1)), ("s" * 12, (2, 2))],
)
def test_a_glance_and_a_denoiser_say_the_same_of_channels(kinds, steps):
    card = Card(network=PRESETS["residual"], data_kind="clean")
    image = Channels(kinds)
    assert resolve(card, image, "CYX", "auto").steps == steps
    assert sorted(image.reads) == list(range(len(kinds)))  # each once
    assert drain(glance_steps(image, "CYX")).steps == steps
    assert len(image.reads) == 2 * len(kinds)


def test_of_many_channels_few_samples_are_in_memory_at_once():
    card = Card(network=PRESETS["residual"], data_kind="clean")
    peaks = []
    for count in (10, 100):
        image = Channels("w" * count)
        for look in (
            lambda image=image: resolve(card, image, "CYX", "auto"),
            lambda image=image: drain(glance_steps(image, "CYX")),
        ):
            tracemalloc.start()
            look()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    one = 256 * 256 * 8  # bytes of the sample of a channel
    assert peaks[2] - peaks[0] < 10 * one
    assert peaks[3] - peaks[1] < 10 * one
    assert channels_asked([*range(100)]) == [0, 25, 50, 75]
    assert channels_asked([None]) == [None]
