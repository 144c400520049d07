import threading

import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise import add_camera_noise, add_gaussian_noise
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.glance import glance_steps, in_words
from napari_ae_denoise.noise_level import estimate_sigma
from napari_ae_denoise.signs import Signs
from napari_ae_denoise.steps import drain


@pytest.mark.parametrize(
    ("shape", "axes", "dtype", "words"),
    [
        ((400, 512), "YX", "u1", "512 x 400 pixels (X x Y), 8 bit, 205 kB"),
        (
            (25, 400, 512),
            "ZYX",
            "u2",
            "25 planes along Z, 512 x 400 pixels (X x Y), 16 bit, 10.2 MB",
        ),
        ((1, 9, 8), "TYX", "f4", "1 time point, 8 x 9 pixels (X x Y), 32 bit floating point, 288"),
        ((40, 50, 3), "YXC", "u1", "50 x 40 pixels (X x Y), RGB, 8 bit, 6 kB"),
        ((40, 50, 4), "YXC", "u1", "RGB with alpha"),
        ((2, 40, 50), "CYX", ">u2", "2 channels, 50 x 40 pixels"),
        ((10, 1000, 100_000, 100_000), "TZYX", "f4", "10 time points, 1,000 planes along Z"),
        ((8, 8), "YX", "bool", "bool"),
    ],
)
def test_an_image_in_words(shape, axes, dtype, words):
    assert words in in_words(shape, axes, np.dtype(dtype))


def test_gaussian_noise_is_seen_as_what_it_is(camera):
    noisy = add_gaussian_noise(camera, 20, seed=0)
    seen = drain(glance_steps(noisy))
    assert seen.sigma == (estimate_sigma(noisy),) * 2
    assert seen.camera is None
    assert not seen.photograph
    assert "sigma about" in seen.noise_in_words
    assert seen.signs.spread == pytest.approx(1, abs=0.2)


def test_noise_that_grows_with_the_light_is_said_at_both_ends():
    ramp = np.tile(np.linspace(0, 5000, 400, dtype=np.float32), (400, 1))
    counts = add_camera_noise(ramp, gain=6, read_noise=10, seed=0)
    seen = drain(glance_steps(counts))
    assert seen.camera.gain == pytest.approx(6, rel=0.1)
    assert "grows with the light" in seen.noise_in_words
    dark, bright = seen.light
    assert dark < bright


def test_channels_have_a_range_of_noise(camera):
    image = np.stack([add_gaussian_noise(camera.astype(float), s, seed=s) for s in (5, 30)])
    seen = drain(glance_steps(image, "CYX"))
    low, high = seen.sigma
    assert low < 9
    assert high == pytest.approx(30, rel=0.1)
    assert f"{low:.2g} to {high:.2g}" in seen.noise_in_words


def test_lazy_and_constant_and_empty_of_numbers():
    image = np.full((50, 60), 7.0)
    seen = drain(glance_steps(da.from_array(image)))
    assert seen.blank
    assert seen.noise_in_words == "Every pixel that was looked at is 7."
    seen = drain(glance_steps(image * np.nan))
    assert seen.blank
    assert seen.noise_in_words == "Every pixel that was looked at is not a finite number."
    seen = drain(glance_steps(np.tile(np.where(np.arange(60) < 30, image, 9.0), (2, 2))))
    assert not seen.blank
    assert seen.noise_in_words == "No noise found."
    seen = drain(glance_steps(image * np.nan))
    assert seen.sigma == (0, 0)
    assert seen.signs == Signs()


def test_of_small_images_no_more_is_said_than_they_tell():
    noisy = np.random.default_rng(0).normal(100, 20, (63, 200))
    assert drain(glance_steps(noisy)).noise_in_words.startswith(
        "The image is too small for an estimate of its noise: sigma at most about "
    )
    said = drain(glance_steps(noisy[:3])).noise_in_words
    assert said == "The image is too small for an estimate of its noise."


def test_a_stop_is_looked_at_before_each_window():
    stop = threading.Event()
    steps = glance_steps(np.zeros((3000, 3000), np.uint8), stop=stop)
    next(steps)
    stop.set()
    assert drain(steps) is None


def test_a_complex_image_is_refused():
    with pytest.raises(DenoisingError, match="complex"):
        drain(glance_steps(np.zeros((8, 8), complex)))


@pytest.mark.parametrize(("shape", "axes", "asked"), [((96, 96), "YX", 1), ((6, 96, 96), "CYX", 4)])
def test_the_noise_that_neighbours_share_is_measured_once_a_channel(
    monkeypatch, shape, axes, asked
):
    from napari_ae_denoise import glance, noise_correlation

    measured = []

    def counted(windows):
        measured.append(windows)
        return noise_correlation.noise_correlation(windows)

    monkeypatch.setattr(glance, "noise_correlation", counted)
    drain(glance_steps(np.random.default_rng(0).normal(size=shape), axes))
    assert len(measured) == asked
