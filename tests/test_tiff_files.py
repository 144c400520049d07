"""What TIFF files say of how grey values are shown, and what ImageJ writes beside the pixels."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.image_record import ImageFile


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


# ---- what ImageJ writes beside the pixels


def said_of(path):
    with tifffile.TiffFile(path) as file:
        return file.imagej_metadata


LUTS = [np.full((3, 256), number, np.uint8) for number in (10, 20)]
SAID = {
    "Info": "objective: 63x",
    "Labels": [f"plane {number}" for number in range(6)],
    "Ranges": (3.0, 90.0, 4.0, 80.0),
    "LUTs": LUTS,
    "min": 3.0,
    "max": 90.0,
    "mode": "composite",
}


@pytest.fixture
def hyperstack(tmp_path):
    facts = {"axes": "ZCYX", **SAID}
    tifffile.imwrite(tmp_path / "a.tif", picture((3, 2, 8, 9)), imagej=True, metadata=facts)
    return read_image(tmp_path / "a.tif")


def test_what_imagej_says_comes_back(hyperstack, tmp_path):
    write_image(tmp_path / "b.tif", hyperstack.array + 1, hyperstack)
    back = said_of(tmp_path / "b.tif")
    assert {key: back[key] for key in SAID if key != "LUTs"} == {
        key: said for key, said in SAID.items() if key != "LUTs"
    }
    np.testing.assert_array_equal(back["LUTs"], LUTS)


def test_what_is_not_true_any_more_is_left_out(hyperstack, tmp_path):
    array = hyperstack.array
    write_image(tmp_path / "type.tif", array.astype(np.float32), hyperstack)
    write_image(tmp_path / "noise.tif", array, hyperstack.with_differences())
    for name in ("type.tif", "noise.tif"):
        back = said_of(tmp_path / name)
        assert back["Labels"] == SAID["Labels"]
        assert not {"Ranges", "min", "max"} & set(back)
    write_image(tmp_path / "part.tif", array[:2], hyperstack)
    back = said_of(tmp_path / "part.tif")
    assert back["Info"] == SAID["Info"]
    assert not {"Labels", "LUTs", "Ranges"} & set(back)
    write_image(tmp_path / "code.tif", array[..., :4, :4], hyperstack.with_stride(2))
    assert not set(SAID) - {"mode"} & set(said_of(tmp_path / "code.tif"))


def test_the_label_of_a_single_plane_is_kept(tmp_path):
    facts = {"axes": "YX", "Labels": ["cell 7"]}
    tifffile.imwrite(tmp_path / "a.tif", picture(), imagej=True, metadata=facts)
    first = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "b.tif", first.array, first)
    assert said_of(tmp_path / "b.tif")["Labels"] == "cell 7"


def test_grey_values_that_imagej_shows_in_colours_stay_both(tmp_path):
    image = picture((3, 8, 9))
    options = {"photometric": "palette", "colormap": green(), "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(tmp_path / "a.tif", image, imagej=True, **options)
    first = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(first.array, image)
    write_image(tmp_path / "b.tif", image, first)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.pages.first.colormap, green())
        assert file.series[0].axes == "ZYX"
    write_image(tmp_path / "c.tif", image.astype(np.float32), first)
    assert read_image(tmp_path / "c.tif").array.dtype == np.float32


def test_what_imagej_would_not_say_is_left_out(tmp_path):
    text = "ImageJ=1.54f\nInfo=5\nLabels=6\nmin=low\nmode=7\n"
    tifffile.imwrite(tmp_path / "a.tif", picture(), description=text, metadata=None)
    first = read_image(tmp_path / "a.tif")
    assert not first.imagej.said
    write_image(tmp_path / "b.tif", first.array, first)


@pytest.mark.parametrize("unit", [{}, {"unit": "pixel"}])
def test_times_are_kept_where_lengths_have_no_unit(unit, tmp_path):
    facts = {"axes": "TYX", "finterval": 2.5, **unit}
    tifffile.imwrite(tmp_path / "a.tif", picture((3, 8, 9)), imagej=True, metadata=facts)
    first = read_image(tmp_path / "a.tif")
    assert (first.spacing, first.unit) == ({"T": 2.5}, "")
    write_image(tmp_path / "b.tif", first.array, first)
    assert said_of(tmp_path / "b.tif")["finterval"] == 2.5


OF_VALUES = {"cf": 0, "c0": -32768, "c1": 1, "vunit": "grey"}
OF_PLACE = {"xorigin": 3, "yorigin": 4.5, "zorigin": 1}
OF_TIME = {"loop": True, "fps": 7}


@pytest.mark.parametrize(("unit", "seconds"), [("min", 300.0), ("sec", 5.0), ("ms", 0.005)])
def test_times_of_imagej_become_seconds(unit, seconds, tmp_path):
    facts = {"axes": "TYX", "finterval": 5, "tunit": unit}
    tifffile.imwrite(tmp_path / "a.tif", picture((3, 8, 9)), imagej=True, metadata=facts)
    first = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "b.tif", first.array, first)
    for image in (first, read_image(tmp_path / "b.tif")):
        assert image.spacing == pytest.approx({"T": seconds})
    assert "tunit" not in said_of(tmp_path / "b.tif")  # seconds, as ImageJ takes for granted


def test_a_time_of_imagej_in_an_unknown_unit_is_not_known(tmp_path):
    facts = {"axes": "TYX", "finterval": 5, "tunit": "fortnight"}
    tifffile.imwrite(tmp_path / "a.tif", picture((3, 8, 9)), imagej=True, metadata=facts)
    assert not read_image(tmp_path / "a.tif").spacing


def test_what_grey_values_stand_for_in_imagej_stays_while_they_do(tmp_path):
    facts = {"axes": "TYX", **OF_VALUES, **OF_PLACE, **OF_TIME}
    image = picture((3, 8, 9), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", image, imagej=True, metadata=facts)
    first = read_image(tmp_path / "a.tif")
    changes = {
        "same.tif": (image + 1, first, OF_VALUES | OF_PLACE | OF_TIME),
        "type.tif": (image.astype(np.float32), first, OF_PLACE | OF_TIME),
        "part.tif": (image[:2], first, OF_VALUES | OF_TIME),
        "noise.tif": (image, first.with_differences(), OF_PLACE | OF_TIME),
    }
    for name, (array, like, expected) in changes.items():
        write_image(tmp_path / name, array, like)
        back = said_of(tmp_path / name)
        assert {key: back[key] for key in facts if key != "axes" and key in back} == expected, name


# ---- colours


@pytest.mark.parametrize("name", ["b.tif", "b.ome.tif"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint32", "int16", "uint16"])
@pytest.mark.parametrize("colours", [3, 4])
def test_colours_of_every_type_are_one_page(name, dtype, colours, tmp_path):
    image = picture((30, 40, colours), dtype)
    profile = b"profile of the colours"
    like = ImageFile(tmp_path, None, "YXC", colour_profile=profile)
    write_image(tmp_path / name, image, like)
    with tifffile.TiffFile(tmp_path / name) as file:
        assert len(file.pages) == 1
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.RGB
        np.testing.assert_array_equal(file.asarray(), image)
    back = read_image(tmp_path / name)
    assert (back.axes, back.array.dtype, back.colour_profile) == ("YXC", dtype, profile)
    np.testing.assert_array_equal(back.array, image)


# ---- several images in a file


def several(path, *images):
    with tifffile.TiffWriter(path) as file:
        for image in images:
            file.write(image, photometric="minisblack")


@pytest.mark.parametrize("second", [(8, 9), (8, 10), (30, 20)])
def test_further_images_are_told_of(second, tmp_path):
    several(tmp_path / "a.tif", picture(), picture(second))
    with pytest.warns(UserWarning, match="2 images; only the first"):
        image = read_image(tmp_path / "a.tif")
    assert image.array.shape == (8, 9)


@pytest.mark.parametrize(("shape", "dtype"), [((4, 5), "uint8"), ((30, 20), "uint16")])
def test_thumbnails_and_other_things_are_passed_over(shape, dtype, tmp_path):
    several(tmp_path / "a.tif", picture(), picture(shape, dtype))
    assert read_image(tmp_path / "a.tif").array.shape == (8, 9)
