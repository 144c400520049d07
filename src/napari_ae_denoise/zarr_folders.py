"""zarr folders: arrays with named axes, and OME-Zarr images."""

from __future__ import annotations

import contextlib
import importlib
import re
import secrets
import shutil
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_record import Channel, ImageFile
from napari_ae_denoise.units import CENTIMETERS, SECONDS, unit_name
from napari_ae_denoise.zarr_checks import check_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_OME_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
OME_VERSION = "0.4"  # in zarr's format 2: read by everything that reads OME-Zarr
ZARR_FORMATS: dict[str, Literal[2, 3]] = {"0.4": 2, "0.5": 3}  # by version of OME-Zarr
CHUNK = 512  # pixels along Y and X
_WHITE = "FFFFFF"


def read_zarr(path: Path, level: int = 0) -> ImageFile:
    """Open a zarr array, or a level of an OME-Zarr image, without reading its pixels."""
    import dask.array
    import zarr

    node = zarr.open(path, mode="r")
    array: Any
    spacing: dict[str, float] = {}
    unit = flavour = version = ""
    channels: tuple[Channel, ...] = ()
    if isinstance(node, zarr.Array):
        names = getattr(node.metadata, "dimension_names", None) or node.attrs.get("axes")
        array, axes = node, _letters(names)
        _check_level(path, level, 1)
    else:
        attributes: dict[str, Any] = dict(node.attrs)
        described = _multiscale(path, attributes)
        levels = described["datasets"]
        _check_level(path, level, len(levels))
        array = node[levels[level]["path"]]
        names = [a if isinstance(a, str) else a["name"] for a in described.get("axes", ())]
        axes, flavour = _letters(names), "ome"
        spacing, unit = _spacing(described, axes, level)
        version = "0.5" if "ome" in attributes else OME_VERSION
        channels = _channels(attributes.get("ome", attributes))
    check_array(path, array)
    lazy = dask.array.from_array(array, chunks=array.chunks)
    return ImageFile(path, lazy, axes, MappingProxyType(spacing), unit, flavour, version, channels)


def _check_level(path: Path, level: int, count: int) -> None:
    if not 0 <= level < count:
        raise DenoisingError(
            f"{path} has {count} levels, and none of number {level}.",
            f"Give a number from 0 (full resolution) to {count - 1}.",
        )


