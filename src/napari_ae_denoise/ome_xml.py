"""What OME-TIFF says in its XML: read, and written back where it is still true."""

from __future__ import annotations

import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.image_record import Channel, OmeFacts
from napari_ae_denoise.units import CENTIMETERS, OME_UNITS, distances, seconds, unit_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from napari_ae_denoise.image_record import ImageFile

_PLANES = ("C", "Z", "T")  # the axes by which OME counts planes
# what is said of one plane, each with its unit
_OF_A_PLANE = ("DeltaT", "ExposureTime", "PositionX", "PositionY", "PositionZ")
_LENGTHS_OF_A_CHANNEL = ("EmissionWavelength", "ExcitationWavelength", "PinholeSize")
# what is said of one channel beside its name and colour, as far as tifffile writes it
_OF_A_CHANNEL = (
    *("AcquisitionMode", "ContrastMethod", "Fluor", "IlluminationType", "NDFilter"),
    *("PockelCellSetting", *_LENGTHS_OF_A_CHANNEL, *(f"{n}Unit" for n in _LENGTHS_OF_A_CHANNEL)),
)
_OF_AN_IMAGE = ("AcquisitionDate", "Description")
_COLOUR = re.compile("[0-9a-fA-F]{6}")  # as `Channel` has it


def read_ome(
    text: str | None, axes: str | None, shape: Sequence[int]
) -> tuple[Mapping[str, float], str, tuple[Channel, ...], OmeFacts]:
    """Return the spacing, its unit, the channels, and what else is said of an image.

    Parameters
    ----------
    text : str or None
        The XML.
    axes : str or None
        Of the image.
    shape : sequence of int
        Of its array.
    """
    from xml.etree import ElementTree

    # not tifffile's dict, in which texts such as "007" are numbers
    root = ElementTree.fromstring(text or "<OME/>")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # without the schema's address
    image = _element(root, "Image")
    pixels = _element(image, "Pixels")
    told = {name: image.findtext(name) for name in _OF_AN_IMAGE} | {"Name": image.get("Name")}
    facts = OmeFacts(
        axes,
        tuple(shape),
        MappingProxyType(_planes(pixels)),
        MappingProxyType({name: value for name, value in told.items() if value}),
    )
    return *_spacing(pixels), _channels(pixels), facts


def _element(parent: Element, name: str) -> Element:
    """Return the first element of a name; one that says nothing where there is none."""
    found = parent.find(name)
    return parent.makeelement(name, {}) if found is None else found


def _number(text: str | None) -> float | None:
    """Return the finite number that a text says."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(text: str | None) -> int | None:
    """Return the whole number that a text says."""
    try:
        return int(text or "")
    except ValueError:
        return None


def _channels(pixels: Element) -> tuple[Channel, ...]:
    found = []
    for number, channel in enumerate(pixels.findall("Channel")):
        name, colour = channel.get("Name"), _colour(_whole(channel.get("Color")))
        said = {key: channel.attrib[key] for key in _OF_A_CHANNEL if key in channel.attrib}
        one = Channel(name or f"channel {number}", colour, ome=MappingProxyType(said))
        found.append((one, bool(name or colour or said)))
    return tuple(one for one, _ in found) if any(tells for _, tells in found) else ()


def _colour(number: int | None) -> str:
    """Return the colour of a number of 32 bits with a sign: red, green, blue, and how dense."""
    if number is None or not -(2**31) <= number < 2**32:
        return ""
    return f"{(number % 2**32) >> 8:06X}"


def _packed(colour: str) -> int:
    dense = (int(colour, 16) << 8) | 0xFF
    return dense - 2**32 if dense >= 2**31 else dense


def _planes(pixels: Element) -> dict[tuple[int, ...], Mapping[str, str]]:
    planes: dict[tuple[int, ...], Mapping[str, str]] = {}
    for element in pixels.findall("Plane"):
        told = [_whole(element.get(f"The{axis}", "0")) for axis in _PLANES]
        place = tuple(number for number in told if number is not None)
        said: dict[str, str] = {}
        for name in _OF_A_PLANE:
            value, unit = element.get(name), element.get(f"{name}Unit")
            if value and _number(value) is not None:
                said |= {name: value} | ({f"{name}Unit": unit} if unit else {})
        if said and len(place) == len(told):
            planes[place] = MappingProxyType(said)
    return planes


def _spacing(pixels: Element) -> tuple[Mapping[str, float], str]:
    unit = _unit(pixels, "X")
    spacing = {axis: _number(pixels.get(f"PhysicalSize{axis}")) for axis in "ZYX"}
    for axis, size in spacing.items():  # the schema lets each axis have its own unit
        own = _unit(pixels, axis)
        if size and own != unit and own in CENTIMETERS and unit in CENTIMETERS:
            spacing[axis] = size * CENTIMETERS[own] / CENTIMETERS[unit]
    increment = _number(pixels.get("TimeIncrement"))
    spacing["T"] = seconds(increment, pixels.get("TimeIncrementUnit", "s"))
    found = distances(spacing)
    return found, unit if set("ZYX") & set(found) else ""


def _unit(pixels: Element, axis: str) -> str:
    unit = unit_name(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return "" if unit in ("pixel", OME_UNITS[""]) else unit


def ome_metadata(image: ImageFile, axes: str, spacing: Mapping[str, float]) -> dict[str, Any]:
    """Return what `tifffile.imwrite` makes OME's XML of.

    Parameters
    ----------
    image : ImageFile
        The image.
    axes : str
        Of the array as it is written, in tifffile's letters.
    spacing : mapping of str to float
        The distances that are to be told.
    """
    before = image.ome
    facts: dict[str, Any] = {"axes": axes, **(before.image if before else {})}
    for axis in set("ZYX") & set(spacing):
        facts[f"PhysicalSize{axis}"] = spacing[axis]
        facts[f"PhysicalSize{axis}Unit"] = OME_UNITS.get(image.unit, image.unit)
    if "T" in spacing:
        facts |= {"TimeIncrement": spacing["T"], "TimeIncrementUnit": "s"}
    letters = image.axes or ""
    channels = image.channels_along(letters)
    if "C" not in letters and len(image.channels) == 1:
        channels = image.channels
    if channels:
        facts["Channel"] = [_described(channel) for channel in channels]
    same = before is not None and (before.axes, before.shape) == (letters, image.array.shape)
    if before is not None and before.planes and same:
        facts["Plane"] = _in_order(before, axes)
    return facts


def _described(channel: Channel) -> dict[str, Any]:
    colour = {"Color": _packed(channel.colour)} if _COLOUR.fullmatch(channel.colour) else {}
    return {"Name": channel.name, **colour, **channel.ome}


def _in_order(before: OmeFacts, axes: str) -> list[Mapping[str, Any]]:
    """Return what is said of each plane, in the order in which the planes are written."""
    stack = axes[: axes.index("Y")]
    sizes = dict(zip(before.axes or "", before.shape, strict=True))
    places = [dict(zip(stack, i, strict=True)) for i in np.ndindex(*(sizes[a] for a in stack))]
    return [before.planes.get(tuple(p.get(a, 0) for a in _PLANES), {}) for p in places]
