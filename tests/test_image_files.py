from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_ae_denoise.cli import app
from napari_ae_denoise.image_files import (
    check_writable,
    find_images,
    format_of,
    read_image,
    write_image,
)
from napari_ae_denoise.image_record import ImageFile


def picture(shape=(12, 10), dtype="uint8", seed=0):
    values = np.random.default_rng(seed).integers(0, 200, shape)
    return values.astype(dtype)


def leftovers(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


# ---- round trips


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "axes"),
    [
        ("a.tif", (12, 10), "uint8", "YX"),
        ("a.tif", (12, 10), "float64", "YX"),
        ("a.tiff", (3, 12, 10), "uint16", "ZYX"),
        ("a.tif", (2, 3, 12, 10), "int16", "TCYX"),
        ("a.tif", (2, 3, 4, 12, 10), "float32", "NTZYX"),
        ("a.tif", (12, 10, 3), "uint8", "YXC"),
        ("a.tif", (12, 10, 4), "uint16", "YXC"),
        ("a.tif", (5, 12, 10, 3), "uint8", "ZYXC"),
        ("a.tif", (12, 10), "bool", "YX"),
        ("a.ome.tif", (2, 3, 12, 10), "uint16", "CZYX"),
        ("a.png", (12, 10), "uint8", "YX"),
        ("a.png", (12, 10), "uint16", "YX"),
        ("a.png", (12, 10, 3), "uint8", "YXC"),
        ("a.png", (12, 10, 4), "uint8", "YXC"),
        ("a.zarr", (3, 12, 10), "float32", "ZYX"),
        ("a.zarr", (12, 10, 3), "uint8", "YXC"),
        ("a.ome.zarr", (2, 3, 12, 10), "uint16", "TZYX"),
    ],
)
def test_what_is_written_is_read(tmp_path, name, shape, dtype, axes):
    image = picture(shape, dtype)
    write_image(tmp_path / name, image, axes=axes)
    back = read_image(tmp_path / name)
    assert back.array.dtype == image.dtype
    np.testing.assert_array_equal(np.asarray(back.array), image)
    assert back.axes == axes
    assert not leftovers(tmp_path)


def test_numpy_files_know_no_axes(tmp_path):
    image = picture((4, 12, 10), ">i2")
    write_image(tmp_path / "a.npy", image)
    back = read_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(back.array, image)
    assert back.axes is None


def test_an_array_without_pixels_is_read_as_such(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 5), np.uint8))
    assert read_image(tmp_path / "a.npy").array.shape == (0, 5)


def test_jpeg_is_near(tmp_path):
    image = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (48, 1))
    write_image(tmp_path / "a.jpg", image)
    back = read_image(tmp_path / "a.jpg").array
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 2


# ---- metadata


def test_imagej_pixel_size_survives_and_is_read_by_others(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(
        path,
        picture((2, 5, 12, 10), "uint16"),
        imagej=True,
        resolution=(1 / 0.26, 1 / 0.31),
        metadata={"axes": "TZYX", "spacing": 0.9, "unit": "micron", "finterval": 2.5},
    )
    image = read_image(path)
    assert (image.axes, image.unit, image.flavour) == ("TZYX", "micrometer", "imagej")
    expected = {"X": 0.26, "Y": 0.31, "Z": 0.9, "T": 2.5}
    assert dict(image.spacing) == pytest.approx(expected, rel=1e-5)

    write_image(tmp_path / "out.tif", image.array + 1, image)
    back = read_image(tmp_path / "out.tif")
    assert (back.axes, back.unit, back.flavour) == ("TZYX", "micrometer", "imagej")
    assert dict(back.spacing) == pytest.approx(expected, rel=1e-5)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.imagej_metadata["spacing"] == 0.9
        assert file.imagej_metadata["unit"] == "micron"
        assert file.imagej_metadata["finterval"] == 2.5


def test_ome_pixel_size_survives(tmp_path):
    path = tmp_path / "in.ome.tif"
    facts = {
        "axes": "CZYX",
        "PhysicalSizeX": 120.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.13,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 0.5,
        "PhysicalSizeZUnit": "µm",
    }
    tifffile.imwrite(path, picture((2, 4, 12, 10), "uint16"), ome=True, metadata=facts)
    image = read_image(path)
    assert (image.axes, image.unit, image.flavour) == ("CZYX", "nanometer", "ome")
    expected = {"X": 120.0, "Y": 130.0, "Z": 500.0}
    assert dict(image.spacing) == pytest.approx(expected)

    write_image(tmp_path / "out.tif", image.array, image)
    back = read_image(tmp_path / "out.tif")
    assert (back.axes, back.unit, back.flavour) == ("CZYX", "nanometer", "ome")
    assert dict(back.spacing) == pytest.approx(expected)
    np.testing.assert_array_equal(back.array, image.array)


@pytest.mark.parametrize("text", ["\\u00B5m", "um", "micron", "microns"])
def test_every_spelling_of_micrometer_is_one(tmp_path, text):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, picture(), imagej=True, resolution=(2, 2), metadata={"unit": text, "axes": "YX"}
    )
    image = read_image(path)
    assert image.unit == "micrometer"
    assert image.spacing["X"] == pytest.approx(0.5)


