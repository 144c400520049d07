"""What TIFF files say of how grey values are shown, and what ImageJ writes beside the pixels."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ae_denoise.image_files import read_image, write_image


def picture(shape=(8, 9), dtype="uint8"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def green():
    """Return a palette as TIFF files hold it: from black to green."""
    palette = np.zeros((3, 256), np.uint16)
    palette[1] = np.arange(256) * 257
    return palette


# ---- white is zero, and palettes


@pytest.mark.parametrize("name", ["b.tif", "b.ome.tif"])
@pytest.mark.parametrize("imagej", [False, True])
def test_what_was_bright_stays_bright(name, imagej, tmp_path):
    image = picture()
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="miniswhite", imagej=imagej)
    first = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(first.array, image)
    write_image(tmp_path / name, first.array, first)
    with tifffile.TiffFile(tmp_path / name) as file:
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        np.testing.assert_array_equal(file.asarray(), image)
    assert not first.with_stride(4).white_is_zero  # a code is no image


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_formats_where_zero_is_black_get_it_turned_round(dtype, tmp_path):
    image = picture(dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="miniswhite")
    first = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "a.png", first.array, first)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array, np.iinfo(dtype).max - image)


def test_places_in_a_palette_are_no_grey_values(tmp_path, refused):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="palette", colormap=green())
    with refused(path, "palette", remedy="RGB"):
        read_image(path)


def test_a_palette_of_greys_is_read(tmp_path):
    image = picture()
    palette = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="palette", colormap=palette)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, image)


def test_other_programs_palettes_are_refused_too(tmp_path, refused):
    painted = Image.fromarray(picture((8, 9, 3))).quantize(16)
    painted.save(tmp_path / "a.tif")
    with refused("palette"):
        read_image(tmp_path / "a.tif")
