"""Running a network over an image, tile by tile."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.devices import free_memory, spare_a_core
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.normalization import GreyMap, of_plane, to_dtype
from napari_ae_denoise.tile_runner import FILL_RADIUS, PredictSettings, TileRunner
from napari_ae_denoise.tiling import tiles

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Sequence

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.networks import ConvAutoencoder

_READ_BYTES = 64 * 1024**2  # of a lazy image at once: a stop is looked at in between


@dataclass(frozen=True, slots=True)
class TileProgress:
    """Where a prediction stands, after a tile.

    Parameters
    ----------
    done, total : int
        Tiles.
    elapsed, remaining : float
        Seconds; remaining is an estimate.
    """

    done: int
    total: int
    elapsed: float
    remaining: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network made of an image.

    Parameters
    ----------
    denoised : ndarray or None
        As the image: its shape and axes. Pixels that were not reached hold the image's own values.
    code : ndarray or None
        (code channels, stack..., Y/stride, X/stride) float32; NaN where not reached.
    invalid_pixels : int
        How many pixels were NaN or infinite: masked for the network, and put back.
    finished : float
        Fraction of the tiles that were made; 1 unless stopped.
    seconds : float
        What it took.
    """

    denoised: npt.NDArray[Any] | None
    code: npt.NDArray[np.float32] | None
    invalid_pixels: int
    finished: float
    seconds: float


def predict(
    network: ConvAutoencoder,
    image: Any,
    layout: PlaneLayout,
    maps: Sequence[GreyMap],
    settings: PredictSettings,
    *,
    denoised: bool = True,
    code: bool = False,
    stop: threading.Event | None = None,
) -> Generator[TileProgress, None, Prediction]:
    """Run a network over an image, tile by tile.

    Parameters
    ----------
    network : ConvAutoencoder
        The network.
    image : array
        numpy, dask or zarr; it is only read, window by window.
    layout : PlaneLayout
        How to read it.
    maps : sequence of GreyMap
        One for all planes, or one for each channel of axis C.
    settings : PredictSettings
        How to run.
    denoised, code : bool
        What to make; both come from one pass.
    stop : threading.Event, optional
        Once set, no further tile is begun.

    Yields
    ------
    TileProgress
        After each tile.

    Returns
    -------
    Prediction
    """
    runner = TileRunner(network, settings)
    height, width = layout.plane_shape
    margin = FILL_RADIUS if np.issubdtype(image.dtype, np.floating) else 0
    grid = list(tiles((height, width), runner.tile, runner.stride, runner.halo, margin))
    # small planes share a pass: as many as fill one tile
    together = max(1, (runner.tile + 2 * runner.halo) ** 2 // max(t.pixels_seen for t in grid))
    groups = [
        range(first, min(first + together, layout.planes))
        for first in range(0, layout.planes, together)
    ]
    down = (-(-height // runner.stride), -(-width // runner.stride))
    code_shape = (network.spec.code_width, *layout.stack_shape, *down)
    _check_memory(image, settings.dtype if denoised else None, code_shape if code else None)
    began = time.monotonic()
    if denoised and not isinstance(image, np.ndarray):
        image = _in_memory(image, stop)
        if image is None:
            return Prediction(None, None, 0, 0.0, time.monotonic() - began)
    out = _own_copy(image, settings.dtype) if denoised else None
    codes = np.full(code_shape, np.nan, np.float32) if code else None
    total, done, invalid = len(groups) * len(grid), 0, 0
    with spare_a_core():
        for planes in groups:
            for tile in grid:
                if stop is not None and stop.is_set():
                    elapsed = time.monotonic() - began
                    return Prediction(out, codes, invalid, done / total, elapsed)
                made, features, bad = runner(
                    [layout.read(image, p, tile.y.read, tile.x.read) for p in planes],
                    tile,
                    [of_plane(maps, layout, p) for p in planes],
                    image.dtype if out is None else out.dtype,
                    image=denoised,
                    code=code,
                )
                invalid += bad
                for plane, window in zip(planes, made, strict=False):
                    layout.write(out, plane, tile.y.write, tile.x.write, window)
                if codes is not None and features is not None:
                    for plane, feature in zip(planes, features, strict=True):
                        place: tuple[int | slice, ...] = layout.stack_index(plane)
                        place = (slice(None), *place, tile.y.write_code, tile.x.write_code)
                        codes[place] = feature
                done += 1
                elapsed = time.monotonic() - began
                yield TileProgress(done, total, elapsed, elapsed * (total - done) / done)
    return Prediction(out, codes, invalid, 1.0, time.monotonic() - began)


def _check_memory(
    image: Any, dtype: npt.DTypeLike | None, code_shape: tuple[int, ...] | None
) -> None:
    """Refuse results that would not fit into memory, before the system runs out of it."""
    pixels = math.prod(image.shape)
    read = 0 if isinstance(image, np.ndarray) else pixels * image.dtype.itemsize
    made = pixels * (image.dtype if dtype is None else np.dtype(dtype)).itemsize
    needed = read + made + (0 if code_shape is None else 4 * math.prod(code_shape))
    free = free_memory()
    if needed > free:
        raise DenoisingError(
            f"The result of an image of shape {tuple(image.shape)} needs {needed / 1024**3:.1f} "
            f"GiB of memory, and {free / 1024**3:.1f} GiB are free.",
            "Denoise a part of it, without the latent code, or as a dask array in a script.",
        )


def _in_memory(image: Any, stop: threading.Event | None) -> npt.NDArray[Any] | None:
    """Read a dask or zarr array, a few rows or planes at a time; None if stopped meanwhile."""
    values = np.empty(image.shape, image.dtype)
    row = max(1, values.nbytes // len(values))
    step = max(1, _READ_BYTES // row)
    for first in range(0, len(values), step):
        if stop is not None and stop.is_set():
            return None
        values[first : first + step] = np.asarray(image[first : first + step])
    return values


def _own_copy(image: npt.NDArray[Any], dtype: npt.DTypeLike | None) -> npt.NDArray[Any]:
    """Return a copy of the image: alpha and tiles that are not reached stay as they are."""
    target = image.dtype if dtype is None else np.dtype(dtype)
    if target == image.dtype:
        return np.array(image, order="C", copy=True)
    return np.array(to_dtype(image.astype(np.result_type(image.dtype, np.float32)), target))