def test_an_imagej_file_without_a_unit_has_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(), imagej=True)
    image = read_image(tmp_path / "a.tif")
    assert dict(image.spacing) == {}
    assert image.unit == ""


def test_pixels_an_inch_survive(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(), resolution=(300, 300), resolutionunit="inch")
    image = read_image(tmp_path / "a.tif")
    assert image.unit == "inch"
    write_image(tmp_path / "b.tif", image.array, image)
    assert read_image(tmp_path / "b.tif").spacing["Y"] == pytest.approx(1 / 300)


def test_what_imagej_cannot_hold_keeps_its_pixel_size_another_way(tmp_path):
    like = ImageFile(tmp_path, None, "ZYX", {"Z": 2.0, "Y": 0.5, "X": 0.5}, "micrometer", "imagej")
    write_image(tmp_path / "a.tif", picture((3, 12, 10), "float64"), like)
    back = read_image(tmp_path / "a.tif")
    assert back.array.dtype == np.float64
    assert back.flavour == "ome"
    assert dict(back.spacing) == pytest.approx({"Z": 2.0, "Y": 0.5, "X": 0.5})


def test_a_code_has_pixels_of_its_stride(tmp_path):
    like = ImageFile(tmp_path, None, "YX", {"Y": 0.5, "X": 0.25}, "micrometer", "imagej")
    write_image(tmp_path / "c.tif", picture((6, 4, 3), "float32"), like.with_stride(4), axes="CYX")
    back = read_image(tmp_path / "c.tif")
    assert back.axes == "CYX"
    assert dict(back.spacing) == pytest.approx({"Y": 2.0, "X": 1.0})


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("QYX", (5, 12, 10), "NYX"),
        ("QZYX", (2, 5, 12, 10), "NZYX"),
        ("IYXS", (5, 12, 10, 3), "NYXC"),
    ],
)
def test_letters_of_others_become_ours(tmp_path, axes, shape, expected):
    photometric = "rgb" if axes.endswith("S") else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tif", picture(shape), photometric=photometric, metadata={"axes": axes}
    )
    assert read_image(tmp_path / "a.tif").axes == expected


def test_colours_beside_channels_are_told_apart(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        picture((2, 12, 10, 3)),
        imagej=True,
        metadata={"axes": "CYXS"},
        photometric="rgb",
    )
    assert read_image(tmp_path / "a.tif").axes == "NYXC"


def test_the_colour_profile_of_a_photograph_survives(tmp_path):
    from PIL import Image, ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(picture((12, 10, 3))).save(tmp_path / "a.png", icc_profile=profile)
    image = read_image(tmp_path / "a.png")
    for name in ("b.png", "b.jpg", "b.tif"):
        write_image(tmp_path / name, image.array, image)
        assert read_image(tmp_path / name).colour_profile == profile


# what a camera does to an upright picture before it writes it with an orientation, and EXIF undoes
LYING = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: np.rot90(upright, -1),
}


def photograph(path, orientation, colours):
    """Write an upright picture as a camera does that was held so; return the picture."""
    from PIL import Image

    upright = np.zeros((48, 32, 3) if colours else (48, 32), np.uint8)
    upright[:24, :16] = 240  # no two of its eight turns are alike
    upright[:24, 16:] = 160
    upright[24:, :16] = 80
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = np.ascontiguousarray(LYING[orientation](upright))
    Image.fromarray(lying).save(path, exif=exif)
    return upright


