"""Grey values near the largest float: a right result, or a refusal; never infinity or NaN."""

import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise import add_camera_noise, add_gaussian_noise, estimate_sigma
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.strength import mixed

MOST = {name: float(np.finfo(name).max) for name in ("float32", "float64")}


@pytest.fixture
def plain():
    """An image from 0 to 1, (64, 64) float64."""
    y, x = np.mgrid[:64, :64]
    noise = 0.05 * np.random.default_rng(0).standard_normal((64, 64))
    return np.clip(0.5 + 0.4 * np.sin(x / 7) * np.cos(y / 9) + noise, 0, 1)


def scaled(plain, name):
    """Return the image as huge values, and what one grey value of it has become."""
    made = {
        "float32 up to the largest": (plain * MOST["float32"], MOST["float32"]),
        "float32 of both signs": ((2 * plain - 1) * MOST["float32"], 2 * MOST["float32"]),
        "float64 of 1e300": (plain * 1e300, 1e300),
    }[name]
    return made[0].astype(name.split()[0]), made[1]


HUGE = ["float32 up to the largest", "float32 of both signs", "float64 of 1e300"]


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("name", HUGE)
def test_huge_images_are_denoised_as_small_ones(untrained, plain, name, strength):
    image, unit = scaled(plain, name)
    offset, most = (-0.5 if "both" in name else 0), MOST[str(image.dtype)] / unit
    whole = np.clip(untrained().denoise(plain, noise_model="gaussian") + offset, -most, most)
    expected = strength * whole + (1 - strength) * (plain + offset)
    made = untrained().denoise(image, strength=strength, noise_model="gaussian", tile=32)
    assert made.dtype == image.dtype
    np.testing.assert_allclose(made.astype(np.float64) / unit, expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:The noise of the image does not grow")
@pytest.mark.parametrize("name", HUGE[:2])
def test_huge_images_with_the_noise_of_a_camera_stay_finite(untrained, plain, name):
    image, _ = scaled(plain, name)
    assert np.isfinite(untrained().denoise(image, noise_model="camera")).all()


def test_camera_noise_beyond_all_floats_is_said(untrained, plain):
    image, _ = scaled(plain, HUGE[2])
    with pytest.warns(UserWarning, match=r"variance is larger than any number.*Gaussian noise is"):
        made = untrained().denoise(image, noise_model="camera")
    assert np.isfinite(made).all()


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_one_value_far_from_all_others_is_refused(untrained, plain, refused, value):
    image = plain.astype(np.float32)
    image[30, 30] = value
    with refused(f"{value:.3g}", remedy="NaN"):
        untrained().denoise(image, noise_model="gaussian")
    image[30, 30] = np.nan
    with pytest.warns(UserWarning, match="1 pixels are NaN"):
        assert np.isfinite(untrained().denoise(image)).sum() == image.size - 1


def test_a_far_value_outside_the_sample_of_a_lazy_image_is_refused_too(untrained, plain, refused):
    image = np.tile(plain.astype(np.float32), (20, 20))
    image[1200, 40] = 3e38
    lazy = da.from_array(image, chunks=640)
    made = untrained().denoise(lazy, noise_model="gaussian", tile=640)
    with refused("3e+38", "no network", remedy="NaN"):
        made.compute(scheduler="sync")


def test_a_range_beyond_all_floats_is_refused(untrained, plain, refused):
    image = (2 * plain - 1) * MOST["float64"]
    with refused("no network", remedy="divide"):
        untrained().denoise(image, noise_model="gaussian")
    with refused("larger than any number", remedy="Divide"):
        add_gaussian_noise(image, 0.1, relative=True)


@pytest.mark.parametrize("low", [0, 0.1])
def test_percentiles_between_the_two_ends_of_float32(low):
    values = np.array([-3e38, 3e38], np.float32)
    found = Normalization(low=low, high=100).of_values(values)
    assert found.scale == pytest.approx(6e38 * (1 - low / 100), rel=1e-6)


@pytest.mark.parametrize("name", HUGE[:2])
def test_noise_on_huge_images_stays_finite(plain, name):
    image, unit = scaled(plain, name)
    noisy = add_gaussian_noise(image, 0.1, relative=True, seed=0)
    assert np.isfinite(noisy).all()
    assert estimate_sigma(noisy) > estimate_sigma(image)
    kept = np.abs(noisy) < MOST["float32"]  # the others are clipped to it
    added = (noisy.astype(np.float64) - image.astype(np.float64)) / unit
    assert 0.05 < np.std(added[kept]) < 0.15
    counted = add_camera_noise(image, 1e36, offset=float(image.min()), seed=0)
    assert np.isfinite(counted).all()
    lazy = add_gaussian_noise(da.from_array(image, chunks=32), 0.1, relative=True, seed=0)
    np.testing.assert_array_equal(lazy.compute(), noisy)


def test_noise_leaves_infinite_pixels_as_they_are(plain):
    plain[3, 4], plain[5, 6] = np.inf, -np.inf
    noisy = add_gaussian_noise(plain, 0.1, seed=0)
    assert noisy[3, 4] == np.inf
    assert noisy[5, 6] == -np.inf


def test_a_mixture_of_both_ends_is_between_them():
    most = MOST["float32"]
    image, denoised = np.array([[most, -most]]), np.array([[-most, most]])
    np.testing.assert_allclose(mixed(image, denoised, 0.25) / most, [[0.5, -0.5]], rtol=1e-6)
