"""Denoising dask arrays: lazily, block by block, each block exact whatever the chunks."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import is_dask
from napari_ae_denoise.devices import using_threads
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import to_dtype
from napari_ae_denoise.normalization import of_plane
from napari_ae_denoise.shared_model import SharedModel
from napari_ae_denoise.tile_runner import FILL_RADIUS, PredictSettings
from napari_ae_denoise.tiling import Span, Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.grey_map import ValueMap
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.resolving import Resolved

_LARGEST_BLOCK = 1024  # pixels along Y and X: several blocks are in memory at once
_BLOCK_BYTES = 64 * 1024**2  # that a block reads or makes, over all its planes


@dataclass(frozen=True, slots=True, eq=False)
class LazyPrediction:
    """What a network will make of a dask array, and how grey values are mapped in all of it.

    Parameters
    ----------
    denoised : dask array or None
        As the image.
    code : dask array or None
        (code channels, stack..., Y/stride, X/stride) float32.
    seen : Resolved
        How the denoiser sees the image, from one bounded sample of it; its ``normalization`` is
        the record to keep with what is computed later.
    """

    denoised: Any
    code: Any
    seen: Resolved

    @property
    def note(self) -> str:
        """What people should know before they trust the result; empty if nothing."""
        return self.seen.note


def check_dask(image: Any) -> None:
    """Refuse what cannot be denoised lazily: all but dask arrays.

    Raises
    ------
    DenoisingError
        With what it is.
    """
    if not is_dask(image):
        raise DenoisingError(
            f"Only a dask array is denoised lazily, and the image is of type "
            f"{type(image).__name__}.",
            "Call denoise, which takes any array, or give dask.array.from_array(image).",
        )


def predict_lazily(
    network: ConvAutoencoder,
    image: Any,
    layout: PlaneLayout,
    maps: Sequence[ValueMap],
    settings: PredictSettings,
    *,
    code: bool,
) -> Any:
    """Return the denoised image, or its code, as a dask array.

    Parameters
    ----------
    network, image, layout, maps, settings
        See `predict`; the image is a dask array.
    code : bool
        Whether to make the code instead of the denoised image.

    Returns
    -------
    dask array
        As `predict` returns it. Each block reads its own halo of neighbours from the image.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.delayed import delayed

    model = SharedModel.of(network, settings)
    runner = model.runner()
    # one value of the graph: each worker gets it once, not with each task
    name = f"denoiser-{tokenize(model.name, settings)}"
    shared = delayed(model, name=name, traverse=False)
    dtype = np.dtype(np.float32 if code else settings.dtype or image.dtype)
    colours = "C" if layout.joint and "C" in layout.axes else ""
    order = layout.stack_axes + colours + "YX"
    seen = da.moveaxis(image, [layout.axes.index(a) for a in order], range(len(order)))
    if layout.has_alpha:
        seen = seen[(slice(None),) * order.index("C") + (slice(layout.channels),)]
    margin = FILL_RADIUS if np.issubdtype(image.dtype, np.floating) else 0
    depth = runner.halo + margin
    plane = [
        _chunks(size, min(runner.tile, _LARGEST_BLOCK), runner.grid, depth)
        for size in layout.plane_shape
    ]
    stack = len(layout.stack_axes)
    pixel = layout.plane_channels * image.dtype.itemsize  # bytes
    if code:
        pixel = max(pixel, network.spec.code_width * dtype.itemsize // runner.stride**2)
    room = _BLOCK_BYTES // (pixel * math.prod(max(sizes) + 2 * depth for sizes in plane))
    stacked = _stack_chunks(seen.chunks[:stack], room)
    seen = seen.rechunk((*stacked, *([-1] if colours else []), *plane))
    block = functools.partial(_block, layout, maps, dtype, seen.chunks, margin, code)
    along = {len(order) - 2 + axis: depth if len(plane[axis]) > 1 else 0 for axis in (0, 1)}
    wide = da.overlap.overlap(
        seen, {**dict.fromkeys(range(len(order)), 0), **along}, "none", allow_rechunk=False
    )
    if code:
        down = tuple(tuple(-(-n // runner.stride) for n in sizes) for sizes in plane)
        return da.map_blocks(
            block,
            wide,
            shared,
            dtype=dtype,
            chunks=((network.spec.code_width,), *seen.chunks[:stack], *down),
            drop_axis=[stack] if colours else [],
            new_axis=[0],
            meta=np.empty((0,) * (stack + 3), dtype),
        )
    made = da.map_blocks(
        block,
        wide,
        shared,
        dtype=dtype,
        chunks=seen.chunks,
        meta=np.empty((0,) * len(order), dtype),
    )
    if layout.has_alpha:
        alpha = image[(slice(None),) * layout.axes.index("C") + (slice(-1, None),)]
        alpha = alpha if dtype == alpha.dtype else alpha.map_blocks(to_dtype, dtype, dtype=dtype)
        alpha = da.moveaxis(alpha, [layout.axes.index(a) for a in order], range(len(order)))
        made = da.concatenate([made, alpha], axis=order.index("C"))
    return da.moveaxis(made, range(len(order)), [layout.axes.index(a) for a in order])


def _chunks(size: int, tile: int, grid: int, depth: int) -> tuple[int, ...]:
    """Cut an axis into chunks that are multiples of the grid and at least as wide as the depth.

    dask takes the overlap from the direct neighbours only. A last chunk that would be narrower is
    joined to the one before.
    """
    step = -(-max(tile, depth, 1) // grid) * grid
    whole, rest = divmod(size, step)
    if not whole:
        return (size,)
    if rest and rest < depth + grid:
        return (*[step] * (whole - 1), step + rest)
    return (*[step] * whole, *([rest] if rest else []))


def _stack_chunks(chunks: Sequence[tuple[int, ...]], planes: int) -> tuple[tuple[int, ...], ...]:
    """Cut the chunks of the stack axes so that a block has no more than so many planes.

    Chunks are cut, never joined: a block is then made of one chunk of each stack axis.
    """
    cut = []
    for sizes in reversed(chunks):
        step = max(1, min(max(sizes), planes))
        cut.append(tuple(min(step, n - start) for n in sizes for start in range(0, n, step)))
        planes //= step
    return tuple(reversed(cut))


def _block(
    layout: PlaneLayout,
    maps: Sequence[ValueMap],
    dtype: np.dtype[Any],
    chunks: tuple[tuple[int, ...], ...],
    margin: int,
    code: bool,
    window: npt.NDArray[Any],
    model: SharedModel,
    block_info: Any = None,
) -> npt.NDArray[Any]:
    """Compute one block; ``window`` is (stack..., [C,] Y, X) with its neighbours' pixels."""
    runner = model.runner()
    place = block_info[0]["chunk-location"]
    spans, inside = [], []
    for axis in (-2, -1):
        number, sizes = place[axis], chunks[axis]
        start = sum(sizes[:number])
        span = Span(sum(sizes), start, start + sizes[number], runner.stride, runner.halo, margin)
        first = 0 if number == 0 else start - runner.halo - margin  # of the window
        spans.append(span)
        inside.append(slice(span.read.start - first, span.read.stop - first))
    tile = Tile(*spans)
    stack = len(layout.stack_axes)
    read = window[..., inside[0], inside[1]]
    planes = read.reshape(-1, layout.plane_channels, *read.shape[-2:])
    origin = [sum(chunks[a][: place[a]]) for a in range(stack)]
    here = window.shape[:stack]
    made = []
    with using_threads(1):  # dask computes several blocks at once
        for number, plane in enumerate(planes):
            index = [
                o + int(i) for o, i in zip(origin, np.unravel_index(number, here), strict=True)
            ]
            whole = int(np.ravel_multi_index(index, layout.stack_shape)) if stack else 0
            grey_map = of_plane(maps, layout, whole)
            images, codes, _ = runner([plane], tile, [grey_map], dtype, image=not code, code=code)
            made.append(codes[0] if codes is not None else images[0])
    result = np.stack(made)  # (planes, channels, Y, X)
    if code:
        return result.swapaxes(0, 1).reshape(-1, *here, *result.shape[-2:])
    return result.reshape(*window.shape[: window.ndim - 2], *result.shape[-2:])
