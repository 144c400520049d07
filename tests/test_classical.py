"""Classical methods: they lower noise, keep what an image is, and say what they cannot do."""

import sys
import types

import numpy as np
import pytest

from napari_ae_denoise import classical
from napari_ae_denoise.classical import classical_methods, denoise_classically
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.metrics import psnr
from napari_ae_denoise.noise import add_gaussian_noise

METHODS = [name for name in classical_methods() if name != "BM3D"]  # tested where it is installed


@pytest.fixture
def clean():
    y, x = np.mgrid[:64, :72]
    waves = 120 + 50 * np.sin(x / 7) * np.cos(y / 9)
    waves[20:40, 30:50] = 220
    return waves


@pytest.mark.parametrize("method", classical_methods())
def test_noise_falls(clean, method):
    noisy = add_gaussian_noise(clean, 20, seed=0)
    made = denoise_classically(noisy, method, sigma=20)
    assert psnr(clean, made, data_range=255) > psnr(clean, noisy, data_range=255) + 3


@pytest.mark.parametrize("method", METHODS)
def test_the_noise_is_estimated_where_it_is_not_told(clean, method):
    noisy = add_gaussian_noise(clean, 20, seed=0)
    told, found = (denoise_classically(noisy, method, sigma=s) for s in (20, None))
    assert abs(psnr(clean, told, data_range=255) - psnr(clean, found, data_range=255)) < 1


@pytest.mark.parametrize("method", METHODS)
def test_planes_are_denoised_each_by_itself(clean, method):
    stack = add_gaussian_noise(np.stack([clean, clean[::-1]]), 20, seed=0)
    made = denoise_classically(stack, method, axes="ZYX")
    for plane, alone in zip(made, stack, strict=True):
        np.testing.assert_allclose(plane, denoise_classically(alone, method))


@pytest.mark.parametrize("method", METHODS)
def test_shape_dtype_and_input_are_kept(clean, method):
    image = add_gaussian_noise(clean, 20, seed=0).clip(0, 255).astype(np.uint8)
    before = image.copy()
    made = denoise_classically(image, method)
    assert made.dtype == np.uint8
    assert made.shape == image.shape
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("method", METHODS)
def test_grey_values_far_from_a_byte_change_nothing(clean, method):
    noisy = add_gaussian_noise(clean, 20, seed=0)
    made = denoise_classically(noisy, method, sigma=20)
    scaled = denoise_classically(100 * noisy + 5000, method, sigma=2000)
    np.testing.assert_allclose((scaled - 5000) / 100, made, atol=0.5)


@pytest.mark.parametrize("method", METHODS)
def test_colours_are_denoised_and_alpha_stays(clean, method):
    rgb = add_gaussian_noise(np.stack([clean, clean[::-1], clean[:, ::-1]], -1), 20, seed=0)
    rgba = np.concatenate([rgb, rgb[..., :1]], axis=-1)
    made = denoise_classically(rgba, method, axes="YXC")
    np.testing.assert_array_equal(made[..., 3], rgba[..., 3])
    np.testing.assert_allclose(made[..., :3], denoise_classically(rgb, method, axes="YXC"))
    assert np.abs(made[..., :3] - rgb).mean() > 3


def test_an_image_without_noise_stays():
    flat = np.full((32, 32), 7.0)
    for method in METHODS:
        np.testing.assert_array_equal(denoise_classically(flat, method), flat)


def test_a_weaker_blur_is_chosen_for_weaker_noise(clean):
    changes = [
        np.abs(denoise_classically(clean, "Gaussian", sigma=sigma) - clean).mean()
        for sigma in (0.5, 5, 50)
    ]
    assert changes == sorted(changes)
    assert changes[0] < 0.5


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_plane_stays(method):
    flat = np.full((32, 40), 7.0)
    np.testing.assert_allclose(denoise_classically(flat, method, sigma=5), flat)


@pytest.mark.parametrize("sigma", [-1, np.nan, np.inf, "5", True, [1, 2]])
def test_what_is_no_noise_level_is_refused(clean, refused, sigma):
    with refused("standard deviation", str(sigma), remedy="at least 0"):
        denoise_classically(clean, "Gaussian", sigma=sigma)


def test_what_is_not_finite_is_refused(clean):
    clean[3, 4] = np.nan
    with pytest.raises(DenoisingError, match="Plane 0"):
        denoise_classically(clean, "wavelets")


def test_what_is_not_known_is_refused(clean, monkeypatch):
    with pytest.raises(DenoisingError, match=r"median.*not at hand"):
        denoise_classically(clean, "median")
    monkeypatch.setattr(classical, "find_spec", lambda name: types.SimpleNamespace(origin=None))
    assert "BM3D" not in classical_methods()  # a folder of that name
    monkeypatch.setattr(classical, "find_spec", lambda name: None)
    assert "BM3D" not in classical_methods()
    with pytest.raises(DenoisingError, match="pip install bm3d"):
        denoise_classically(clean, "BM3D")


def test_bm3d_is_used_where_it_is_installed(clean, monkeypatch):
    package = types.ModuleType("bm3d")
    seen = []
    package.bm3d = lambda image, sigma: seen.append((image.shape, sigma)) or image
    monkeypatch.setitem(sys.modules, "bm3d", package)
    found = types.SimpleNamespace(origin="bm3d/__init__.py")
    monkeypatch.setattr(classical, "find_spec", lambda name: found)
    assert classical_methods()[-1] == "BM3D"
    denoise_classically(clean, "BM3D", sigma=3)
    assert seen == [((64, 72), 3.0)]
