"""What PNG and JPEG files say beside their pixels, and what of them cannot be read."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.image_record import ImageFile

KINDS = {0: 1, 2: 3, 4: 2, 6: 4}  # types of colour in a PNG file, and values to a pixel


def picture(shape=(8, 9), dtype="uint8"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def write_deep_png(path, image, colours):
    """Write a PNG file of 16 bits for each value, which Pillow cannot."""

    def part(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 16, colours, 0, 0, 0)
    parts = part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


@pytest.mark.parametrize("colours", [2, 4, 6])
def test_colours_of_16_bits_are_refused_instead_of_halved(colours, tmp_path, refused):
    path = tmp_path / "a.png"
    write_deep_png(path, picture((8, 9, KINDS[colours]), "uint16") * 300, colours)
    with refused(path, "16 bits", remedy="TIFF"):
        read_image(path)


def test_greys_of_16_bits_are_read(tmp_path):
    image = picture(dtype="uint16") * 300
    write_deep_png(tmp_path / "a.png", image, 0)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array, image)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_the_resolution_is_kept(name, tmp_path):
    Image.fromarray(picture()).save(tmp_path / name, dpi=(300, 150))
    first = read_image(tmp_path / name)
    assert first.unit == "inch"
    assert first.spacing == pytest.approx({"Y": 1 / 150, "X": 1 / 300}, rel=1e-3)
    for other in ("b.png", "b.jpg", "b.tif"):
        write_image(tmp_path / other, first.array, first)
        back = read_image(tmp_path / other)
        assert back.unit == "inch"
        assert back.spacing == pytest.approx(dict(first.spacing), rel=1e-3)


def test_a_picture_on_its_side_is_turned_with_its_resolution(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # the orientation: a quarter turn
    Image.fromarray(picture()).save(tmp_path / "a.jpg", dpi=(300, 150), exif=turned)
    back = read_image(tmp_path / "a.jpg")
    assert back.array.shape == (9, 8)
    assert back.spacing == pytest.approx({"Y": 1 / 300, "X": 1 / 150})


def test_no_resolution_is_made_up(tmp_path):
    write_image(tmp_path / "a.png", picture())
    assert not read_image(tmp_path / "a.png").spacing
    like = ImageFile(tmp_path, None, "YX", {"Y": 1e-7, "X": 1e-7}, "inch")  # more than JPEG holds
    write_image(tmp_path / "a.jpg", picture(), like)
    with Image.open(tmp_path / "a.jpg") as file:
        assert "dpi" not in file.info


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_what_the_camera_wrote_is_kept_but_for_the_orientation(tmp_path, ending):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Nikon", 6  # make, orientation
    exif.get_ifd(0x8769)[0x9003] = "2026:11:29 12:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    path = tmp_path / f"a{ending}"
    Image.fromarray(picture()).save(path, exif=exif)
    image = read_image(path)
    write_image(tmp_path / f"b{ending}", image.array, image)
    with Image.open(tmp_path / f"b{ending}") as file:
        said = file.getexif()
        assert said[0x010F] == "Nikon"
        assert said.get(0x0112, 1) == 1
        assert said.get_ifd(0x8769)[0x9003].startswith("2026")
        assert said.get_ifd(0x8825)[1] == "N"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow's, and the picture is read
def test_damaged_words_of_a_camera_are_left_out(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture()).save(path, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"x" * 40)
    image = read_image(path)
    write_image(tmp_path / "b.jpg", image.array, image)
    assert read_image(tmp_path / "b.jpg").array.shape == image.array.shape
