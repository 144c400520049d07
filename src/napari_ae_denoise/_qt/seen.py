"""What a viewer shows of a layer, in the pixels of its image; main thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.region import Region
from napari_ae_denoise.tile_jobs import View

if TYPE_CHECKING:
    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise.axes import PlaneLayout

_HIDING = ("translucent", "translucent_no_depth", "opaque")  # ways of blending
_MOST = 512  # pixels along Y and X that are denoised at once: the middle of a larger view


def looked_at(viewer: Any, layer: Any, layout: PlaneLayout, step: Any = 1.0) -> View | None:
    """Return what a viewer shows of a layer just now; main thread only.

    ``step``: by how much the image is coarser than the layer's finest level, along each axis.
    """
    point = list(viewer.dims.point)
    camera = getattr(viewer, "scene", viewer).camera  # napari 0.9 has put it there
    centre = camera.center[-viewer.dims.ndisplay :]
    for axis, place in zip(viewer.dims.displayed, centre, strict=True):
        point[axis] = place
    # layers lie along the last axes of the world
    places = np.array(layer.world_to_data(point)[-layer.ndim :]) / step
    data = dict(zip(layout.axes, places, strict=False))
    if not {"Y", "X"} <= set(data):
        return None
    plane = 0
    for axis, length in zip(layout.stack_axes, layout.stack_shape, strict=True):
        place = min(max(round(float(data.get(axis, 0))), 0), length - 1)
        plane = plane * length + place
    return View(plane, float(data["Y"]), float(data["X"]))


def seen_region(viewer: Any, layer: Any, source: Source, layout: PlaneLayout) -> Region | None:
    """Return which part of a layer is seen; None if it is no plane, or nothing of it."""
    shown = [a for a in source.axes if not (source.rgb and a == "C")]
    if viewer.dims.ndisplay != 2:
        return None
    corners = np.array(layer.corner_pixels, float)
    if layer.multiscale:
        corners *= layer.downsample_factors[layer.data_level]
    corners /= source.step
    point = np.array(layer.world_to_data(viewer.dims.point)[-len(shown) :]) / source.step
    sides: dict[str, slice] = {}
    places: dict[str, int] = {}
    for number, axis in enumerate(shown):
        length = source.image.shape[source.axes.index(axis)]
        if axis in "YX":
            first, last = corners[:, number]
            middle, half = (first + last) / 2, min((last - first) / 2, _MOST / 2)
            sides[axis] = slice(int(max(middle - half, 0)), int(min(middle + half + 1, length)))
        else:
            places[axis] = round(min(max(float(point[number]), 0), length - 1))
    if any(side.stop <= side.start for side in sides.values()):
        return None
    stack = tuple(places[a] for a in layout.stack_axes if a in places)
    return Region(stack, sides["Y"], sides["X"])


def covering(viewer: Any, layer: Any) -> list[Any]:
    """Return the visible images above a layer that hide something of it."""
    from napari.layers import Image

    above = list(viewer.layers)[viewer.layers.index(layer) + 1 :]
    hiding = [one for one in above if isinstance(one, Image) and one.visible]
    return [one for one in hiding if one.blending in _HIDING and _overlap(one, layer)]


def _overlap(one: Any, other: Any) -> bool:
    """Return whether two layers lie over each other, along the axes of the world they share."""
    shared = min(one.ndim, other.ndim)
    first, last = np.stack([x.extent.world[:, -shared:] for x in (one, other)], axis=1)
    return bool((first.max(axis=0) <= last.min(axis=0)).all())


def standing(layer: Any) -> tuple[Any, ...]:
    """Return what a picture of a layer depends on: its pixels and how it lies; see `same`."""
    pixels = layer.data[0] if layer.multiscale else layer.data
    told = (layer.scale, layer.translate, layer.rotate, layer.shear, layer.affine.affine_matrix)
    return pixels, tuple(np.array(one).tobytes() for one in told)


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Return whether a layer stands as it stood."""
    return one[0] is other[0] and one[1] == other[1]


def placed(source: Source, layout: PlaneLayout, region: Region) -> dict[str, Any]:
    """Return where a region lies in the world."""
    shown = [a for a in source.axes if not (source.rgb and a == "C")]
    # along an axis that the network sees all of, a region begins where the image does
    first = dict(zip([a for a in shown if a in layout.stack_axes], region.stack, strict=True))
    first |= {"Y": region.y.start, "X": region.x.start}
    shift = np.array([first.get(a, 0) for a in shown], float)
    return {"translate": source.transforms["translate"] + source.linear @ shift}
