import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise import add_gaussian_noise, estimate_sigma


def flat(shape=(400, 300), value=100.0, dtype=float):
    return np.full(shape, value, dtype)


@pytest.mark.parametrize("sigma", [2, 10, 25, 60])
def test_the_noise_of_a_photograph_is_estimated(camera, sigma):
    noisy = add_gaussian_noise(camera.astype(np.float32), sigma, seed=0)
    assert estimate_sigma(noisy) == pytest.approx(sigma, rel=0.1, abs=2.5)


def test_the_estimate_is_in_the_grey_values_of_the_image(camera):
    noisy = add_gaussian_noise(camera.astype(np.float32), 10, seed=0)
    assert estimate_sigma(7 * noisy + 1000) == pytest.approx(7 * estimate_sigma(noisy), rel=1e-3)


@pytest.mark.parametrize("axes", ["ZYX", "CYX", "YXZ"])
def test_stacks_are_estimated_plane_by_plane(camera, axes):
    stack = add_gaussian_noise(np.stack([camera, camera[::-1]] * 2).astype(float), 20, seed=0)
    if axes == "YXZ":
        stack = stack.transpose(1, 2, 0)
    assert estimate_sigma(stack, axes=axes) == pytest.approx(20, rel=0.1)
    assert estimate_sigma(da.from_array(stack), axes=axes) == pytest.approx(20, rel=0.1)


def test_masked_and_saturated_areas_do_not_lower_the_estimate(camera):
    noisy = add_gaussian_noise(camera.astype(float), 20, seed=0)
    saturated = noisy.copy()
    saturated[:60] = 255
    assert estimate_sigma(saturated) == pytest.approx(20, rel=0.1)
    masked = noisy.copy()
    masked[:60] = np.nan
    assert estimate_sigma(masked) == pytest.approx(20, rel=0.1)


def test_a_ramp_has_no_noise():
    ramp = np.add.outer(np.arange(100.0), 3 * np.arange(80.0))
    assert estimate_sigma(ramp) == pytest.approx(0, abs=1e-6)
    assert estimate_sigma(flat()) == 0


def test_what_cannot_be_estimated_is_refused(refused):
    with refused("cannot be estimated", remedy="yourself"):
        estimate_sigma(flat(value=np.nan))
    with refused("complex"):
        estimate_sigma(np.zeros((9, 9), complex))
