"""zarr folders: arrays with named axes, and OME-Zarr images."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.disk import settle
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_record import Channel, ImageFile
from napari_ae_denoise.ome_zarr import (
    OME_VERSION,
    ZARR_FORMATS,
    attributes_of,
    channels_of,
    layout_options,
    letters_of,
    multiscale,
    ome_fits,
    ome_order,
    placement_of,
)
from napari_ae_denoise.storage import replacing_folder
from napari_ae_denoise.units import SECOND, unit_name
from napari_ae_denoise.zarr_checks import check_array

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 512  # pixels along Y and X
_NOTES = "napari-ae-denoise"  # our entry among the attributes of an array


def read_zarr(path: Path, level: int = 0) -> ImageFile:
    """Open a zarr array, or a level of an OME-Zarr image, without reading its pixels."""
    import dask.array
    import zarr

    node = zarr.open(path, mode="r")
    array: Any
    placement: dict[str, Any] = {}
    flavour = version = ""
    channels: tuple[Channel, ...] = ()
    if isinstance(node, zarr.Array):
        names = getattr(node.metadata, "dimension_names", None) or node.attrs.get("axes")
        array, axes = node, letters_of(names)
        _check_level(path, level, 1)
        placement, channels = _described(node.attrs.get(_NOTES))
    else:
        attributes: dict[str, Any] = dict(node.attrs)
        described = multiscale(path, attributes)
        levels = described["datasets"]
        _check_level(path, level, len(levels))
        array = node[levels[level]["path"]]
        names = [a if isinstance(a, str) else a["name"] for a in described.get("axes", ())]
        axes, flavour = letters_of(names), "ome"
        placement = placement_of(described, axes, level)
        version = "0.5" if "ome" in attributes else OME_VERSION
        channels = channels_of(attributes.get("ome", attributes))
    check_array(path, array)
    lazy = dask.array.from_array(array, chunks=array.chunks)
    known = ImageFile(path, lazy, axes, flavour=flavour, ome_version=version, channels=channels)
    return replace(known, **placement)


def _check_level(path: Path, level: int, count: int) -> None:
    if not 0 <= level < count:
        raise DenoisingError(
            f"{path} has {count} levels, and none of number {level}.",
            f"Give a number from 0 (full resolution) to {count - 1}.",
        )


def write_zarr(path: Path, image: ImageFile) -> None:
    """Write a zarr folder, whole or not at all, chunk by chunk.

    A folder named ``.ome.zarr`` becomes an OME-Zarr image of one level, and so does an image that
    came from one, if it can have the axes; any other becomes a zarr array with named axes, and
    pixel size and names of channels among its attributes.
    """
    import dask.array
    import zarr

    array, axes = image.array, image.axes or ""
    ome = path.name.lower().endswith(".ome.zarr") or bool(image.ome_version and ome_fits(axes))
    if ome:
        order = ome_order(axes)
        array, axes = array.transpose([axes.index(a) for a in order]), order
    chunks = tuple(
        min(n, CHUNK) if a in "YX" else 1 for a, n in zip(axes, array.shape, strict=True)
    )
    if axes.endswith("C"):
        chunks = (*chunks[:-1], array.shape[-1])  # colours together
    lazy = array if hasattr(array, "dask") else dask.array.from_array(array, chunks=chunks)
    with _replacing(path) as temporary:
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
            if notes := _notes_of(image):
                target.attrs[_NOTES] = notes
        lazy.rechunk(chunks).store(target, lock=False)
        settle({one for one in temporary.rglob("*") if one.is_file()})  # before it has its name


def _notes_of(image: ImageFile) -> dict[str, Any]:
    """Return what an array without a standard for it says of its pixels; see `_described`."""
    axes = image.axes or ""
    told: dict[str, Any] = {
        "spacing": {a: d for a, d in image.spacing.items() if a in axes and math.isfinite(d)},
        "origin": {a: d for a, d in image.origin.items() if a in axes and math.isfinite(d)},
        "channels": [channel.name for channel in image.channels_along(axes)],
    }
    notes = {key: value for key, value in told.items() if value}
    if "spacing" in notes or "origin" in notes:
        notes |= {"unit": image.unit, "time_unit": image.time_unit}
    return notes


def _described(notes: Any) -> tuple[dict[str, Any], tuple[Channel, ...]]:
    """Return where pixels lie, and the channels; what is not right is left out."""
    notes = notes if isinstance(notes, dict) else {}
    placement: dict[str, Any] = {}
    for key in ("spacing", "origin"):
        found = notes.get(key)
        kept = {
            axis: float(number)
            for axis, number in (found if isinstance(found, dict) else {}).items()
            if axis in list("TZYX") and isinstance(number, int | float) and math.isfinite(number)
            if key == "origin" or number > 0
        }
        placement[key] = MappingProxyType(kept)
    placement["unit"] = unit_name(notes.get("unit"))
    placement["time_unit"] = "" if notes.get("time_unit") == "" else SECOND
    names = notes.get("channels")
    return placement, tuple(Channel(str(n)) for n in (names if isinstance(names, list) else ()))


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill: see `replacing_folder`."""
    try:
        with replacing_folder(path) as temporary:
            yield temporary
    except OSError as error:
        raise DenoisingError(
            f"{path} could not be written: {error.strerror or error}.",
            "Choose a folder that exists, may be written to and has space left.",
        ) from error
