import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_ae_denoise import Denoiser, add_camera_noise, add_gaussian_noise
from napari_ae_denoise.removed_noise import (
    NoiseCheck,
    as_colours,
    check_removed,
    from_colours,
)


@pytest.fixture(scope="module")
def scene():
    """Smooth ground, and sharp squares in two grey values."""
    image = 120 + 40 * np.sin(np.mgrid[:256, :256][1] / 40)
    image[40:90, 40:120] += 60
    image[140:220, 100:200] -= 50
    return image.astype(np.float32)


def test_the_true_noise_is_pure_noise(scene):
    check = check_removed(add_gaussian_noise(scene, 12, seed=0), scene)
    assert check.sigma == pytest.approx(12, rel=0.02)
    assert check.neighbours == pytest.approx(0, abs=0.02)
    assert check.edges == pytest.approx(1, abs=0.15)
    assert check.white
    assert not check.structured
    assert "looks like pure noise" in str(check)
    assert f"{check.neighbours:.2f}" in str(check)


def test_camera_noise_of_bright_things_is_no_structure(scene):
    counts = scene * 20
    check = check_removed(add_camera_noise(counts, 15, seed=0), counts)
    assert not check.structured


def test_what_our_model_removes_is_pure_noise(scene):
    noisy = add_gaussian_noise(scene, 15, seed=1)
    check = check_removed(noisy, Denoiser.load("natural-gray").denoise(noisy))
    assert check.white
    assert not check.structured


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_blur_is_found_out(scene, width):
    noisy = add_gaussian_noise(scene, 10, seed=0)
    check = check_removed(noisy, gaussian_filter(noisy, width))
    assert check.structured
    assert "contains structure" in str(check)


def test_noise_that_remains_is_no_edge(scene):
    noisy = add_gaussian_noise(scene, 12, seed=0)
    half = noisy + 0.5 * (scene - noisy)
    check = check_removed(noisy, half)
    assert check.sigma == pytest.approx(6, rel=0.02)
    assert not check.structured


def test_noise_that_is_blurred_and_a_blur_that_leaves_some_are_told_apart():
    noise = np.random.default_rng(0).normal(0, 10, (200, 200))
    ground = np.zeros_like(noise)
    blurred = check_removed(gaussian_filter(noise, 1), ground)
    assert blurred.neighbours > 0.5
    assert "neighbours are alike" in str(blurred)
    fine = check_removed(noise, gaussian_filter(noise, 0.7))
    assert fine.neighbours < -0.15
    assert "coarse one remains" in str(fine)


def test_stacks_colours_and_lazy_arrays_are_judged_alike(scene):
    stack = np.stack([scene, scene[::-1]])
    noisy = add_gaussian_noise(stack, 12, seed=0)
    expected = check_removed(noisy, stack, "ZYX")
    assert check_removed(da.from_array(noisy), da.from_array(stack), "ZYX") == expected
    assert check_removed(noisy, stack, "ZYX", removed=noisy.astype(float) - stack) == expected
    colours = np.moveaxis(stack[[0, 1, 0]], 0, -1)
    check = check_removed(add_gaussian_noise(colours, 12, seed=0), colours, "YXC")
    assert check.sigma == pytest.approx(12, rel=0.02)


def test_pixels_that_are_not_finite_are_left_out(scene):
    noisy = add_gaussian_noise(scene, 12, seed=0)
    noisy[:40] = np.nan
    check = check_removed(noisy, scene)
    assert check.sigma == pytest.approx(12, rel=0.02)
    assert not check.structured


def test_what_cannot_be_judged_is_not():
    flat = np.full((64, 64), 7, np.uint8)
    assert str(check_removed(flat, flat)) == "Nothing was removed."
    assert check_removed(flat[:8], flat[:8]) is None
    assert check_removed(np.full((64, 64), np.nan), np.zeros((64, 64))) is None
    assert not NoiseCheck(3.0, 0.0, float("nan")).structured
    assert "edges it is" not in str(NoiseCheck(3.0, 0.0, float("nan")))


@pytest.mark.filterwarnings("error")
def test_infinite_pixels_do_not_count():
    rng = np.random.default_rng(0)
    clean = rng.normal(100, 2, (64, 64))
    image = clean + rng.normal(0, 20, clean.shape)
    image[5:9, 5:9] = clean[5:9, 5:9] = np.inf
    assert check_removed(image, clean).sigma == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("lazy", [False, True])
def test_removed_noise_as_colours_and_back(lazy):
    removed = np.linspace(-30, 30, 8 * 9 * 4, dtype=np.float32).reshape(8, 9, 4)
    colours = as_colours(da.from_array(removed) if lazy else removed, 20.0)
    assert colours.dtype == np.float32
    colours = np.asarray(colours)
    assert colours.shape == (8, 9, 3)
    assert colours.min() == 0
    assert colours.max() == 1
    back = from_colours(colours, 20.0)
    np.testing.assert_allclose(back, removed[..., :3].clip(-20, 20), atol=1e-5)
