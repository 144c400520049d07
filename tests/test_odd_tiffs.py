"""TIFF files whose samples are no simple grey values, or lie in another order than usual."""

import numpy as np
import pytest
import tifffile

from napari_ae_denoise.image_files import read_image, write_image


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)


@pytest.mark.parametrize(
    ("photometric", "samples", "name"),
    [("separated", 4, "CMYK"), ("cielab", 3, "CIELAB"), ("ycbcr", 3, "YCbCr")],
)
def test_samples_that_are_not_red_green_and_blue_are_refused(
    tmp_path, refused, photometric, samples, name
):
    path = tmp_path / "a.tif"
    data = np.zeros((40, 50, samples), np.uint8)
    tifffile.imwrite(path, data, photometric=photometric, planarconfig="contig")
    with refused(name, str(path), remedy="convert it to RGB"):
        read_image(path)


def test_colours_as_jpeg_writes_them_are_read(tmp_path, colours):
    pytest.importorskip("imagecodecs")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, colours, photometric="ycbcr", compression="jpeg")
    assert read_image(path).array.shape == colours.shape


def test_colours_plane_by_plane_are_colours(tmp_path, colours):
    path = tmp_path / "a.tif"
    planes = np.moveaxis(colours, -1, 0)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    image = read_image(path)
    assert image.axes == "YXC"
    np.testing.assert_array_equal(image.array, colours)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_the_alpha_of_a_gray_image_is_left_out_and_said(tmp_path, planar):
    path = tmp_path / "a.tif"
    gray = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    alpha = np.full_like(gray, 200)
    data = np.stack([gray, alpha], axis=-1 if planar == "contig" else 0)
    tifffile.imwrite(
        path, data, photometric="minisblack", planarconfig=planar, extrasamples=["unassalpha"]
    )
    with pytest.warns(UserWarning, match="alpha channel"):
        image = read_image(path)
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.array, gray)


def test_channels_at_the_end_are_written_as_a_page_each(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (40, 50, 5), np.uint8)
    path = tmp_path / "a.tif"
    write_image(path, data, axes="YXC")
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 5
        assert file.pages[0].shape == (40, 50)
    again = read_image(path)
    assert again.axes == "CYX"
    np.testing.assert_array_equal(np.moveaxis(again.array, 0, -1), data)


def test_a_smaller_second_image_of_an_ome_file_is_said_to_be_left_out(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(np.zeros((40, 50), np.uint8), metadata={"axes": "YX"})
        file.write(np.ones((30, 50), np.uint8), metadata={"axes": "YX"})
    with pytest.warns(UserWarning, match="2 images"):
        assert read_image(path).array.shape == (40, 50)


def test_the_levels_of_an_ome_file_are_no_other_images(tmp_path, recwarn):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(np.zeros((64, 64), np.uint8), metadata={"axes": "YX"}, subifds=1)
        file.write(np.zeros((32, 32), np.uint8), subfiletype=1)
    assert read_image(path).array.shape == (64, 64)
    assert not [w for w in recwarn if "images" in str(w.message)]
