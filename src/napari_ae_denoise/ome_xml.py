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

    from napari_ae_denoise.image_record import ImageFile

_PLANES = ("C", "Z", "T")  # the axes by which OME counts planes
# what is said of one plane, each with its unit
_OF_A_PLANE = ("DeltaT", "ExposureTime", "PositionX", "PositionY", "PositionZ")
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
    import tifffile

    images = tifffile.xml2dict(text or "").get("OME", {}).get("Image", {})
    pixels = (images[0] if isinstance(images, list) else images).get("Pixels", {})
    planes = MappingProxyType(_planes(pixels))
    return *_spacing(pixels), _channels(pixels), OmeFacts(axes, tuple(shape), planes)


def _elements(pixels: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the elements of a name; one that says nothing is empty."""
    found = pixels.get(name, ())
    elements = found if isinstance(found, list | tuple) else [found]
    return [element if isinstance(element, dict) else {} for element in elements]


def _channels(pixels: Mapping[str, Any]) -> tuple[Channel, ...]:
    said = [(c.get("Name"), _colour(c.get("Color"))) for c in _elements(pixels, "Channel")]
    if not any(name or colour for name, colour in said):
        return ()
    return tuple(Channel(str(n or f"channel {i}"), colour) for i, (n, colour) in enumerate(said))


def _colour(number: object) -> str:
    """Return the colour of a number of 32 bits with a sign: red, green, blue, and how dense."""
    if not isinstance(number, int) or isinstance(number, bool) or not -(2**31) <= number < 2**32:
        return ""
    return f"{(number % 2**32) >> 8:06X}"


def _number(colour: str) -> int:
    dense = (int(colour, 16) << 8) | 0xFF
    return dense - 2**32 if dense >= 2**31 else dense


def _planes(pixels: Mapping[str, Any]) -> dict[tuple[int, ...], Mapping[str, Any]]:
    planes: dict[tuple[int, ...], Mapping[str, Any]] = {}
    for element in _elements(pixels, "Plane"):
        place = tuple(element.get(f"The{axis}", 0) for axis in _PLANES)
        said: dict[str, Any] = {}
        for name in _OF_A_PLANE:
            if type(element.get(name)) in (int, float) and math.isfinite(element[name]):
                said[name] = element[name]
                unit = element.get(f"{name}Unit")
                said |= {f"{name}Unit": unit} if isinstance(unit, str) else {}
        if said and all(type(number) is int for number in place):
            planes[place] = MappingProxyType(said)
    return planes


def _spacing(pixels: Mapping[str, Any]) -> tuple[Mapping[str, float], str]:
    unit = _unit(pixels, "X")
    spacing: dict[str, Any] = {a: pixels.get(f"PhysicalSize{a}") for a in "ZYX"}
    for axis in "ZYX":  # the schema lets each axis have its own unit
        own = _unit(pixels, axis)
        if spacing[axis] and own != unit and own in CENTIMETERS and unit in CENTIMETERS:
            spacing[axis] *= CENTIMETERS[own] / CENTIMETERS[unit]
    spacing["T"] = seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    found = distances(spacing)
    return found, unit if set("ZYX") & set(found) else ""


def _unit(pixels: Mapping[str, Any], axis: str) -> str:
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
    facts: dict[str, Any] = {"axes": axes}
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
    before = image.ome
    same = before is not None and (before.axes, before.shape) == (letters, image.array.shape)
    if before is not None and before.planes and same:
        facts["Plane"] = _in_order(before, axes)
    return facts


def _described(channel: Channel) -> dict[str, Any]:
    colour = channel.colour if _COLOUR.fullmatch(channel.colour) else ""
    return {"Name": channel.name, **({"Color": _number(colour)} if colour else {})}


def _in_order(before: OmeFacts, axes: str) -> list[Mapping[str, Any]]:
    """Return what is said of each plane, in the order in which the planes are written."""
    stack = axes[: axes.index("Y")]
    sizes = dict(zip(before.axes or "", before.shape, strict=True))
    places = [dict(zip(stack, i, strict=True)) for i in np.ndindex(*(sizes[a] for a in stack))]
    return [before.planes.get(tuple(p.get(a, 0) for a in _PLANES), {}) for p in places]
