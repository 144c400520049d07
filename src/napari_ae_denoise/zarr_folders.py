"""zarr folders: arrays with named axes, and OME-Zarr images."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
from napari_ae_denoise.zarr_checks import check_array

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 512  # pixels along Y and X


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
    came from one, if it can have the axes; any other becomes a zarr array with named axes.
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
