"""What an ImageJ hyperstack says of itself: read, and written back where it is still true."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.image_record import Channel, ImageFile, ImageJFacts
from napari_ae_denoise.units import IMAGEJ_UNITS, seconds, unit_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NUMBER = int | float
# As tifffile names them, with the type of their entries. What is said of the whole, of each plane,
# of where they lie, of what a grey value stands for, and of how grey values are shown.
_OF_ALL: dict[str, Any] = {"Info": str, "Properties": str, "loop": bool, "fps": _NUMBER}
_OF_PLANES: dict[str, Any] = {"Labels": str, "ROI": bytes, "Overlays": bytes}
_OF_PLANES |= {"LUTs": np.ndarray, "mode": str}
_OF_PLANES |= dict.fromkeys(("xorigin", "yorigin", "zorigin"), _NUMBER)
_OF_VALUES: dict[str, Any] = {"cf": int, "vunit": str}  # a function's number, and its coefficients
_OF_VALUES |= dict.fromkeys(("c0", "c1", "c2", "c3", "c4"), _NUMBER)
_OF_GREYS: dict[str, Any] = {"Ranges": float, "min": _NUMBER, "max": _NUMBER}
_WITHOUT_UNIT = ("", "pixel", "pixels")


def imagej_spacing(
    facts: Mapping[str, Any], resolution: Mapping[str, float]
) -> tuple[dict[str, Any], str]:
    """Return what is said of distances, by axis, and the unit of length.

    Without one, ImageJ counts in pixels; times have a unit of their own, and become seconds.
    """
    unit = unit_name(facts.get("unit"))
    times = {"T": seconds(facts.get("finterval"), facts.get("tunit", "sec"))}
    if unit in _WITHOUT_UNIT:
        return times, ""
    return {**resolution, "Z": facts.get("spacing"), **times}, unit


def imagej_channels(
    facts: Mapping[str, Any], axes: str, shape: Sequence[int]
) -> tuple[Channel, ...]:
    """Return the labels of an image's channels; those of stacks name planes, not channels."""
    labels = facts.get("Labels")
    if axes != "CYX" or not isinstance(labels, list) or len(labels) != shape[0]:
        return ()
    return tuple(Channel(str(label)) for label in labels)


def imagej_facts(
    facts: Mapping[str, Any], axes: str | None, array: Any, palette: Any
) -> ImageJFacts:
    """Return what else is said, to be written back; see `imagej_options`."""
    said: dict[str, Any] = {}
    for key, kind in {**_OF_ALL, **_OF_PLANES, **_OF_VALUES, **_OF_GREYS}.items():
        value = facts.get(key)
        entries = list(value.values()) if isinstance(value, dict) else value
        entries = entries if isinstance(entries, list | tuple) else [value]
        if all(isinstance(entry, kind) for entry in entries):  # or it could not be written
            said[key] = [value] if isinstance(value, np.ndarray) else value
    return ImageJFacts(axes, array.shape, array.dtype, MappingProxyType(said), palette)


def imagej_options(image: ImageFile, axes: str, spacing: Mapping[str, float]) -> dict[str, Any]:
    """Return how `tifffile.imwrite` writes an image as ImageJ reads it.

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
    options: dict[str, Any] = {"metadata": facts}
    if image.imagej is not None:
        options |= _still_true(image, image.imagej, facts)
    channels = image.channels_along(image.axes or "")
    if channels and set(image.axes or "") == set("CYX"):
        facts["Labels"] = [channel.name for channel in channels]
    if image.unit:
        facts["unit"] = IMAGEJ_UNITS.get(image.unit, image.unit)
    if "Z" in spacing:
        facts["spacing"] = spacing["Z"]
    if "T" in spacing:
        facts["finterval"] = spacing["T"]
    if {"Y", "X"} <= set(spacing):
        options["resolution"] = (1 / spacing["X"], 1 / spacing["Y"])
    return options


def _still_true(image: ImageFile, before: ImageJFacts, facts: dict[str, Any]) -> dict[str, Any]:
    """Add to the facts what is true of an image made of the one before; return options."""
    same_planes = (image.axes, image.array.shape) == (before.axes, before.shape)
    same_type = image.array.dtype == before.dtype.newbyteorder("=")
    same_greys = same_type and not before.of_differences
    true = _OF_ALL | (_OF_PLANES if same_planes else {}) | (_OF_VALUES if same_greys else {})
    true |= _OF_GREYS if same_planes and same_greys else {}
    facts |= {key: before.said[key] for key in true if key in before.said}
    if before.palette is None or not (same_planes and same_type):
        return {}
    return {"photometric": "palette", "colormap": before.palette}
