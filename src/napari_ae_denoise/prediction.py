"""Running a network over an image, tile by tile."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import chunk_sizes
from napari_ae_denoise.devices import free_memory, memory_given_back, spare_a_core
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import to_dtype
from napari_ae_denoise.normalization import of_plane
from napari_ae_denoise.persistent_runner import PersistentRunner
from napari_ae_denoise.steps import Stopped
from napari_ae_denoise.strength import difference
from napari_ae_denoise.tile_runner import FILL_RADIUS, PredictSettings
from napari_ae_denoise.tiling import tiles
from napari_ae_denoise.window_reader import naming_faults

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator, Sequence

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.grey_map import ValueMap
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.tiling import Tile

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
    removed : ndarray or None
        The image minus the denoised one, float32; 0 where not reached, NaN where the image is.
    invalid_pixels : int
        How many pixels were NaN or infinite: masked for the network, and put back.
    finished : float
        Fraction of the tiles that were made; 1 unless stopped.
    seconds : float
        What it took.
    remarks : tuple of str
        What was found in the image and is assumed of it, in sentences.
    warnings : tuple of str
        What people should know before they trust the result.
    normalization : tuple of dict
        How grey values were mapped; see `Resolved.normalization`.
    steps : (int, int)
        See `Resolved`.
    """

    denoised: npt.NDArray[Any] | None
    code: npt.NDArray[np.float32] | None
    removed: npt.NDArray[np.float32] | None
    invalid_pixels: int
    finished: float
    seconds: float
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    normalization: tuple[dict[str, Any], ...] = ()
    steps: tuple[int, int] = (1, 1)

    @property
    def note(self) -> str:
        """What people should know about the image, in sentences; empty if nothing."""
        dtype = None if self.denoised is None else self.denoised.dtype
        return note_of(self.warnings, self.invalid_pixels, dtype)


def note_of(
    warnings: Sequence[str], invalid_pixels: int, dtype: np.dtype[Any] | None = None
) -> str:
    """Return what people should know about an image; ``dtype`` is that of the denoised, if any."""
    if not invalid_pixels:
        return " ".join(warnings)
    said = f"{invalid_pixels} pixels are NaN or infinite: they were masked"
    if dtype is not None and np.issubdtype(dtype, np.floating):
        said += ", and are unchanged in the result"
    elif dtype is not None:
        said += f"; as {dtype} holds none, NaN is 0 there, infinite the largest or smallest number"
    return " ".join([*warnings, f"{said}."])


class TileError(DenoisingError):
    """A tile that could not be made, after others were; these are not lost.

    Attributes
    ----------
    prediction : Prediction or None
        What was made before: the tile itself and those after it hold the noisy image, and NaN in
        the code. None where the error has come from another process.
    """

    prediction: Prediction | None = None

    @classmethod
    def at(cls, planes: range, tile: Tile, error: Exception, prediction: Prediction) -> TileError:
        """Return the error of a tile, which says where it lies."""
        y, x = tile.y.write, tile.x.write
        which = f"plane {planes[0]}" if len(planes) == 1 else f"planes {planes[0]} to {planes[-1]}"
        reason = f"{type(error).__name__}: {error}"
        remedy = "Run it again, with smaller tiles or on another device."
        if isinstance(error, DenoisingError):
            reason, remedy = error.cause, error.remedy
        made = cls(
            f"The tile at Y {y.start} to {y.stop - 1}, X {x.start} to {x.stop - 1} of {which} "
            f"could not be made ({reason.rstrip('.')}); {prediction.finished:.0%} of the tiles "
            "were made before.",
            remedy,
        )
        made.prediction = prediction
        return made