@pytest.mark.parametrize("colours", [False, True], ids=["gray", "colours"])
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("orientation", LYING)
def test_photographs_are_turned_upright_once(orientation, name, colours, tmp_path):
    from PIL import Image, ImageOps

    upright = photograph(tmp_path / name, orientation, colours)
    image = read_image(tmp_path / name)
    np.testing.assert_allclose(image.array.astype(int), upright, atol=40)  # a jpg is near
    assert np.median(np.abs(image.array.astype(int) - upright)) <= 3
    for copy in ("b.jpg", "b.png", "b.tif"):
        write_image(tmp_path / copy, image.array, image)
        again = read_image(tmp_path / copy).array
        assert np.median(np.abs(again.astype(int) - upright)) <= 3
        with Image.open(tmp_path / copy) as file:  # nor does another program turn it once more
            assert ImageOps.exif_transpose(file).size == (32, 48)
            assert file.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", LYING)
def test_the_command_line_writes_photographs_upright(orientation, untrained, tmp_path):
    from PIL import Image, ImageOps

    upright = photograph(tmp_path / "a.jpg", orientation, True)
    model = str(untrained("plain").save(tmp_path / "m.safetensors"))
    for name in ("b.jpg", "b.png"):
        # at no strength the network does nothing to the picture
        words = ["denoise", str(tmp_path / "a.jpg"), "-m", model, "--strength", "0"]
        done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        with Image.open(tmp_path / name) as file:
            shown = np.asarray(ImageOps.exif_transpose(file)).astype(int)
        assert shown.shape == upright.shape
        assert np.median(np.abs(shown - upright)) <= 3


@pytest.mark.parametrize(("mode", "shape"), [("P", 3), ("LA", 4), ("RGBA", 4)])
def test_photographs_of_every_mode_are_colours(tmp_path, mode, shape):
    from PIL import Image

    Image.fromarray(picture((12, 10, 3))).convert("RGBA" if mode == "RGBA" else "L").convert(
        mode
    ).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.axes == "YXC"
    assert image.array.shape == (12, 10, shape)


# ---- zarr


def test_zarr_is_read_lazily(tmp_path):
    import zarr

    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(8, 64, 64), chunks=(1, 32, 32), dtype="u2"
    )
    array[3] = 7
    image = read_image(tmp_path / "a.zarr")
    assert type(image.array).__module__.startswith("dask")
    assert image.array.chunks[0] == (1,) * 8
    assert int(image.array[3, 5, 5].compute()) == 7


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_full_resolution_of_ome_zarr_is_read(tmp_path, version):
    import zarr

    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2 if version == "0.4" else 3)
    full = group.create_array("full", shape=(3, 16, 12), dtype="u1", chunks=(1, 16, 12))
    full[:] = picture((3, 16, 12))
    group.create_array("half", shape=(3, 8, 6), dtype="u1", chunks=(1, 8, 6))

    def level(path, step):
        scale = {"type": "scale", "scale": [0.6, step, step]}
        return {"path": path, "coordinateTransformations": [scale]}

    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    described = {"axes": axes, "datasets": [level("full", 0.2), level("half", 0.4)]}
    if version == "0.4":
        group.attrs["multiscales"] = [described | {"version": version}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [described]}

    image = read_image(tmp_path / "a.zarr")
    assert image.array.shape == (3, 16, 12)
    assert (image.axes, image.unit) == ("ZYX", "micrometer")
    assert dict(image.spacing) == pytest.approx({"Z": 0.6, "Y": 0.2, "X": 0.2})

    write_image(tmp_path / "b.zarr", image.array, image)
    back = read_image(tmp_path / "b.zarr")
    np.testing.assert_array_equal(np.asarray(back.array), picture((3, 16, 12)))
    assert (back.axes, back.unit, back.flavour) == ("ZYX", "micrometer", "ome")
    assert dict(back.spacing) == dict(image.spacing)


def test_ome_zarr_puts_channels_before_the_plane(tmp_path):
    colours = picture((12, 10, 3))
    write_image(tmp_path / "a.ome.zarr", colours, axes="YXC")
    back = read_image(tmp_path / "a.ome.zarr")
    assert back.axes == "CYX"
    np.testing.assert_array_equal(np.asarray(back.array), np.moveaxis(colours, -1, 0))


