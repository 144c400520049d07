"""What an OME-Zarr image says of itself: its attributes, read and written."""

from __future__ import annotations

import importlib
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_record import Channel, ImageFile
from napari_ae_denoise.units import CENTIMETERS, SECOND, SECONDS, distances, unit_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_OME_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
OME_VERSION = "0.4"  # in zarr's format 2: read by everything that reads OME-Zarr
ZARR_FORMATS: dict[str, Literal[2, 3]] = {"0.4": 2, "0.5": 3}  # by version of OME-Zarr
_WHITE = "FFFFFF"


def multiscale(path: Path, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the entry ``multiscales`` of a group, or refuse one that has none."""
    attributes = attributes.get("ome", attributes)  # where version 0.5 keeps them
    found = attributes.get("multiscales")
    if not found or not found[0].get("datasets"):
        raise DenoisingError(
            f"{path} is a zarr group, but no OME-Zarr image.",
            "Choose the folder of an image, or of one array inside the group.",
        )
    return found[0]  # type: ignore[no-any-return]


def letters_of(names: Any) -> str | None:
    """Return axis names as our letters, if all of them are."""
    letters = "".join(str(name) for name in names or ()).upper()
    fits = letters and len(letters) == len(names) and len(set(letters)) == len(letters)
    return letters if fits and {"Y", "X"} <= set(letters) <= set("NTZCYX") else None


def placement_of(described: Mapping[str, Any], axes: str | None, level: int) -> dict[str, Any]:
    """Return what an `ImageFile` says of where pixels lie: spacing, units and origin.

    A scale of 1 without a unit is what the specification wants where nothing is known.
    """
    steps = [
        *described["datasets"][level].get("coordinateTransformations", ()),
        *described.get("coordinateTransformations", ()),
    ]
    if axes is None:
        return {}
    scale, shift = np.ones(len(axes)), np.zeros(len(axes))
    with np.errstate(all="ignore"):  # what cannot be is left out below
        for step in steps:
            if step.get("type") == "scale":
                scale, shift = scale * step["scale"], shift * step["scale"]
            elif step.get("type") == "translation":
                shift = shift + step["translation"]
    factors, unit, time_unit = _unit_factors(described, axes)
    found, first = (dict(zip(axes, n.tolist(), strict=True)) for n in (scale, shift))
    # of a mirrored axis, whose distance is below zero, the size of pixels stays
    spacing = distances({axis: abs(found[axis] * factor) for axis, factor in factors.items()})
    origin = {axis: first[axis] * factor for axis, factor in factors.items() if first[axis]}
    origin = {axis: place for axis, place in origin.items() if np.isfinite(place)}
    if not unit and all(spacing[axis] == 1 for axis in set("ZYX") & set(spacing)):
        spacing = {axis: distance for axis, distance in spacing.items() if axis == "T"}
    if not time_unit and spacing.get("T") == 1:
        del spacing["T"]
    return {
        "spacing": MappingProxyType(spacing),
        "unit": unit,
        "origin": MappingProxyType(origin),
        "time_unit": time_unit if "T" in spacing or "T" in origin else SECOND,
    }


def _unit_factors(described: Mapping[str, Any], axes: str) -> tuple[dict[str, float], str, str]:
    """Return what lengths along each axis are times to be in our units, and those units.

    Each axis may have its own unit, or none; what is in a unit of time not known is left out.
    """
    own = {
        a["name"].upper(): str(a.get("unit") or "")
        for a in described["axes"]
        if not isinstance(a, str)
    }
    unit, factors = unit_name(own.get("X")), {}
    for axis in set("ZYX") & set(axes):
        given = unit_name(own.get(axis))
        comparable = given in CENTIMETERS and unit in CENTIMETERS
        factors[axis] = CENTIMETERS[given] / CENTIMETERS[unit] if comparable else 1.0
    of_time = own.get("T", "")
    if "T" in axes and of_time in {"", *SECONDS}:
        factors["T"] = SECONDS.get(of_time, 1.0)
    return factors, unit, SECOND if of_time else ""


def channels_of(attributes: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Return the channels that an OME-Zarr image describes; what is not right is left out."""
    omero = attributes.get("omero")
    found = omero.get("channels") if isinstance(omero, dict) else None
    channels = []
    for place, entry in enumerate(found if isinstance(found, list) else ()):
        entry = entry if isinstance(entry, dict) else {}
        given = entry.get("window")
        given = given if isinstance(given, dict) else {}
        limits: list[Any] = [given.get(key) for key in ("min", "max", "start", "end")]
        window = None
        if all(isinstance(n, int | float) and np.isfinite(n) for n in limits):
            low, high, start, end = map(float, limits)
            window = (low, high, start, end)
        name, colour = entry.get("label"), entry.get("color")
        channels.append(Channel(str(name or f"channel {place}"), str(colour or ""), window))
    return tuple(channels)


def ome_fits(axes: str) -> bool:
    """Return whether an OME-Zarr image can have these axes."""
    return len(axes) <= 5 and not {"N", "C"} <= set(axes)


def ome_order(axes: str) -> str:
    """Return axes in the order that OME-Zarr asks for: time, channel, space.

    Raises
    ------
    DenoisingError
        If an OME-Zarr image cannot have them.
    """
    if not ome_fits(axes):
        raise DenoisingError(
            f'An OME-Zarr image cannot have the axes "{axes}".',
            "Give the folder the ending .zarr, without .ome, to write a plain zarr array.",
        )
    return "".join(a for a in "TNCZYX" if a in axes)


def layout_options(version: str, axes: str) -> dict[str, Any]:
    """Return how arrays are made in a version of OME-Zarr: a folder of chunks for each axis."""
    if ZARR_FORMATS[version] == 2:
        return {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    names = [axis.lower() for axis in axes]
    return {
        "chunk_key_encoding": {"name": "default", "separator": "/"},
        "dimension_names": names,
    }


def attributes_of(
    path: Path, image: ImageFile, axes: str, factors: Sequence[int] = (1,)
) -> dict[str, Any]:
    """Return the attributes of an OME-Zarr image of ``image.ome_version``; see `describe`.

    They are those that the models of ome-zarr-models make of ours: what does not follow the
    specification of OME-Zarr ends here, and is never written.
    """
    version = image.ome_version or OME_VERSION
    entries: dict[str, Any] = {"multiscales": [describe(path, image, axes, factors)]}
    channels = [_omero(channel, image.array) for channel in image.channels_along(axes)]
    if channels:
        entries["omero"] = {"channels": channels}
    old = ZARR_FORMATS[version] == 2
    models = importlib.import_module(f"ome_zarr_models.v{version.replace('.', '')}.image")
    if old:
        entries["multiscales"][0]["version"] = version
    else:
        entries["version"] = version
    try:
        attributes = models.ImageAttrs.model_validate(entries)
    except ValueError as error:
        said = " ".join(str(error).split())[:200]
        raise DenoisingError(
            f"What is known of the image cannot be written as OME-Zarr {version}: {said}.",
            "Write it as TIFF, or as a plain zarr array with the ending .zarr.",
        ) from error
    made: dict[str, Any] = attributes.model_dump(mode="json", exclude_none=True)
    return made if old else {"ome": made}


def _omero(channel: Channel, array: Any) -> dict[str, Any]:
    """Describe a channel; colour and window must be there, and are made up where not known."""
    window = channel.window
    if window is None:
        whole = np.issubdtype(array.dtype, np.integer)
        limits = np.iinfo(array.dtype) if whole else None
        low, high = (float(limits.min), float(limits.max)) if limits else (0.0, 1.0)
        start, end = low, high
        if isinstance(array, np.ndarray):
            finite = array[np.isfinite(array)]  # JSON has no infinity
            start, end = map(float, (finite.min(), finite.max())) if finite.size else (low, high)
        window = (min(low, start), max(high, end), start, end)
    named = dict(zip(("min", "max", "start", "end"), window, strict=True))
    return {
        "label": channel.name,
        "color": channel.colour if re.fullmatch("[0-9a-fA-F]{6}", channel.colour) else _WHITE,
        "window": named,
        "active": True,
    }


def describe(
    path: Path, image: ImageFile, axes: str, factors: Sequence[int] = (1,)
) -> dict[str, Any]:
    """Return the entry ``multiscales`` of an OME-Zarr image.

    Parameters
    ----------
    path : Path
        Of the folder; names the image.
    image : ImageFile
        Its spacing, units and origin.
    axes : str
        One letter per axis of the arrays.
    factors : sequence of int
        By how much each level is coarser along Y and X.
    """
    units = dict.fromkeys("ZYX", image.unit) | {"T": image.time_unit}
    described = []
    for axis in axes:
        entry = {"name": axis.lower()}
        if axis in _OME_TYPES:
            entry["type"] = _OME_TYPES[axis]
        if axis in {*image.spacing, *image.origin} and units.get(axis):
            entry["unit"] = units[axis]
        described.append(entry)
    spacing = [float(image.spacing.get(axis, 1.0)) for axis in axes]
    origin = [float(image.origin.get(axis, 0.0)) for axis in axes]
    levels = []
    for number, factor in enumerate(factors):
        wider = [factor if axis in "YX" else 1 for axis in axes]
        scale = [d * n for d, n in zip(spacing, wider, strict=True)]
        steps = [{"type": "scale", "scale": scale}]
        # the centre of a coarse pixel is that of the fine ones it is made of
        shift = [o + d * (n - 1) / 2 for o, d, n in zip(origin, spacing, wider, strict=True)]
        if any(shift):
            steps.append({"type": "translation", "translation": shift})
        levels.append({"path": str(number), "coordinateTransformations": steps})
    name = path.name.removesuffix(".zarr").removesuffix(".ome")
    return {"name": name, "axes": described, "datasets": levels}
