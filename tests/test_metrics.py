import math

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_ae_denoise import psnr, ssim
from napari_ae_denoise.metrics import compare_steps, data_range_of, data_range_steps, together
from napari_ae_denoise.steps import drain

RNG = np.random.default_rng(0)


class OnDisk:
    """An array that can only be read in parts, and says how large the largest one was."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self.largest = 0

    def __getitem__(self, index):
        part = self._array[index]
        self.largest = max(self.largest, part.size)
        return part


def test_psnr_is_its_formula():
    clean = RNG.random((40, 50))
    assert psnr(clean, clean + 0.1, data_range=1) == pytest.approx(20)
    assert psnr(clean, clean + 0.1, data_range=10) == pytest.approx(40)


def test_psnr_needs_no_plane():
    line = RNG.random(50)
    assert psnr(line, line + 0.1, data_range=1) == pytest.approx(20)


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
    for bad in (0, -1, math.nan, math.inf, "a", None):
        with refused("data range", bad, remedy="above 0"):
            measure(image, image, data_range=bad)
    holes = image.copy()
    holes[:2, :2] = math.nan
    with refused("4 pixels"):
        measure(image, holes, data_range=1)
    with refused("complex"):
        measure(image, image.astype(complex), data_range=1)


def test_the_plane_with_invalid_pixels_is_named(refused):
    image = RNG.random((4, 20, 30))
    holes = image.copy()
    holes[2, :2, :2] = math.nan
    with refused("4 pixels of plane 2"):
        psnr(image, holes, data_range=1)


# ---- in steps


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((30, 40), None), ((5, 30, 40), None), ((30, 40, 4), "YXC"), ((2, 3, 9, 8), "ZCYX")],
)
@pytest.mark.parametrize("kind", [np.asarray, da.from_array, zarr.array])
def test_steps_measure_what_the_functions_do(shape, axes, kind):
    clean = RNG.integers(0, 4000, shape).astype(np.uint16)
    noisy = (clean + 100 * RNG.standard_normal(shape)).astype(np.float32)
    how = {"data_range": 4000, "axes": axes}
    near = drain(compare_steps(kind(clean), kind(noisy), **how))
    assert near.psnr == psnr(clean, noisy, **how)
    assert near.ssim == ssim(clean, noisy, **how)
    assert near.problem == ""


def test_planes_measured_one_by_one_are_as_near_together_as_their_stack():
    clean = RNG.random((3, 20, 30))
    noisy = clean + RNG.normal(size=(3, 1, 1)) * RNG.normal(size=clean.shape)
    noisy[1] = clean[1]
    how = {"data_range": 1}
    planes = [drain(compare_steps(a, b, **how)) for a, b in zip(clean, noisy, strict=True)]
    assert together(planes, 1) == drain(compare_steps(clean, noisy, **how))


def test_steps_read_plane_by_plane_and_tell_each():
    clean, noisy = (OnDisk(RNG.random((5, 20, 30))) for _ in range(2))
    steps = compare_steps(clean, noisy, data_range=1)
    assert [next(steps) for _ in range(2)] == pytest.approx([0.2, 0.4])
    assert clean.largest == noisy.largest == 600
    parts = []
    drain(data_range_steps(clean), parts.append)
    assert parts == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert clean.largest == 600


def test_steps_over_planes_too_small_for_ssim_still_give_psnr():
    clean = RNG.random((3, 5, 9))
    near = drain(compare_steps(clean, clean + 0.1, data_range=1))
    assert near.psnr == pytest.approx(20)
    assert math.isnan(near.ssim)
    assert "5 x 9" in near.problem


def test_steps_refuse_what_the_functions_refuse(refused):
    image = RNG.random((20, 30))
    with refused("(20, 30)", "(20, 29)"):
        drain(compare_steps(image, image[:, :29], data_range=1))
    with refused("data range", 0):
        drain(compare_steps(image, image, data_range=0))


def test_the_range_of_eight_bits_is_known_without_reading():
    image = OnDisk(np.zeros((5, 20, 30), np.uint8))
    assert data_range_of(image) == 255
    assert image.largest == 0


def test_the_range_of_a_stack_is_that_of_all_its_planes():
    stack = np.stack([np.full((9, 9), value) for value in (3.0, math.nan, -4.0)])
    assert data_range_of(da.from_array(stack, chunks=(1, 9, 9))) == 7


# ---- what is refused


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
