import dask.array as da
import numpy as np
import pytest
from scipy import stats

from napari_ae_denoise import (
    CameraNoise,
    add_camera_noise,
    add_gaussian_noise,
    estimate_camera_noise,
)
from napari_ae_denoise.camera_noise import stabilized_map
from napari_ae_denoise.noise import noise_steps
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.steps import drain

CAMERAS = [CameraNoise(1, 0, 0), CameraNoise(4, 10, 3), CameraNoise(0.5, 100, 2)]


def steps_of_grey(camera, levels=(0, 1, 4, 20, 100), side=300):
    """Flat stripes of so many photoelectrons each."""
    rows = [np.full((side // len(levels), side), camera.offset + n * camera.gain) for n in levels]
    return np.concatenate(rows)


# ---- adding it


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("electrons", [0.3, 2, 30, 1e6])
def test_noise_has_mean_and_variance_of_a_camera(camera, electrons):
    grey = camera.offset + electrons * camera.gain
    noisy = add_camera_noise(
        np.full((300, 300), grey),
        camera.gain,
        offset=camera.offset,
        read_noise=camera.read_noise,
        seed=0,
    )
    variance = electrons * camera.gain**2 + camera.read_noise**2
    assert noisy.mean() == pytest.approx(grey, abs=4 * np.sqrt(variance) / 300)
    assert noisy.var() == pytest.approx(variance, rel=0.04)
    assert camera.variance(np.array(grey)) == pytest.approx(variance)


@pytest.mark.parametrize("electrons", [0.05, 0.7, 5.3, 60])
def test_counts_are_poisson_numbers(electrons):
    counts = add_camera_noise(np.full((400, 400), electrons), 1.0, seed=3)
    numbers = np.arange(200)
    found = np.bincount(counts.astype(int).ravel(), minlength=200)[:200] / counts.size
    assert (counts == np.rint(counts)).all()
    np.testing.assert_allclose(found, stats.poisson.pmf(numbers, electrons), atol=0.006)


def test_darkness_has_read_noise_only():
    image = np.full((200, 200), 10.0)
    np.testing.assert_array_equal(add_camera_noise(image, 5, offset=10), image)
    dark = add_camera_noise(image, 5, offset=50, read_noise=2, seed=0)
    assert dark.mean() == pytest.approx(10, abs=0.05)
    assert dark.std() == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("chunks", [(1, 150, 150), (2, 37, 301), (3, 300, 64)])
def test_noise_does_not_depend_on_chunks(chunks):
    image = np.random.default_rng(0).uniform(0, 500, (3, 300, 301)).astype(np.float32)
    whole = add_camera_noise(image, 3.0, read_noise=1.0, seed=7)
    lazy = add_camera_noise(da.from_array(image, chunks), 3.0, read_noise=1.0, seed=7)
    np.testing.assert_array_equal(lazy.compute(), whole)
    assert (add_camera_noise(image, 3.0, read_noise=1.0, seed=8) != whole).mean() > 0.5


def test_steps_give_the_noise_of_the_function_and_the_image_stays():
    image = np.random.default_rng(0).integers(0, 255, (300, 200), np.uint8)
    before = image.copy()
    made = drain(noise_steps(image, CameraNoise(2.0, 5.0, 1.0), seed=4))
    np.testing.assert_array_equal(
        made, add_camera_noise(image, 2.0, offset=5.0, read_noise=1.0, seed=4)
    )
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_invalid_pixels_stay_so():
    image = np.full((20, 20), 50.0)
    image[3, 4], image[5, 6] = np.nan, np.inf
    noisy = add_camera_noise(image, 1.0, read_noise=1.0)
    assert np.isnan(noisy[3, 4])
    assert noisy[5, 6] == np.inf
    assert np.isfinite(noisy).sum() == noisy.size - 2


@pytest.mark.parametrize(
    "numbers", [(0.0, 0, 0), (-1, 0, 0), (np.nan, 0, 0), (1, np.inf, 0), (1, 0, -2)]
)
def test_what_no_camera_does_is_refused(refused, numbers):
    gain, offset, read_noise = numbers
    with refused("A camera cannot", remedy="above 0"):
        add_camera_noise(np.ones((9, 9)), gain, offset=offset, read_noise=read_noise)


# ---- levelling it


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("electrons", [5, 20, 200])
def test_stabilized_noise_is_one_everywhere(camera, electrons):
    clean = np.full((300, 300), camera.offset + electrons * camera.gain)
    noisy = add_camera_noise(
        clean, camera.gain, offset=camera.offset, read_noise=camera.read_noise, seed=1
    )
    assert camera.stabilize(noisy).std() == pytest.approx(1, rel=0.04)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("electrons", [0, 0.5, 2, 20, 500])
def test_the_inverse_is_unbiased_where_squaring_is_not(camera, electrons):
    clean = camera.offset + electrons * camera.gain
    noisy = add_camera_noise(
        np.full((500, 500), clean),
        camera.gain,
        offset=camera.offset,
        read_noise=camera.read_noise,
        seed=2,
    )
    mean = camera.stabilize(noisy).mean()  # what a perfect denoiser gives
    made = camera.unbiased(np.array(mean))
    allowed = 4 * np.sqrt(camera.variance(np.array(clean))) / 500 + 0.05 * camera.gain
    assert made == pytest.approx(clean, abs=allowed)
    shift = 3 / 8 + (camera.read_noise / camera.gain) ** 2
    squared = camera.offset + camera.gain * (mean**2 / 4 - shift)
    if electrons >= 0.5:
        assert abs(squared - clean) > abs(made - clean)


def test_stabilizing_commutes_with_the_unit_of_the_grey_values():
    camera = CameraNoise(4, 10, 3)
    grey = np.linspace(-50, 500, 100)
    other = CameraNoise(28, 70, 21)
    np.testing.assert_allclose(other.stabilize(7 * grey), camera.stabilize(grey))
    values = np.linspace(0, 30, 50)
    np.testing.assert_allclose(other.unbiased(values), 7 * camera.unbiased(values))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", ">u2", "f8"])
def test_a_map_goes_there_and_back(dtype):
    camera = CameraNoise(0.01, 10, 0.2)  # hardly any noise: the unbiased inverse is the plain one
    grey = np.linspace(12, 250, 500).astype(dtype)
    there = stabilized_map(camera, grey, Normalization())
    normalized = there.apply(grey)
    assert normalized.dtype == np.float32
    assert (normalized.min(), normalized.max()) == (
        pytest.approx(0, abs=0.02),
        pytest.approx(1, abs=0.02),
    )
    back = there.invert(normalized, grey.dtype)
    assert back.dtype == grey.dtype
    np.testing.assert_allclose(
        back.astype(float), grey.astype(float), atol=0.02 + (dtype[-2] == "u")
    )


# ---- estimating it


@pytest.mark.parametrize(("gain", "offset", "read_noise"), [(1, 0, 4), (5, 20, 8), (2, 100, 1)])
def test_it_is_estimated_from_a_photograph(camera, gain, offset, read_noise):
    noisy = add_camera_noise(
        camera + float(offset), gain, offset=offset, read_noise=read_noise, seed=0
    )
    found = estimate_camera_noise(noisy)
    assert found.gain == pytest.approx(gain, rel=0.25)
    grey = np.linspace(offset + 10, offset + 220, 5)
    true = CameraNoise(gain, offset, read_noise).variance(grey)
    np.testing.assert_allclose(found.variance(grey), true, rtol=0.3, atol=2)


def test_the_estimate_is_in_the_grey_values_of_the_image(camera):
    noisy = add_camera_noise(camera.astype(np.float32), 5.0, read_noise=3, seed=0)
    one, seven = estimate_camera_noise(noisy), estimate_camera_noise(7 * noisy + 1000)
    assert seven.gain == pytest.approx(7 * one.gain, rel=1e-2)
    assert seven.offset == pytest.approx(7 * one.offset + 1000, rel=1e-2)
    assert seven.read_noise == pytest.approx(7 * one.read_noise, rel=1e-2)


def test_saturated_areas_do_not_spoil_the_estimate(camera):
    noisy = add_camera_noise(camera.astype(np.float32), 4.0, read_noise=5, seed=0)
    assert estimate_camera_noise(np.clip(noisy, 0, 190)).gain == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_noise_that_does_not_grow_is_refused_and_says_so(camera, refused, sigma):
    with refused("does not grow", remedy="Gaussian"):
        estimate_camera_noise(add_gaussian_noise(camera.astype(np.float32), sigma, seed=0))


@pytest.mark.parametrize("image", [np.full((64, 64), np.nan), np.zeros((64, 64)), np.ones((3, 3))])
def test_images_that_tell_nothing_are_refused(refused, image):
    with refused("cannot be estimated", remedy="Gaussian"):
        estimate_camera_noise(image)


def test_the_noise_of_a_camera_is_found_in_any_unit(camera):
    noisy = add_camera_noise(camera.astype(np.float64), 6.0, read_noise=4, seed=0)
    usual = estimate_camera_noise(noisy)
    for unit in (1e-30, 1e9, 1e14):
        found = estimate_camera_noise(noisy * unit)
        assert found.gain == pytest.approx(usual.gain * unit, rel=1e-6)
