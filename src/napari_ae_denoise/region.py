"""Denoising a part of an image: the same numbers that the whole would have there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.devices import spare_a_core
from napari_ae_denoise.normalization import of_plane
from napari_ae_denoise.tile_runner import FILL_RADIUS
from napari_ae_denoise.tiling import Span, Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.grey_map import ValueMap
    from napari_ae_denoise.persistent_runner import PersistentRunner


@dataclass(frozen=True, slots=True)
class Region:
    """A part of one place in a stack.

    Parameters
    ----------
    stack : tuple of int
        Where it lies along the stack axes other than the colours of a photograph.
    y, x : slice
        Its pixels.
    """

    stack: tuple[int, ...]
    y: slice
    x: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.y.stop - self.y.start, self.x.stop - self.x.start

    def middle(self, side: int) -> Region:
        """Return what of it lies in a square of so many pixels around its middle."""
        y, x = (
            slice(first, min(first + side, along.stop))
            for along in (self.y, self.x)
            for first in [max(along.start, (along.start + along.stop - side) // 2)]
        )
        return Region(self.stack, y, x)


class HasRunner(Protocol):
    """A network, and how to run it."""

    def runner(self) -> PersistentRunner:
        """Return what runs it."""


def denoise_region(
    model: HasRunner,
    image: Any,
    layout: PlaneLayout,
    maps: Sequence[ValueMap],
    region: Region,
) -> npt.NDArray[Any]:
    """Denoise a region, reading it and its halo alone.

    Parameters
    ----------
    model : SharedModel or the like
        The network, and how to run it.
    image : array
        numpy, dask or zarr.
    layout, maps
        How the denoiser sees the image.
    region : Region
        What to denoise.

    Returns
    -------
    ndarray
        The image's axes; one pixel long along those that the region has one place of.
    """
    runner = model.runner()
    margin = FILL_RADIUS if np.issubdtype(image.dtype, np.floating) else 0
    spans = []
    for extent, size in zip((region.y, region.x), layout.plane_shape, strict=True):
        start = extent.start // runner.grid * runner.grid
        spans.append(Span(size, start, extent.stop, runner.stride, runner.halo, margin))
    tile = Tile(*spans)
    places = iter(region.stack)
    index: list[slice] = []
    for axis in layout.axes:
        own = {"Y": region.y, "X": region.x}.get(axis)
        if own is None and axis in layout.stack_axes and not _apart(layout, axis, region):
            place = next(places)
            own = slice(place, place + 1)
        index.append(own or slice(None))
    made: npt.NDArray[Any] = np.array(image[tuple(index)])
    down = slice(region.y.start - spans[0].start, None)
    across = slice(region.x.start - spans[1].start, None)
    with spare_a_core():
        for plane in _planes(layout, region):
            window = layout.read(image, plane, tile.y.read, tile.x.read)
            images, _, _ = runner([window], tile, [of_plane(maps, layout, plane)], made.dtype)
            shown = images[0][:, down, across]
            at = list(layout.index(plane, slice(None), slice(None)))
            for number, axis in enumerate(layout.axes):
                if axis in layout.stack_axes and not _apart(layout, axis, region):
                    at[number] = 0
            made[tuple(at)] = layout.from_plane(shown)
    return made


def _apart(layout: PlaneLayout, axis: str, region: Region) -> bool:
    """Return whether an axis is that of a photograph's colours, which are seen one by one."""
    return axis == "C" and len(region.stack) < len(layout.stack_axes)


def _planes(layout: PlaneLayout, region: Region) -> list[int]:
    """Return the planes of a region: one, or one for each colour of a photograph."""
    if len(region.stack) == len(layout.stack_axes):
        return [int(np.ravel_multi_index(region.stack, layout.stack_shape)) if region.stack else 0]
    at = layout.stack_axes.index("C")
    return [
        int(np.ravel_multi_index((*region.stack[:at], c, *region.stack[at:]), layout.stack_shape))
        for c in range(layout.channels)
    ]