def _multiscale(path: Path, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = attributes.get("ome", attributes)  # where version 0.5 keeps them
    found = attributes.get("multiscales")
    if not found or not found[0].get("datasets"):
        raise DenoisingError(
            f"{path} is a zarr group, but no OME-Zarr image.",
            "Choose the folder of an image, or of one array inside the group.",
        )
    return found[0]  # type: ignore[no-any-return]


def _letters(names: Any) -> str | None:
    """Return axis names as our letters, if all of them are."""
    letters = "".join(str(name) for name in names or ()).upper()
    fits = letters and len(letters) == len(names) and len(set(letters)) == len(letters)
    return letters if fits and {"Y", "X"} <= set(letters) <= set("NTZCYX") else None


def _spacing(
    described: Mapping[str, Any], axes: str | None, level: int
) -> tuple[dict[str, float], str]:
    steps = [
        *described["datasets"][level].get("coordinateTransformations", ()),
        *described.get("coordinateTransformations", ()),
    ]
    scales = [step["scale"] for step in steps if step.get("type") == "scale"]
    if axes is None or not scales:
        return {}, ""
    product = np.prod(np.array(scales, float), axis=0)
    units = {
        a["name"].upper(): a.get("unit", "") for a in described["axes"] if not isinstance(a, str)
    }
    unit = unit_name(units.get("X"))
    kept = {}
    for axis, distance in zip(axes, product, strict=True):
        own = units.get(axis) or ""
        if axis == "T" and own in SECONDS:
            kept[axis] = float(distance * SECONDS[own])
        elif axis in "ZYX" and unit:  # each axis may have its own unit
            same = CENTIMETERS.get(unit_name(own), 1.0) / CENTIMETERS.get(unit, 1.0)
            comparable = unit_name(own) in CENTIMETERS and unit in CENTIMETERS
            kept[axis] = float(distance * (same if comparable else 1.0))
    return kept, unit


def _channels(attributes: Mapping[str, Any]) -> tuple[Channel, ...]:
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


def write_zarr(path: Path, image: ImageFile) -> None:
    """Write a zarr folder, whole or not at all, chunk by chunk.

    A folder named ``.ome.zarr``, and an image that came from one, becomes an OME-Zarr image of one
    level; any other a zarr array with named axes.
    """
    import dask.array
    import zarr

    array, axes = image.array, image.axes or ""
    ome = path.name.lower().endswith(".ome.zarr") or image.flavour == "ome"
    if ome:
        order = ome_order(axes)
        array, axes = array.transpose([axes.index(a) for a in order]), order
    chunks = tuple(
        min(n, CHUNK) if a in "YX" else 1 for a, n in zip(axes, array.shape, strict=True)
    )
    if axes.endswith("C"):
        chunks = (*chunks[:-1], array.shape[-1])  # colours together
    lazy = array if hasattr(array, "dask") else dask.array.from_array(array, chunks=chunks)
    with _replacing_folder(path) as temporary:
        options: dict[str, Any] = {"shape": array.shape, "dtype": array.dtype, "chunks": chunks}
        if ome:
            version = image.ome_version or OME_VERSION
            group = zarr.open_group(temporary, mode="w", zarr_format=ZARR_FORMATS[version])
            target = group.create_array("0", **layout_options(version, axes), **options)
            described = replace(image, array=array, ome_version=version)
            group.attrs.update(attributes_of(path, described, axes))
        else:
            names = [a.lower() for a in axes]
            target = zarr.create_array(temporary, zarr_format=3, dimension_names=names, **options)
        lazy.rechunk(chunks).store(target, lock=False)


def ome_order(axes: str) -> str:
    """Return axes in the order that OME-Zarr asks for: time, channel, space.

    Raises
    ------
    DenoisingError
        If an OME-Zarr image cannot have them.
    """
    if len(axes) > 5 or {"N", "C"} <= set(axes):
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
        if isinstance(array, np.ndarray) and array.size:
            start, end = float(np.nanmin(array)), float(np.nanmax(array))
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
        Its spacing and unit.
    axes : str
        One letter per axis of the arrays.
    factors : sequence of int
        By how much each level is coarser along Y and X.
    """
    units = dict.fromkeys("ZYX", image.unit) | {"T": "second"}
    described = []
    for axis in axes:
        entry = {"name": axis.lower()}
        if axis in _OME_TYPES:
            entry["type"] = _OME_TYPES[axis]
        if axis in image.spacing and units.get(axis):
            entry["unit"] = units[axis]
        described.append(entry)
    spacing = [float(image.spacing.get(axis, 1.0)) for axis in axes]
    levels = []
    for number, factor in enumerate(factors):
        wider = [factor if axis in "YX" else 1 for axis in axes]
        scale = [d * n for d, n in zip(spacing, wider, strict=True)]
        steps = [{"type": "scale", "scale": scale}]
        if factor > 1:  # the centre of a coarse pixel is that of the fine ones it is made of
            shift = [d * (n - 1) / 2 for d, n in zip(spacing, wider, strict=True)]
            steps.append({"type": "translation", "translation": shift})
        levels.append({"path": str(number), "coordinateTransformations": steps})
    name = path.name.removesuffix(".zarr").removesuffix(".ome")
    return {"name": name, "axes": described, "datasets": levels}


@contextlib.contextmanager
def _replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; on success it takes the place of ``path``."""
    mark = secrets.token_hex(4)
    temporary = path.with_name(f".{path.name[:80]}.{mark}.part")
    old = path.with_name(f".{path.name[:80]}.{mark}.old")
    try:
        yield temporary
        if path.exists():
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise
    except OSError as error:
        raise DenoisingError(
            f"{path} could not be written: {error.strerror or error}.",
            "Choose a folder that exists, may be written to and has space left.",
        ) from error
    finally:
        for leftover in (temporary, old):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
