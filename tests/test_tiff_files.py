"""What TIFF files say beside the pixels, and pixels that are missing in them."""

import threading

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.tiff_damage import refuse_missing


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


# ---- what is missing, and what is damaged


def set_of_files(tmp_path, counted=True):
    """Write an OME-TIFF set of two files of one plane each; return the first."""
    names = ("one.ome.tif", "two.ome.tif")
    count = ' IFD="0" PlaneCount="1"' if counted else ""
    planes = "".join(
        f'<TiffData FirstT="{place}"{count}>'
        f'<UUID FileName="{name}">urn:uuid:{place}</UUID></TiffData>'
        for place, name in enumerate(names)
    )
    for place, name in enumerate(names):
        text = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{place}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint8" SizeX="9" SizeY="8" SizeZ="1" SizeC="1" '
            f'SizeT="2"><Channel ID="Channel:0:0"/>{planes}</Pixels></Image></OME>'
        )
        plane = np.full((8, 9), place + 1, np.uint8)
        tifffile.imwrite(tmp_path / name, plane, description=text, metadata=None)
    return tmp_path / names[0]


@pytest.mark.parametrize("counted", [True, False])
def test_planes_that_are_not_in_the_file_do_not_become_black(counted, tmp_path, refused):
    tifffile.imwrite(tmp_path / "whole.ome.tif", picture((5, 8, 9)), metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "whole.ome.tif") as file:
        text = file.ome_metadata
    if not counted:
        text = text.replace(' IFD="0" PlaneCount="5"', "")
    options = {"description": text, "metadata": None, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.ome.tif", picture((2, 8, 9)), **options)
    with refused("3 of 5 planes", tmp_path / "a.ome.tif", remedy="save the planes"):
        read_image(tmp_path / "a.ome.tif")


def test_files_of_a_set_that_are_not_there_do_not_become_black(tmp_path, refused):
    path = set_of_files(tmp_path)
    np.testing.assert_array_equal(read_image(path).array.max((1, 2)), [1, 2])
    (tmp_path / "two.ome.tif").unlink()
    with refused("1 of 2 planes", path, '"two.ome.tif"', remedy="one folder"):
        read_image(path)


def test_a_set_of_files_without_counts_is_refused_by_the_name_that_is_missing(tmp_path, refused):
    set_of_files(tmp_path, counted=False).unlink()
    with refused(tmp_path / "two.ome.tif", '"one.ome.tif" is not beside it'):
        read_image(tmp_path / "two.ome.tif")


class Series(list):
    """What tifffile makes of the pages of an image."""

    dataoffset = None


def test_what_is_missing_in_files_of_micro_manager(tmp_path, refused):
    path = tmp_path / "a_MMStack.ome.tif"
    cut_off = ["<TiffFile> MMStack is missing 2 pages. Missing data are zeroed"]
    with refused("2 of 3 planes", path):
        refuse_missing(path, Series("abc"), cut_off)
    part = ["<TiffFile> MMStack series is missing files. Returning subset (2, 1) of (4, 1)"]
    with pytest.warns(UserWarning, match=r"one of several files.*: 2 planes"):
        refuse_missing(path, Series("ab"), part)
    refuse_missing(path, Series("ab"), ["<TiffFile> odd, but whole"])


def test_the_damage_of_one_image_is_not_laid_on_another(tmp_path, monkeypatch, caplog):
    good, broken = tmp_path / "good.tif", tmp_path / "broken.tif"
    tifffile.imwrite(good, picture())
    with tifffile.TiffWriter(broken) as file:
        for _ in range(3):
            file.write(picture((64, 64)), metadata=None, contiguous=False)
    broken.write_bytes(broken.read_bytes()[:6000])
    read = tifffile.TiffPageSeries.asarray
    failures = []

    def elsewhere():
        tifffile.logger().warning("another program's own file")
        failures.append(pytest.raises(DenoisingError, read_image, broken))

    def meanwhile(series, **options):
        if series.parent.filename == "good.tif":
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
        return read(series, **options)

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", meanwhile)
    np.testing.assert_array_equal(read_image(good).array, picture())
    assert "a part of it is missing" in failures[0].value.cause
    assert caplog.messages == ["another program's own file"]
    assert tifffile.logger().propagate