def predict(
    network: ConvAutoencoder,
    image: Any,
    layout: PlaneLayout,
    maps: Sequence[ValueMap],
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
    maps : sequence of ValueMap
        One for all planes, or one for each channel of axis C.
    settings : PredictSettings
        How to run, and whether to make the removed noise.
    denoised, code : bool
        What else to make; all of it comes from one pass.
    stop : threading.Event, optional
        Once set, the running tile is given up, and no further one is begun.

    Yields
    ------
    TileProgress
        After each tile.

    Returns
    -------
    Prediction

    Raises
    ------
    TileError
        If a tile cannot be made after others were; it holds what was made.
    """
    runner = PersistentRunner(network, settings, stop)
    height, width = layout.plane_shape
    margin = FILL_RADIUS if np.issubdtype(image.dtype, np.floating) else 0
    grid = list(
        tiles((height, width), runner.tile, runner.stride, runner.halo, margin, runner.grid)
    )
    # small planes share a pass: as many as fill one tile
    together = max(1, (runner.tile + 2 * runner.halo) ** 2 // max(t.pixels_seen for t in grid))
    groups = [
        range(first, min(first + together, layout.planes))
        for first in range(0, layout.planes, together)
    ]
    down = (-(-height // runner.stride), -(-width // runner.stride))
    code_shape = (network.spec.code_width, *layout.stack_shape, *down)
    dtype = np.dtype(settings.dtype or image.dtype)  # of the denoised windows
    pixelwise = denoised or settings.removed
    reading = pixelwise and not isinstance(image, np.ndarray)
    pixel = image.dtype.itemsize * reading + dtype.itemsize * denoised + 4 * settings.removed
    needed = pixel * math.prod(image.shape) + 4 * math.prod(code_shape) * code  # bytes
    _check_memory(image.shape, needed)
    began = time.monotonic()
    if reading:
        image = _in_memory(image, stop)
        if image is None:
            return Prediction(None, None, None, 0, 0.0, time.monotonic() - began)
    else:
        image = naming_faults(image)
    out = _own_copy(image, dtype) if denoised else None
    codes = np.full(code_shape, np.nan, np.float32) if code else None
    removed = np.zeros(image.shape, np.float32) if settings.removed else None
    total, done, invalid = len(groups) * len(grid), 0, 0
    with memory_given_back(), spare_a_core():
        for planes in groups:
            for tile in grid:
                if stop is not None and stop.is_set():
                    elapsed = time.monotonic() - began
                    return Prediction(out, codes, removed, invalid, done / total, elapsed)
                try:
                    windows = [layout.read(image, p, tile.y.read, tile.x.read) for p in planes]
                    made, features, bad = runner(
                        windows,
                        tile,
                        [of_plane(maps, layout, p) for p in planes],
                        dtype,
                        image=pixelwise,
                        code=code,
                    )
                except Stopped:
                    elapsed = time.monotonic() - began
                    return Prediction(out, codes, removed, invalid, done / total, elapsed)
                except Exception as error:
                    if not done:
                        raise
                    elapsed = time.monotonic() - began
                    kept = Prediction(out, codes, removed, invalid, done / total, elapsed)
                    raise TileError.at(planes, tile, error, kept) from error
                invalid += bad
                for plane, window, result in zip(planes, windows, made, strict=False):
                    if out is not None:
                        layout.write(out, plane, tile.y.write, tile.x.write, result)
                    if removed is not None:
                        noise = difference(window[:, tile.y.inner, tile.x.inner], result)
                        layout.write(removed, plane, tile.y.write, tile.x.write, noise)
                if codes is not None and features is not None:
                    for plane, feature in zip(planes, features, strict=True):
                        place: tuple[int | slice, ...] = layout.stack_index(plane)
                        place = (slice(None), *place, tile.y.write_code, tile.x.write_code)
                        codes[place] = feature
                done += 1
                elapsed = time.monotonic() - began
                yield TileProgress(done, total, elapsed, elapsed * (total - done) / done)
    return Prediction(out, codes, removed, invalid, 1.0, time.monotonic() - began)


def _check_memory(shape: tuple[int, ...], needed: int) -> None:
    """Refuse results that would not fit into memory, before the system runs out of it."""
    free = free_memory()
    if needed > free:
        raise DenoisingError(
            f"The result of an image of shape {tuple(shape)} needs {needed / 1024**3:.1f} "
            f"GiB of memory, and {free / 1024**3:.1f} GiB are free.",
            "Take a part of it, make fewer results at once, or use a dask array in a script.",
        )


def _in_memory(image: Any, stop: threading.Event | None) -> npt.NDArray[Any] | None:
    """Read a dask or zarr array, some chunks at a time; None if stopped meanwhile."""
    values, named = np.empty(image.shape, image.dtype), naming_faults(image)
    for part in _parts(image):
        if stop is not None and stop.is_set():
            return None
        values[part] = named[part]
    return values


def _parts(image: Any, outer: tuple[slice, ...] = ()) -> Iterator[tuple[slice, ...]]:
    """Cut an array into parts to read at once: whole chunks, as many as the bytes allow.

    No chunk is in two parts, for it would be read or computed twice. The parts are cut along the
    first axis, and along the next ones where the chunks of one row are more than the bytes allow.
    """
    axis = len(outer)
    row = math.prod(part.stop - part.start for part in outer) * math.prod(image.shape[axis + 1 :])
    most = _READ_BYTES // (row * image.dtype.itemsize)  # along this axis
    sizes = chunk_sizes(image, axis)
    first = last = 0
    for size in (*sizes, most + 1):  # the last one is there to end the part before it
        if last > first and last + size - first > most:
            part = (*outer, slice(first, last))
            if last - first > most and axis + 1 < len(image.shape):
                yield from _parts(image, part)
            else:
                yield part
            first = last
        last += size


def _own_copy(image: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return a copy of the image: alpha and tiles that are not reached stay as they are."""
    if dtype == image.dtype:
        return np.array(image, order="C", copy=True)
    return np.array(to_dtype(image.astype(np.result_type(image.dtype, np.float32)), dtype))
