"""Images and methods compared with a reference: lines, planes, pictures, text."""

import threading

import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise.classical import denoise_classically
from napari_ae_denoise.comparison import Comparison, comparison_steps, pictures_of
from napari_ae_denoise.metrics import psnr, ssim
from napari_ae_denoise.noise import add_gaussian_noise
from napari_ae_denoise.steps import drain


@pytest.fixture
def stack(camera):
    return np.stack([camera[:40, :48], camera[40:80, :48], camera[80:120, :48]])


@pytest.fixture
def noisy(stack):
    return add_gaussian_noise(stack, 20, seed=0)


def compared(reference, *images, axes="ZYX", **how):
    named = tuple((f"image {number}", image) for number, image in enumerate(images))
    return drain(comparison_steps(Comparison(reference, axes, named, **how)))


def test_lines_are_what_the_measures_give(stack, noisy):
    table = compared(stack, noisy)
    (row,) = table.rows
    assert row.psnr == pytest.approx(psnr(stack, noisy, data_range=255))
    assert row.ssim == pytest.approx(ssim(stack, noisy, data_range=255))
    assert table.data_range == 255


@pytest.mark.parametrize("lazy", [False, True])
def test_a_method_is_as_good_as_its_own_result(stack, noisy, lazy):
    given = da.from_array(noisy, chunks=(1, 40, 48)) if lazy else noisy
    table = compared(stack, noisy=given, methods=("Gaussian",))
    made = denoise_classically(noisy, "Gaussian", axes="ZYX")
    (row,) = table.rows
    assert row.psnr == pytest.approx(psnr(stack, made, data_range=255))
    assert row.ssim == pytest.approx(ssim(stack, made, data_range=255))
    np.testing.assert_array_equal(table.pictures["Gaussian"], made[0])


def test_one_plane_alone(stack, noisy):
    how = {"planes": "one", "plane": 1, "noisy": noisy, "methods": ("wavelets",)}
    what = Comparison(stack, "ZYX", (("image", noisy),), **how)
    table = drain(comparison_steps(what))
    made = denoise_classically(noisy[1], "wavelets")
    expected = [psnr(stack[1], image, data_range=255) for image in (noisy[1], made)]
    assert [row.psnr for row in table.rows] == pytest.approx(expected)
    pictures = pictures_of(what, table)
    assert list(pictures) == ["reference", "image", "wavelets"]
    np.testing.assert_array_equal(pictures["image"], noisy[1])


def test_each_plane(stack, noisy):
    table = compared(stack, noisy, planes="each", noisy=noisy, methods=("Gaussian",))
    names = [f"{name} Z{plane}" for name in ("image 0", "Gaussian") for plane in range(3)]
    assert [row.name for row in table.rows] == names
    assert table.rows[2].psnr == pytest.approx(psnr(stack[2], noisy[2], data_range=255))


def test_colours(stack):
    rgb = np.moveaxis(stack, 0, -1)
    noisy = add_gaussian_noise(rgb, 20, seed=0)
    how = {"axes": "YXC", "noisy": noisy, "methods": ("non-local means",)}
    for planes in ("all", "one", "each"):
        table = compared(rgb, noisy, planes=planes, **how)
        made = denoise_classically(noisy, "non-local means", axes="YXC")
        expected = [psnr(rgb, image, data_range=255, axes="YXC") for image in (noisy, made)]
        assert [row.psnr for row in table.rows] == pytest.approx(expected)
        assert table.pictures["non-local means"].shape == (40, 48, 3)


def test_each_plane_of_colours(stack):
    rgb = np.stack([np.moveaxis(stack, 0, -1), np.moveaxis(stack[::-1], 0, -1)])
    noisy = add_gaussian_noise(rgb, 20, seed=0)
    table = compared(
        rgb, noisy, axes="ZYXC", planes="each", plane=1, noisy=noisy, methods=("Gaussian",)
    )
    names = [f"{name} Z{plane}" for name in ("image 0", "Gaussian") for plane in range(2)]
    assert [row.name for row in table.rows] == names
    made = denoise_classically(noisy, "Gaussian", axes="ZYXC")
    planes = [(rgb[z], image[z]) for image in (noisy, made) for z in range(2)]
    for measure, found in ((psnr, "psnr"), (ssim, "ssim")):
        expected = [measure(*pair, data_range=255, axes="YXC") for pair in planes]
        assert [getattr(row, found) for row in table.rows] == pytest.approx(expected)
    np.testing.assert_array_equal(table.pictures["Gaussian"], made[1])


def test_what_does_not_fit_has_a_line_that_says_so(stack, noisy):
    table = compared(stack, noisy[:2], noisy, noisy=noisy[:, :9], methods=("Gaussian",))
    first, second, third = table.rows
    assert "differ in shape" in first.problem
    assert second.psnr > 15
    assert "(3, 9, 48)" in third.problem
    assert not table.stopped


def test_stop_keeps_what_is_finished(stack, noisy):
    stop = threading.Event()
    images = (("a", noisy), ("b", noisy))
    steps = comparison_steps(Comparison(stack, "ZYX", images, methods=("Gaussian",)), stop)
    while True:
        try:
            doing = next(steps)
        except StopIteration as end:
            table = end.value
            break
        if doing.what == "b":
            stop.set()
    assert [row.name for row in table.rows] == ["a"]
    assert table.stopped


def test_progress_rises_to_the_end(stack, noisy):
    what = Comparison(stack, "ZYX", (("a", noisy),), noisy=noisy, methods=("Gaussian", "wavelets"))
    parts = [doing.fraction for doing in comparison_steps(what)]
    assert parts == sorted(parts)
    assert parts[-1] == pytest.approx(1)


def test_text_and_markdown(stack, noisy):
    named = (("with | in it", noisy),)
    table = drain(comparison_steps(Comparison(stack, "ZYX", named, name="camera")))
    header, line = table.as_text().splitlines()
    assert header.split("\t")[-1] == "Data range (grey values)"
    assert line.split("\t")[1] == f"{table.rows[0].psnr:.2f}"
    markdown = table.as_markdown()
    assert "with \\| in it" in markdown
    assert markdown.endswith('Against "camera", in a data range of 255 grey values.')
