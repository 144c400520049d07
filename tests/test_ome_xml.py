"""What OME-TIFF says of channels and planes."""

import numpy as np
import pytest
import tifffile

from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.image_record import Channel
from napari_ae_denoise.ome_xml import read_ome


def picture(shape=(8, 9), dtype="uint8"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


PLANES = {
    "PositionX": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
    "PositionXUnit": ["µm"] * 6,
    "DeltaT": [0.25 * number for number in range(6)],
    "ExposureTime": [7] * 6,
    "ExposureTimeUnit": ["ms"] * 6,
}


@pytest.fixture
def ome_stack(tmp_path):
    """Return an image of two colours and three planes, each of which has a place and a time."""
    channels = {"Name": ["DAPI", "GFP"], "Color": [0x0000FFFF, -16711681]}  # blue; red 255, ...
    facts = {"axes": "ZCYX", "Channel": channels, "Plane": PLANES}
    tifffile.imwrite(tmp_path / "a.ome.tif", picture((3, 2, 8, 9)), metadata=facts)
    return read_image(tmp_path / "a.ome.tif")


def planes_of(path):
    with tifffile.TiffFile(path) as file:
        found = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"].get("Plane", [])
    return {(p["TheZ"], p["TheC"]): p for p in found}


def test_colours_of_channels_come_back(ome_stack, tmp_path):
    assert [c.colour for c in ome_stack.channels] == ["0000FF", "FF00FF"]
    write_image(tmp_path / "b.ome.tif", ome_stack.array, ome_stack)
    assert read_image(tmp_path / "b.ome.tif").channels == ome_stack.channels
    write_image(tmp_path / "c.ome.zarr", ome_stack.array, ome_stack)
    zarred = read_image(tmp_path / "c.ome.zarr")
    assert [c.colour for c in zarred.channels] == ["0000FF", "FF00FF"]
    write_image(tmp_path / "d.tif", np.asarray(zarred.array), zarred)
    assert [c.colour for c in read_image(tmp_path / "d.tif").channels] == ["0000FF", "FF00FF"]


@pytest.mark.parametrize(
    ("number", "colour"),
    [(-1, "FFFFFF"), (65535, "0000FF"), (0, "000000"), ("red", ""), (None, "")],
)
def test_the_colour_of_a_single_channel_is_kept(number, colour, tmp_path):
    channel = {"Name": "DAPI"} if number is None else {"Name": "DAPI", "Color": number}
    facts = {"axes": "ZYX", "Channel": channel}
    tifffile.imwrite(tmp_path / "a.ome.tif", picture((3, 8, 9)), metadata=facts)
    first = read_image(tmp_path / "a.ome.tif")
    write_image(tmp_path / "b.ome.tif", first.array, first)
    for image in (first, read_image(tmp_path / "b.ome.tif")):
        assert image.channels == (Channel("DAPI", colour),)


def test_what_is_said_of_planes_comes_back(ome_stack, tmp_path):
    write_image(tmp_path / "b.ome.tif", ome_stack.array + 1, ome_stack)
    said = planes_of(tmp_path / "a.ome.tif")
    assert len(said) == 6
    assert said[2, 1]["PositionX"] == 6.5
    assert planes_of(tmp_path / "b.ome.tif") == said


def test_what_is_said_of_planes_is_left_out_where_they_are_others(ome_stack, tmp_path):
    write_image(tmp_path / "part.ome.tif", ome_stack.array[:2], ome_stack)
    write_image(tmp_path / "code.ome.tif", ome_stack.array, ome_stack.with_stride(1))
    assert not planes_of(tmp_path / "part.ome.tif")
    assert not planes_of(tmp_path / "code.ome.tif")


def test_what_is_said_of_channels_and_of_the_image_comes_back_as_it_was_written(tmp_path):
    channels = {
        "Name": ["007", "488, 561"],  # which are no numbers
        "Fluor": ["Alexa 405", "true"],
        "EmissionWavelength": ["421.50", "617"],
        "EmissionWavelengthUnit": ["nm", "nm"],
        "PinholeSize": [1, 1],
    }
    whole = {"Name": "42", "AcquisitionDate": "2026-11-28T12:00:00", "Description": "day 3 & 4"}
    facts = {"axes": "CYX", "Channel": channels, **whole}
    tifffile.imwrite(tmp_path / "a.ome.tif", picture((2, 8, 9)), metadata=facts)
    first = read_image(tmp_path / "a.ome.tif")
    write_image(tmp_path / "b.ome.tif", first.array + 1, first)
    second = read_image(tmp_path / "b.ome.tif")
    for image in (first, second):
        assert [channel.name for channel in image.channels] == channels["Name"]
        assert [channel.ome["Fluor"] for channel in image.channels] == channels["Fluor"]
        assert image.channels[0].ome["EmissionWavelength"] == "421.50"
        assert image.channels[0].ome["PinholeSize"] == "1"
        assert image.ome.image == whole
    assert second.channels == first.channels


def test_wavelengths_come_back_though_the_channels_have_no_names(tmp_path):
    facts = {"axes": "CYX", "Channel": {"EmissionWavelength": [421, 617]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", picture((2, 8, 9)), metadata=facts)
    first = read_image(tmp_path / "a.ome.tif")
    write_image(tmp_path / "b.ome.tif", first.array, first)
    again = read_image(tmp_path / "b.ome.tif").channels
    assert [channel.ome["EmissionWavelength"] for channel in again] == ["421", "617"]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ('TheZ="0"', 'TheZ="none"'),
        ('PositionX="1.5"', 'PositionX="inf"'),
        ('PositionX="1.5"', 'PositionX=""'),
        ("<Plane ", "<Kept "),
    ],
)
def test_what_is_said_wrongly_of_a_plane_is_left_out(said, wrong):
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels '
        'PhysicalSizeX="0.5"><Plane TheZ="0" TheC="0" TheT="0" PositionX="1.5"/></Pixels></Image>'
        "</OME>"
    )
    spacing, unit, channels, facts = read_ome(text, "YX", (8, 9))
    assert (spacing, unit, channels) == ({"X": 0.5}, "micrometer", ())
    assert facts.planes == {(0, 0, 0): {"PositionX": "1.5"}}
    assert said in text
    spacing, _, _, facts = read_ome(text.replace(said, wrong), "YX", (8, 9))
    assert spacing == {"X": 0.5}
    assert not facts.planes
