"""A result on disk that is made part by part: an OME-Zarr image and the record of what is done."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_ae_denoise import pyramid
from napari_ae_denoise.disk import disk_errors
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_record import Channel, ImageFile
from napari_ae_denoise.ome_zarr import (
    OME_VERSION,
    ZARR_FORMATS,
    attributes_of,
    layout_options,
)
from napari_ae_denoise.storage import replacing_folder
from napari_ae_denoise.unfinished import unfinished_value
from napari_ae_denoise.units import SECOND, distances
from napari_ae_denoise.zarr_folders import CHUNK

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.disk_layout import OnDisk
    from napari_ae_denoise.done_record import DoneRecord
    from napari_ae_denoise.tiling import Tile

_NOTES = "napari-ae-denoise"  # our entry among the attributes


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a result goes on disk, and what is known of its pixels.

    Parameters
    ----------
    path : path-like
        Folder of the OME-Zarr image, ending in ``.zarr``.
    spacing : mapping of str to float
        Distance between neighbours along Z, Y and X in ``unit``, and along T in ``time_unit``.
    unit : str
        Such as ``"micrometer"``.
    overwrite : bool
        Whether a folder that is there, and is no unfinished result of the same image, model and
        settings, is replaced.
    ome_version : {"0.4", "0.5"}
        Of OME-Zarr.
    channels : tuple of Channel
        Along the axis C, if known.
    time_unit : {"second", ""}
        Of the spacing along T.
    origin : mapping of str to float
        Where the centre of the image's first pixel lies, in the same units.
    """

    path: str | Path
    spacing: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    unit: str = ""
    overwrite: bool = False
    ome_version: str = OME_VERSION
    channels: tuple[Channel, ...] = ()
    time_unit: str = SECOND
    origin: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Refuse what an OME-Zarr image cannot say.

        Raises
        ------
        DenoisingError
            If the version is none that is known, or a distance or a place no number.
        """
        if self.ome_version not in ZARR_FORMATS:
            raise DenoisingError(
                f'There is no version "{self.ome_version}" of OME-Zarr here.',
                f"Use {' or '.join(ZARR_FORMATS)}.",
            )
        lacking = set(self.spacing) - set(distances(self.spacing))
        lacking |= {axis for axis, place in self.origin.items() if not _is_place(place)}
        if lacking or not {*self.spacing, *self.origin} <= set("TZYX"):
            raise DenoisingError(
                f"Pixels cannot lie so: spacing {dict(self.spacing)}, origin {dict(self.origin)}.",
                "Give finite numbers for axes of T, Z, Y and X; a spacing is above 0.",
            )


def _is_place(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def chunk_and_step(tile: int, grid: int) -> tuple[int, int]:
    """Return the side of chunks and of tiles, in pixels, so that no two tiles share a chunk.

    Parameters
    ----------
    tile : int
        The side that a tile should have, about.
    grid : int
        Of the network.

    Returns
    -------
    chunk, step : int
        ``chunk`` is the grid times a power of two, 512 at most; ``step`` a multiple of it.
    """
    chunk = grid
    while 2 * chunk <= min(tile, CHUNK):
        chunk *= 2
    return chunk, max(tile // chunk, 1) * chunk


@dataclass(slots=True, eq=False)
class ResultFolder:
    """A pyramid of arrays on disk, and which parts of it are made.

    Parameters
    ----------
    path : Path
        The folder.
    lies : ImageOnDisk or CodeOnDisk
        What it is, and how it lies there.
    levels : tuple of zarr arrays
        From fine to coarse, with axes in the order of OME-Zarr.
    record : DoneRecord
        Which parts are done.
    writes : dict of int to int
        How many tiles of a plane were written, by its number; none of those that are not named.
    """

    path: Path
    lies: OnDisk
    levels: tuple[Any, ...]
    record: DoneRecord
    writes: dict[int, int] = field(default_factory=dict)

    @property
    def layout(self) -> PlaneLayout:
        """Of the image that the result is of."""
        return self.lies.layout

    @property
    def order(self) -> str:
        """The axes of the arrays, one letter each."""
        return self.lies.order

    @property
    def factors(self) -> tuple[int, ...]:
        """By how much each level is coarser along Y and X."""
        return tuple(2**number for number in range(len(self.levels)))

    def arrays(self) -> list[Any]:
        """Return each level as a dask array, as the image or its code is given."""
        import dask.array as da

        # a name of its own each time: caches by name would show what was there before
        return [
            self.lies.given(da.from_array(level, chunks=level.chunks, name=False))
            for level in self.levels
        ]

    def write(
        self, plane: int, tile: Tile, window: npt.NDArray[Any], alpha: Any = None
    ) -> set[Path]:
        """Write a tile of a plane into all levels.

        Parameters
        ----------
        plane : int
            Number of the plane.
        tile : Tile
            Where it lies in it.
        window : ndarray
            (channels, Y, X); of a code (units, Y, X).
        alpha : ndarray, optional
            (Y, X): goes after the channels.

        Returns
        -------
        set of Path
            The files that were written.
        """
        files: set[Path] = set()
        place = self.lies.place(plane)
        y, x = self.lies.extents(tile)
        for number, factor in enumerate(self.factors):
            if number:
                window = pyramid.halved(window)
                alpha = None if alpha is None else pyramid.halved(alpha)
            at = place | {"Y": pyramid.coarser(y, factor), "X": pyramid.coarser(x, factor)}
            shown = window if isinstance(at.get("C"), slice) else window[0]
            files |= self._put(number, at, shown)
            if alpha is not None:
                files |= self._put(number, at | {"C": self.layout.channels}, alpha)
        self.writes[plane] = self.writes.get(plane, 0) + 1  # last: whoever reads may trust it
        return files

    def _put(self, number: int, at: Mapping[str, int | slice], values: Any) -> set[Path]:
        index = tuple(at[a] for a in self.order)
        level = self.levels[number]
        level[index] = values
        touched = []
        for i, side in zip(index, level.chunks, strict=True):
            first, end = (i.start, i.stop) if isinstance(i, slice) else (i, i + 1)
            touched.append(range(first // side, -(-end // side)))
        folder = self.path / str(number)
        return {folder / level.metadata.encode_chunk_key(c) for c in itertools.product(*touched)}


def create(
    to: Destination,
    lies: OnDisk,
    dtype: np.dtype[Any],
    sides: tuple[int, int],
    record: DoneRecord,
) -> None:
    """Make the folder with empty arrays and a record of nothing done: whole or not at all.

    Parameters
    ----------
    to : Destination
        Where; what is there is replaced.
    lies : ImageOnDisk or CodeOnDisk
        What the result is.
    dtype : dtype
        Of the result.
    sides : (int, int)
        Of chunks and tiles, in pixels of the image; see `chunk_and_step`.
    record : DoneRecord
        Of nothing done; its notes become attributes of the image.
    """
    import zarr

    path, (chunk, step) = Path(to.path), (side // lies.stride for side in sides)
    order, fill = lies.order, unfinished_value(dtype)
    sizes = dict(zip(order, lies.shape, strict=True))
    long = {"Y": chunk, "X": chunk, "C": lies.channels_in_a_chunk(chunk)}
    factors = pyramid.factors((sizes["Y"], sizes["X"]), step)
    with disk_errors(path), replacing_folder(path, "new") as new:
        version = to.ome_version
        group = zarr.open_group(new, mode="w", zarr_format=ZARR_FORMATS[version])
        for number, factor in enumerate(factors):
            level = sizes | {a: -(-sizes[a] // factor) for a in "YX"}
            group.create_array(
                str(number),
                shape=tuple(level[a] for a in order),
                chunks=tuple(min(long.get(a, 1), level[a]) for a in order),
                dtype=dtype,
                fill_value=fill,
                **layout_options(version, order),
            )
        channels = to.channels if lies.stride == 1 else ()  # units of a code are none of them
        image = ImageFile(
            path,
            group["0"],
            order,
            to.spacing,
            to.unit,
            ome_version=version,
            channels=channels,
            time_unit=to.time_unit,
            origin=to.origin,
        )
        wider = [factor * lies.stride for factor in factors]  # than a pixel of the image
        group.attrs.update(attributes_of(path, image, order, wider))
        mark = "nan" if isinstance(fill, float) else fill
        group.attrs[_NOTES] = {**record.notes, "unfinished_pixels_are": mark}
        record.save(new)


def open_levels(path: Path) -> tuple[Any, ...]:
    """Return the arrays of a result for writing, from fine to coarse.

    Raises
    ------
    DenoisingError
        If they cannot be opened.
    """
    import zarr

    try:
        group = zarr.open_group(path, mode="r+")
        attributes: Any = group.attrs.get("ome", group.attrs)
        described: Any = attributes["multiscales"]
        found: list[Any] = [group[level["path"]] for level in described[0]["datasets"]]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DenoisingError(
            f"The unfinished result {path} cannot be continued: {error}.",
            "Choose another output, or overwrite this one.",
        ) from error
    # a chunk that holds nothing but the fill value is written all the same: it is finished
    return tuple(level.with_config({"write_empty_chunks": True}) for level in found)
