"""Round trips of what files say about images: axes, pixel size, units, channels, type."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr
from typer.testing import CliRunner

from napari_ae_denoise.cli import app
from napari_ae_denoise.image_files import FORMATS, check_writable, read_image, write_image
from napari_ae_denoise.image_record import Channel, ImageFile
from napari_ae_denoise.ome_zarr import attributes_of

MICRO = "micrometer"
STACK = {"Z": 0.7, "Y": 0.25, "X": 0.2}
DAPI = (Channel("DAPI"), Channel("GFP"))


def picture(shape, dtype="uint16"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


# name, axes, shape, dtype, spacing, unit, channels: what each format must bring back
CASES = {
    "imagej": ("a.tif", "TZCYX", (2, 3, 2, 8, 9), "uint16", {**STACK, "T": 1.5}, MICRO, ()),
    "imagej channels": ("a.tif", "CYX", (2, 8, 9), "float32", {"Y": 0.2, "X": 0.2}, MICRO, DAPI),
    "ome": ("a.ome.tif", "TCZYX", (2, 2, 3, 8, 9), "uint16", {**STACK, "T": 0.5}, MICRO, DAPI),
    "ome float": ("a.ome.tif", "ZYX", (3, 8, 9), "float64", STACK, "nanometer", ()),
    "ome int": ("a.ome.tif", "CYX", (2, 8, 9), "int32", {"Y": 2.0, "X": 2.0}, "millimeter", DAPI),
    "plain tiff": ("a.tif", "YX", (8, 9), "float64", {"Y": 0.01, "X": 0.02}, "centimeter", ()),
    "zarr 0.4": ("a.ome.zarr", "TCZYX", (2, 2, 3, 8, 9), "uint16", {**STACK, "T": 2}, MICRO, DAPI),
    "zarr 0.5": ("a.ome.zarr", "CZYX", (2, 3, 8, 9), "float32", STACK, "nanometer", DAPI),
}


@pytest.mark.parametrize("case", CASES)
def test_all_that_is_known_of_an_image_comes_back(case, tmp_path):
    name, axes, shape, dtype, spacing, unit, channels = CASES[case]
    version = case.removeprefix("zarr ") if "zarr" in case else ""
    flavour = case.split()[0] if case.startswith("imagej") else ""
    image = picture(shape, dtype)
    like = ImageFile(tmp_path, None, axes, spacing, unit, flavour, version, channels)
    write_image(tmp_path / name, image, like)
    first = read_image(tmp_path / name)
    write_image(tmp_path / f"b{name}", first.array, first)  # and once more, as it came
    for back in (first, read_image(tmp_path / f"b{name}")):
        assert back.axes == axes
        assert back.array.dtype == image.dtype
        np.testing.assert_array_equal(np.asarray(back.array), image)
        assert dict(back.spacing) == pytest.approx(dict(spacing), rel=1e-5)
        assert back.unit == unit
        assert [c.name for c in back.channels] == [c.name for c in channels]
        assert back.ome_version == version
        assert "imagej" not in case or back.flavour == "imagej"


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.npy"])
def test_the_byte_order_of_an_image_changes_nothing(name, tmp_path):
    image = picture((2, 3, 8, 9)).astype(">u2")
    spacing = {"Z": 2.0, "Y": 0.5, "X": 0.5}
    like = ImageFile(tmp_path, None, "CZYX", spacing, MICRO, channels=DAPI)
    write_image(tmp_path / name, image, like)
    back = read_image(tmp_path / name)
    np.testing.assert_array_equal(back.array, image)
    if name != "a.npy":
        assert (back.axes, back.unit, back.spacing) == ("CZYX", MICRO, spacing)
        assert [c.name for c in back.channels] == ["DAPI", "GFP"]


def test_the_byte_order_of_a_photograph_changes_nothing(tmp_path):
    image = picture((8, 9)).astype(">u2")
    check_writable(tmp_path / "a.png", image.shape, image.dtype, "YX")
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array, image)


def test_channels_go_from_one_format_to_another(tmp_path):
    like = ImageFile(tmp_path, None, "CYX", {"Y": 0.2, "X": 0.2}, MICRO, channels=DAPI)
    image = picture((2, 8, 9))
    write_image(tmp_path / "a.ome.zarr", image, like)
    zarred = read_image(tmp_path / "a.ome.zarr")
    write_image(tmp_path / "a.tif", zarred.array, zarred)
    assert [c.name for c in read_image(tmp_path / "a.tif").channels] == ["DAPI", "GFP"]
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert 'Name="DAPI"' in file.ome_metadata


def test_a_channels_colour_and_window_are_kept(tmp_path):
    channels = (Channel("DAPI", "0000FF", (0, 4095, 100, 900)), Channel("GFP"))
    like = ImageFile(tmp_path, None, "CYX", channels=channels)
    image = picture((2, 8, 9))
    write_image(tmp_path / "a.ome.zarr", image, like)
    back = read_image(tmp_path / "a.ome.zarr").channels
    assert back[0] == channels[0]
    assert back[1].window == (0, 65535, image.min(), image.max())


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_others_take_our_images_for_valid(version, tmp_path):
    number = version.replace(".", "")
    models = pytest.importorskip(f"ome_zarr_models.v{number}.image")
    like = ImageFile(tmp_path, None, "CZYX", STACK, MICRO, "ome", version, DAPI)
    write_image(tmp_path / "a.ome.zarr", picture((2, 3, 8, 9)), like)
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    if version == "0.5":
        models.Image.from_zarr(group)
    else:
        models.ImageAttrs.model_validate(dict(group.attrs))
    assert group.metadata.zarr_format == (2 if version == "0.4" else 3)
    assert ("ome" in group.attrs) == (version == "0.5")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_is_no_ome_zarr_is_never_written(version, tmp_path, refused):
    like = ImageFile(tmp_path, np.zeros((8, 9)), "YX", STACK, MICRO, "ome", version)
    colours = replace(like, array=np.zeros((1, 8, 9)), channels=(Channel("DAPI", "purple"),))
    entries = attributes_of(tmp_path, colours, "CYX")
    assert entries.get("ome", entries)["omero"]["channels"][0]["color"] == "FFFFFF"
    with refused(f"OME-Zarr {version}", "datasets"):
        attributes_of(tmp_path, like, "YX", ())


@pytest.mark.parametrize(
    ("omero", "number"),
    [(None, 0), (3, 0), ({"channels": 4}, 0), ({"channels": [5, {"window": 6}]}, 2)],
)
def test_channels_that_are_not_right_are_left_out(omero, number, tmp_path):
    write_image(tmp_path / "a.ome.zarr", picture((2, 8, 9)), axes="CYX")
    zarr.open_group(tmp_path / "a.ome.zarr", mode="r+").attrs["omero"] = omero
    back = read_image(tmp_path / "a.ome.zarr")
    assert [channel.window for channel in back.channels] == [None] * number


@pytest.mark.parametrize(("unit", "seconds"), [("second", 3.0), ("millisecond", 3e-3)])
def test_axes_of_ome_zarr_may_each_have_a_unit(unit, seconds, tmp_path):
    write_image(tmp_path / "a.ome.zarr", picture((2, 3, 8, 9)), axes="TZYX")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r+")
    described = group.attrs["multiscales"]
    for axis, name in zip(described[0]["axes"], [unit, "nanometer", MICRO, MICRO], strict=True):
        axis["unit"] = name
    described[0]["datasets"][0]["coordinateTransformations"][0]["scale"] = [3, 500, 0.2, 0.2]
    group.attrs["multiscales"] = described
    back = read_image(tmp_path / "a.ome.zarr")
    assert back.unit == MICRO
    assert dict(back.spacing) == pytest.approx({"T": seconds, "Z": 0.5, "Y": 0.2, "X": 0.2})


@pytest.mark.parametrize(("unit", "seconds"), [("ms", 0.25), ("min", 15000.0), ("s", 250.0)])
def test_times_of_ome_tiff_become_seconds(unit, seconds, tmp_path):
    facts = {"axes": "TYX", "TimeIncrement": 250.0, "TimeIncrementUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", picture((2, 8, 9)), metadata=facts)
    assert read_image(tmp_path / "a.ome.tif").spacing["T"] == pytest.approx(seconds)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_denoising_keeps_what_is_known(version, untrained, tmp_path):
    model = untrained("plain").save(tmp_path / "m.safetensors")
    like = ImageFile(tmp_path, None, "CYX", {"Y": 0.2, "X": 0.2}, MICRO, "ome", version, DAPI)
    write_image(tmp_path / "in.ome.zarr", picture((2, 24, 28)), like)
    for name in ("out.ome.zarr", "out.ome.tif"):
        words = ["denoise", tmp_path / "in.ome.zarr", "-o", tmp_path / name, "-m", model]
        done = CliRunner().invoke(
            app, [*map(str, words), "--latent", str(tmp_path / f"l{name}.tif")]
        )
        assert done.exit_code == 0, done.output
        back = read_image(tmp_path / name)
        assert [c.name for c in back.channels] == ["DAPI", "GFP"]
        assert (back.unit, back.array.dtype, back.axes) == (MICRO, np.uint16, "CYX")
        assert not read_image(tmp_path / f"l{name}.tif").channels
        assert back.ome_version == (version if name.endswith("zarr") else "")


@pytest.mark.parametrize("ending", [".czi", ".nd2", ".lif", ".LSM", ".ims"])
def test_files_of_microscopes_are_refused_with_who_reads_them(ending, tmp_path, refused):
    path = tmp_path / f"a{ending}"
    path.write_bytes(b"anything")
    with refused(path, "not read here", remedy="bioio-") as caught:
        read_image(path)
    assert "ndevio" in caught.value.remedy
    assert ending.lower() not in FORMATS


def test_a_tiff_of_an_unknown_time_unit_has_no_time(tmp_path):
    facts = {"axes": "TYX", "TimeIncrement": 2.0, "TimeIncrementUnit": "d"}
    tifffile.imwrite(tmp_path / "a.ome.tif", picture((2, 8, 9)), metadata=facts)
    assert "T" not in json.loads(json.dumps(dict(read_image(tmp_path / "a.ome.tif").spacing)))


# ---- what OME-Zarr leaves open


def rescaled(path, scale, **changes):
    """Give the only level of an OME-Zarr image a scale, and take all units away."""
    group = zarr.open_group(path, mode="r+")
    described = group.attrs["multiscales"]
    for axis in described[0]["axes"]:
        axis.pop("unit", None)
    steps = [{"type": "scale", "scale": scale}, *changes.get("steps", ())]
    described[0]["datasets"][0]["coordinateTransformations"] = steps
    group.attrs["multiscales"] = described


def test_a_scale_without_units_is_kept_without_units(untrained, tmp_path):
    write_image(tmp_path / "a.ome.zarr", picture((2, 24, 28)), axes="TYX")
    rescaled(tmp_path / "a.ome.zarr", [3.0, 0.5, 0.25])
    first = read_image(tmp_path / "a.ome.zarr")
    write_image(tmp_path / "b.ome.zarr", first.array, first)
    model = untrained("plain").save(tmp_path / "m.safetensors")
    words = ["denoise", tmp_path / "a.ome.zarr", "-o", tmp_path / "c.ome.zarr", "-m", model]
    assert CliRunner().invoke(app, list(map(str, words))).exit_code == 0
    for name in "abc":
        back = read_image(tmp_path / f"{name}.ome.zarr")
        assert back.spacing == {"T": 3.0, "Y": 0.5, "X": 0.25}
        assert (back.unit, back.time_unit) == ("", "")
        described = zarr.open_group(tmp_path / f"{name}.ome.zarr", mode="r").attrs["multiscales"]
        assert not any("unit" in axis for axis in described[0]["axes"])


def test_the_pixel_size_of_a_mirrored_axis_is_kept(tmp_path):
    write_image(tmp_path / "a.ome.zarr", picture((2, 24, 28)), axes="ZYX")
    rescaled(tmp_path / "a.ome.zarr", [3.0, -0.5, 0.25])
    image = read_image(tmp_path / "a.ome.zarr")
    assert image.spacing == {"Z": 3.0, "Y": 0.5, "X": 0.25}


@pytest.mark.parametrize("wrong", [0.0, float("inf"), float("nan")])
def test_a_scale_that_no_pixel_can_have_is_left_out(wrong, tmp_path):
    write_image(tmp_path / "a.ome.zarr", picture((2, 24, 28)), axes="ZYX")
    rescaled(tmp_path / "a.ome.zarr", [3.0, wrong, 0.25])
    image = read_image(tmp_path / "a.ome.zarr")
    assert image.spacing == {"Z": 3.0, "X": 0.25}
    for name in ("b.tif", "b.ome.tif", "b.ome.zarr"):
        write_image(tmp_path / name, np.asarray(image.array), image)
        assert "Y" not in read_image(tmp_path / name).spacing or name.endswith("zarr")


def test_a_code_lies_over_its_image_though_that_has_no_pixel_size(untrained, tmp_path):
    model = untrained("plain").save(tmp_path / "m.safetensors")
    stride = untrained("plain").stride
    write_image(tmp_path / "a.tif", picture((24, 28)))
    write_image(tmp_path / "a.ome.zarr", picture((24, 28)), axes="YX")
    for name in ("a.tif", "a.ome.zarr"):  # by memory, and straight to disk
        code = tmp_path / f"{name}.code.ome.zarr"
        words = ["encode", tmp_path / name, "-o", code, "-m", model]
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.exit_code == 0, done.output
        back = read_image(code)
        assert back.spacing == {"Y": stride, "X": stride}
        assert back.origin == {"Y": (stride - 1) / 2, "X": (stride - 1) / 2}
        assert back.unit == ""


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_a_time_without_a_unit_does_not_become_seconds(name, tmp_path):
    spacing = {"T": 3.0, "Z": 2.0, "Y": 0.5, "X": 0.5}
    like = ImageFile(tmp_path, None, "TZYX", spacing, time_unit="")
    write_image(tmp_path / name, picture((2, 3, 8, 9)), like)
    back = read_image(tmp_path / name)
    assert "T" not in back.spacing
    assert back.unit == ""


def test_a_scale_of_one_without_a_unit_says_nothing(tmp_path):
    write_image(tmp_path / "a.ome.zarr", picture((2, 3, 8, 9)), axes="TZYX")
    assert not read_image(tmp_path / "a.ome.zarr").spacing
    rescaled(tmp_path / "a.ome.zarr", [1.0, 2.0, 1.0, 1.0])
    assert read_image(tmp_path / "a.ome.zarr").spacing == {"Z": 2.0, "Y": 1.0, "X": 1.0}


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
def test_infinity_never_gets_into_the_attributes(wrong, tmp_path):
    image = np.linspace(2, 7, 2 * 8 * 9, dtype=np.float32).reshape(2, 8, 9)
    image[0, 3, 3] = wrong
    write_image(tmp_path / "a.ome.zarr", image, ImageFile(tmp_path, None, "CYX", channels=DAPI))
    text = (tmp_path / "a.ome.zarr" / ".zattrs").read_text()
    json.loads(text, parse_constant=pytest.fail)
    window = json.loads(text)["omero"]["channels"][0]["window"]
    assert window == {"min": 0, "max": 7, "start": 2, "end": 7}


def test_channels_without_a_finite_pixel_have_a_window_all_the_same(tmp_path):
    image = np.full((2, 8, 9), np.nan, np.float32)
    write_image(tmp_path / "a.ome.zarr", image, ImageFile(tmp_path, None, "CYX", channels=DAPI))
    assert read_image(tmp_path / "a.ome.zarr").channels[0].window == (0, 1, 0, 1)


# ---- axes that OME-Zarr has not


def test_the_code_of_an_ome_tiff_with_channels_goes_to_a_plain_zarr(untrained, tmp_path):
    model = untrained("plain").save(tmp_path / "m.safetensors")
    like = ImageFile(tmp_path, None, "CYX", {"Y": 0.2, "X": 0.2}, MICRO, channels=DAPI)
    write_image(tmp_path / "c.ome.tif", picture((2, 24, 28)), like)
    words = ["encode", tmp_path / "c.ome.tif", "-o", tmp_path / "code.zarr", "-m", model]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert read_image(tmp_path / "code.zarr").axes == "CNYX"


def test_what_no_ome_zarr_can_hold_is_refused_before_the_work(tmp_path, refused):
    with refused('"CNYX"', remedy="without .ome"):
        check_writable(tmp_path / "a.ome.zarr", (8, 2, 6, 7), "float32", "CNYX")
    check_writable(tmp_path / "a.zarr", (8, 2, 6, 7), "float32", "CNYX")
    image = picture((8, 2, 6, 7))
    like = ImageFile(tmp_path, None, "CNYX", ome_version="0.4")  # the advice can be followed
    write_image(tmp_path / "a.zarr", image, like)
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr").array, image)


@pytest.mark.parametrize("command", ["denoise", "encode"])
def test_a_code_that_goes_straight_to_disk_has_axes_that_fit(command, untrained, tmp_path):
    model = untrained("plain").save(tmp_path / "m.safetensors")
    like = ImageFile(tmp_path, None, "CYX", ome_version="0.4", channels=DAPI)
    write_image(tmp_path / "c.ome.zarr", picture((2, 24, 28)), like)
    words = [command, tmp_path / "c.ome.zarr", "-m", model, "-o"]
    code = [tmp_path / "code.ome.zarr"]
    words += code if command == "encode" else [tmp_path / "d.ome.zarr", "--latent", *code]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert read_image(*code).axes == "CYX"


# ---- where the first pixel lies


def moved(path, units=MICRO, whole=()):
    """Write an OME-Zarr image of two levels that does not begin at zero."""
    like = ImageFile(path, None, "TYX", {"T": 2.0, "Y": 0.5, "X": 0.25}, units, ome_version="0.4")
    write_image(path, picture((2, 24, 28)), like)
    group = zarr.open_group(path, mode="r+")
    group.create_array("1", data=picture((2, 12, 14)))
    described = group.attrs["multiscales"]
    scale, shift = [2.0, 0.5, 0.25], [6.0, 100.0, -40.0]
    steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": shift}]
    coarse = [
        {"type": "scale", "scale": [2.0, 1.0, 0.5]},
        {"type": "translation", "translation": [6.0, 100.25, -39.875]},
    ]
    described[0]["datasets"][0]["coordinateTransformations"] = steps
    described[0]["datasets"].append({"path": "1", "coordinateTransformations": coarse})
    described[0]["coordinateTransformations"] = list(whole)
    group.attrs["multiscales"] = described


@pytest.mark.parametrize(("level", "y", "x"), [(0, 100.0, -40.0), (1, 100.25, -39.875)])
def test_an_image_stays_where_it_lay(level, y, x, untrained, tmp_path):
    moved(tmp_path / "a.ome.zarr")
    image = read_image(tmp_path / "a.ome.zarr", level)
    assert image.origin == {"T": 6.0, "Y": y, "X": x}
    write_image(tmp_path / "b.ome.zarr", np.asarray(image.array), image)
    denoiser = untrained("plain")
    words = ["denoise", tmp_path / "a.ome.zarr", "-m", denoiser.save(tmp_path / "m.safetensors")]
    words += ["--level", level, "-o", tmp_path / "c.ome.zarr", "--latent", tmp_path / "d.ome.zarr"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    for name in "bc":  # in memory, and straight to disk
        back = read_image(tmp_path / f"{name}.ome.zarr")
        assert (back.origin, back.spacing) == (image.origin, image.spacing)
    code, side = read_image(tmp_path / "d.ome.zarr"), denoiser.stride
    for axis in "YX":  # the centre of the code pixel is that of the pixels that it stands for
        half = image.spacing[axis] * (side - 1) / 2
        assert code.origin[axis] == pytest.approx(image.origin[axis] + half)
        assert code.spacing[axis] == pytest.approx(image.spacing[axis] * side)
        assert image.with_stride(side).origin[axis] == pytest.approx(code.origin[axis])


def test_transformations_of_the_whole_image_are_applied_last(tmp_path):
    whole = [
        {"type": "scale", "scale": [1.0, 2.0, 2.0]},
        {"type": "translation", "translation": [0.0, 1.0, 0.0]},
    ]
    moved(tmp_path / "a.ome.zarr", whole=whole)
    back = read_image(tmp_path / "a.ome.zarr")
    assert back.spacing == {"T": 2.0, "Y": 1.0, "X": 0.5}
    assert back.origin == {"T": 6.0, "Y": 201.0, "X": -80.0}


# ---- plain zarr arrays


def test_a_plain_zarr_array_says_where_its_pixels_lie(tmp_path):
    spacing, origin = {"T": 2.0, "Y": 0.5, "X": 0.25}, {"Y": 3.0}
    like = ImageFile(tmp_path, None, "TCYX", spacing, MICRO, channels=DAPI, origin=origin)
    write_image(tmp_path / "a.tif", picture((2, 2, 8, 9)), like)
    for source in (like, read_image(tmp_path / "a.tif")):
        write_image(tmp_path / "a.zarr", picture((2, 2, 8, 9)), source, "TCYX")
        back = read_image(tmp_path / "a.zarr")
        assert isinstance(zarr.open(tmp_path / "a.zarr", mode="r"), zarr.Array)
        assert back.spacing == pytest.approx(spacing, rel=1e-5)
        assert (back.unit, back.time_unit, back.origin) == (MICRO, "second", source.origin)
        assert [c.name for c in back.channels] == ["DAPI", "GFP"]
    write_image(tmp_path / "b.zarr", picture((8, 9)))
    assert not dict(zarr.open(tmp_path / "b.zarr", mode="r").attrs)


@pytest.mark.parametrize("notes", [3, {"spacing": 4, "channels": 5}, {"spacing": {"X": "wide"}}])
def test_notes_that_are_not_right_are_left_out(notes, tmp_path):
    write_image(tmp_path / "a.zarr", picture((8, 9)))
    zarr.open(tmp_path / "a.zarr", mode="r+").attrs["napari-ae-denoise"] = notes
    back = read_image(tmp_path / "a.zarr")
    assert (dict(back.spacing), back.unit, back.channels) == ({}, "", ())