def test_a_zarr_folder_takes_the_place_of_another(tmp_path):
    write_image(tmp_path / "a.zarr", picture((12, 10)))
    write_image(tmp_path / "a.zarr", picture((4, 5, 6), seed=1), axes="ZYX")
    back = read_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(np.asarray(back.array), picture((4, 5, 6), seed=1))
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_a_zarr_folder_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    import dask.array

    write_image(tmp_path / "a.zarr", picture())

    def fail(block):
        if block.size:
            raise OSError("the disk is full")
        return block

    broken = dask.array.zeros((12, 10), dtype="u1").map_blocks(fail, dtype="u1")
    with pytest.raises(ValueError, match="the disk is full"):
        write_image(tmp_path / "a.zarr", broken)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.zarr").array), picture())
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_a_zarr_folder_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path, monkeypatch, refused
):
    write_image(tmp_path / "a.zarr", picture())
    replace = Path.replace

    def fail_for_the_new_one(self, target):
        if self.name.endswith(".part"):
            raise PermissionError(13, "the folder is open elsewhere")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_for_the_new_one)
    with refused("a.zarr", "open elsewhere"):
        write_image(tmp_path / "a.zarr", picture(seed=1))
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.zarr").array), picture())
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_a_group_that_is_no_image_is_refused(tmp_path, refused):
    import zarr

    zarr.open_group(tmp_path / "a.zarr", mode="w")
    with refused("no OME-Zarr image"):
        read_image(tmp_path / "a.zarr")


# ---- refusals


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy", "a.zarr"])
def test_a_missing_file_is_named(tmp_path, refused, name):
    with refused("no image file", name, remedy="path"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.bmp"])
def test_unknown_endings_are_refused(tmp_path, refused, name):
    (tmp_path / name).write_bytes(b"x")
    with refused(name, "no image format", remedy=".tif"):
        read_image(tmp_path / name)
    with refused(name, "no image format"):
        write_image(tmp_path / name, picture())


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.png", "a.jpg", "a.npy"])
@pytest.mark.parametrize("kept", [0, 0.1, 0.6])
def test_a_file_that_was_cut_off_is_refused(tmp_path, refused, name, kept):
    path = tmp_path / name
    write_image(path, picture((64, 64)))
    blob = path.read_bytes()
    path.write_bytes(blob[: int(kept * len(blob))])
    with refused(name):
        read_image(path)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("flavour", ["", "imagej"])
def test_a_stack_that_lacks_planes_is_refused(tmp_path, refused, name, flavour, capfd):
    like = ImageFile(tmp_path, None, "ZYX", {"Z": 1.0}, "micrometer" if flavour else "", flavour)
    write_image(tmp_path / name, picture((8, 64, 64)), like)
    blob = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(blob[: len(blob) * 2 // 3])
    with refused(name, "missing"):
        read_image(tmp_path / name)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.npy"])
def test_a_file_of_something_else_is_refused(tmp_path, refused, name):
    (tmp_path / name).write_bytes(b"This is a letter to my aunt. " * 40)
    with refused(name, "cannot be read"):
        read_image(tmp_path / name)


def test_python_objects_are_never_opened(tmp_path, refused):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with refused("Python objects", remedy="numbers"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "axes"),
    [
        ("a.png", (12, 10), "float32", "YX"),
        ("a.png", (3, 12, 10), "uint8", "ZYX"),
        ("a.png", (12, 10, 3), "uint16", "YXC"),
        ("a.jpg", (12, 10), "uint16", "YX"),
        ("a.jpg", (12, 10, 4), "uint8", "YXC"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_before_and_when_writing(
    tmp_path, refused, name, shape, dtype, axes
):
    with refused(dtype, str(shape), axes, remedy=".tif"):
        check_writable(tmp_path / name, shape, dtype, axes)
    with refused(dtype, str(shape)):
        write_image(tmp_path / name, picture(shape, dtype), axes=axes)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path, refused):
    with refused("no folder", "nowhere"):
        write_image(tmp_path / "nowhere" / "a.tif", picture())


def test_wrong_axes_are_refused(tmp_path, refused):
    with refused("ZYX", "(12, 10)"):
        write_image(tmp_path / "a.tif", picture(), axes="ZYX")


# ---- paths


def test_folders_stand_for_their_images(tmp_path, refused):
    for name in ("b.tif", "a.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"")
    write_image(tmp_path / "c.zarr", picture())
    assert [p.name for p in find_images([tmp_path])] == ["a.png", "b.tif", "c.zarr"]
    assert find_images([tmp_path / "c.zarr"]) == [tmp_path / "c.zarr"]
    (tmp_path / "empty").mkdir()
    with refused("holds no images", "empty"):
        find_images([tmp_path / "empty"])
    with refused("no image file", "x.tif"):
        find_images([tmp_path / "x.tif"])


def test_a_zarr_folder_is_known_without_its_ending(tmp_path):
    write_image(tmp_path / "a.zarr", picture())
    (tmp_path / "a.zarr").rename(tmp_path / "well_1")
    assert format_of(tmp_path / "well_1") == "zarr"
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "well_1").array), picture())
