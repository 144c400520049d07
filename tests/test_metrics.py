import math

import numpy as np
import pytest

from napari_ae_denoise import psnr, ssim
from napari_ae_denoise.metrics import data_range_of

RNG = np.random.default_rng(0)


def test_psnr_is_its_formula():
    clean = RNG.random((40, 50))
    assert psnr(clean, clean + 0.1, data_range=1) == pytest.approx(20)
    assert psnr(clean, clean + 0.1, data_range=10) == pytest.approx(40)


def test_psnr_of_equal_images_is_infinite_without_a_warning():
    clean = RNG.random((40, 50))
    assert psnr(clean, clean.copy(), data_range=1) == math.inf


def test_unsigned_integers_do_not_wrap():
    dark, bright = np.full((9, 9), 10, np.uint8), np.full((9, 9), 20, np.uint8)
    expected = 20 * math.log10(255 / 10)
    assert psnr(dark, bright, data_range=255) == pytest.approx(expected)
    assert psnr(bright, dark, data_range=255) == pytest.approx(expected)


def test_ssim_falls_with_noise(camera):
    noisy = [camera + s * RNG.standard_normal(camera.shape) for s in (0, 5, 30)]
    values = [ssim(camera, n, data_range=255) for n in noisy]
    assert values[0] == pytest.approx(1)
    assert values[0] > values[1] > values[2] > 0


def test_ssim_of_a_stack_is_the_mean_of_its_planes(camera):
    stack = np.stack([camera, camera[::-1]])
    noisy = stack + 20 * RNG.standard_normal(stack.shape) * [[[1]], [[2]]]
    alone = [ssim(a, b, data_range=255) for a, b in zip(stack, noisy, strict=True)]
    assert ssim(stack, noisy, data_range=255) == pytest.approx(np.mean(alone))
    turned = [s.transpose(1, 2, 0) for s in (stack, noisy)]
    assert ssim(*turned, data_range=255, axes="YXZ") == pytest.approx(np.mean(alone))


def test_alpha_is_not_compared():
    colours = RNG.integers(0, 255, (30, 40, 4)).astype(np.uint8)
    other = colours.copy()
    other[..., :3] ^= 7
    without = [psnr, ssim]
    for measure in without:
        expected = measure(colours[..., :3], other[..., :3], data_range=255)
        assert measure(colours, other, data_range=255) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_cannot_be_compared_is_refused_with_its_values(measure, refused):
    image = RNG.random((20, 30))
    with refused("(20, 30)", "(20, 29)"):
        measure(image, image[:, :29], data_range=1)
    for bad in (0, -1, math.nan, math.inf):
        with refused("data range", bad, remedy="above 0"):
            measure(image, image, data_range=bad)
    holes = image.copy()
    holes[:2, :2] = math.nan
    with refused("4 pixels"):
        measure(image, holes, data_range=1)
    with refused("complex"):
        measure(image, image.astype(complex), data_range=1)


def test_planes_too_small_for_ssim_are_named(refused):
    with refused("5 x 9", remedy="PSNR"):
        ssim(np.zeros((5, 9)), np.zeros((5, 9)), data_range=1)


def test_the_usual_data_range():
    assert data_range_of(np.zeros((3, 3), np.uint8)) == 255
    assert data_range_of(np.zeros((3, 3), bool)) == 1
    assert data_range_of(np.array([[3, 10], [5, 5]], np.uint16)) == 7
    assert data_range_of(np.array([[3.0, math.nan], [5.0, -math.inf]])) == 2
    rgba = np.zeros((8, 8, 4), np.float32)
    rgba[0, 0, 0], rgba[..., 3] = 2, 100
    assert data_range_of(rgba) == 2


def test_a_reference_without_range_is_refused(refused):
    with refused("constant", remedy="yourself"):
        data_range_of(np.full((4, 4), 3.0))
