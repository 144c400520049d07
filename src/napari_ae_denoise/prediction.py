"""Running a network over an image, tile by tile."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_ae_denoise.axes import PlaneLayout
from napari_ae_denoise.devices import (
    choose_device,
    choose_precision,
    computing_in,
    free_memory,
    memory_errors,
    spare_a_core,
)
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.normalization import GreyMap, to_dtype
from napari_ae_denoise.tiling import Tile, tiles

FILL_RADIUS = 2  # pixels: invalid ones are replaced by the mean of the finite ones this near
_TILE_MEMORY = 640 * 1024**2  # bytes that the features of one tile may take
_LARGEST_TILE = 2048  # pixels

Window = npt.NDArray[Any]  # (channels, Y, X) in grey values


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """How a network is run over an image.

    Parameters
    ----------
    tile : int or "auto"
        Pixels that a tile writes along Y and X; ``auto`` follows from free memory.
    device, precision : str
        See `choose_device` and `choose_precision`.
    strength : float
        From 0 (the image itself) to 1 (all of the denoising).
    dtype : dtype, optional
        Of the denoised image; by default the input's.
    """

    tile: int | str = "auto"
    device: str = "auto"
    precision: str = "auto"
    strength: float = 1.0
    dtype: npt.DTypeLike | None = None

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        if not (math.isfinite(self.strength) and 0 <= self.strength <= 1):
            raise DenoisingError(
                f"An image cannot be denoised with strength {self.strength}.",
                "Give a number from 0 (unchanged) to 1 (fully denoised).",
            )
        if self.tile != "auto" and not (isinstance(self.tile, int | np.integer) and self.tile > 0):
            raise DenoisingError(
                f"There are no tiles of {self.tile!r} pixels.",
                'Give a whole number above 0, or "auto".',
            )


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


class TileRunner:
    """A network on a device, ready for tiles.

    Parameters
    ----------
    network : ConvAutoencoder
        It is copied; the original stays where it is.
    settings : PredictSettings
        How to run it.
    """

    def __init__(self, network: ConvAutoencoder, settings: PredictSettings) -> None:
        self.device = choose_device(settings.device)
        self._precision = choose_precision(self.device, settings.precision)
        self._strength = settings.strength
        self.stride, self.halo = network.stride, network.halo
        self._network = network.copy_on(self.device)
        if settings.tile == "auto":
            self.tile = _automatic_tile(network, self.device)
        else:
            self.tile = int(settings.tile)

    def __call__(
        self,
        windows: Sequence[Window],
        tile: Tile,
        maps: Sequence[GreyMap],
        dtype: npt.DTypeLike,
        *,
        image: bool = True,
        code: bool = False,
    ) -> tuple[list[Window], npt.NDArray[np.float32] | None, int]:
        """Denoise one tile of several planes at once.

        Parameters
        ----------
        windows : sequence of ndarray
            What the tile reads of each plane, (channels, Y, X), in grey values.
        tile : Tile
            Where it lies.
        maps : sequence of GreyMap
            Of each plane.
        dtype : dtype
            Of the denoised windows.
        image, code : bool
            What to make.

        Returns
        -------
        denoised : list of ndarray
            What the tile writes of each plane; empty without ``image``.
        code : ndarray or None
            (planes, code channels, Y, X) float32.
        invalid : int
            Pixels to write that are NaN or infinite.
        """
        masks = [_invalid(w) for w in windows]
        filled = [
            w if mask is None else _filled(w, mask, m.fill)
            for w, mask, m in zip(windows, masks, maps, strict=True)
        ]
        seen = [
            m.apply(w[:, tile.y.gather][:, :, tile.x.gather])
            for w, m in zip(filled, maps, strict=True)
        ]
        batch = torch.from_numpy(np.stack(seen))  # (planes, channels, Y, X)
        with memory_errors(
            f"Memory ran out on {self.device} at a tile of {self.tile} pixels (with its "
            f"surroundings {tuple(batch.shape[-2:])}).",
            "Choose smaller tiles, another device, or close other programs.",
        ):
            made, features = self._run(batch, image)
        denoised = []
        invalid = 0
        for number, (window, mask, grey_map) in enumerate(zip(windows, masks, maps, strict=True)):
            inner = (slice(None), tile.y.inner, tile.x.inner)
            invalid += 0 if mask is None else int(mask[inner].sum())
            if made is None:
                continue
            result = grey_map.invert(made[number, :, tile.y.keep, tile.x.keep], np.dtype(dtype))
            if mask is not None:
                result[mask[inner]] = to_dtype(window[inner][mask[inner]], dtype)
            denoised.append(result)
        kept = features[:, :, tile.y.keep_code, tile.x.keep_code] if code else None
        return denoised, kept, invalid

    def _run(
        self, batch: torch.Tensor, image: bool
    ) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.float32]]:
        batch = batch.to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), computing_in(self._precision, self.device):
            if not image:
                return None, self._network.encode(batch).float().cpu().numpy()
            made, features = self._network.image_and_code(batch)
            if self._strength < 1:
                made = torch.lerp(batch, made.float(), self._strength)
            return made.float().cpu().numpy(), features.float().cpu().numpy()


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
    out = _own_copy(image, settings.dtype) if denoised else None
    spec = network.spec
    down = (-(-height // runner.stride), -(-width // runner.stride))
    codes = (
        np.full((spec.code_width, *layout.stack_shape, *down), np.nan, np.float32) if code else None
    )
    total, done, invalid = len(groups) * len(grid), 0, 0
    began = time.monotonic()
    with spare_a_core():
        for planes in groups:
            for tile in grid:
                if stop is not None and stop.is_set():
                    elapsed = time.monotonic() - began
                    return Prediction(out, codes, invalid, done / total, elapsed)
                made, features, bad = runner(
                    [layout.read(image, p, tile.y.read, tile.x.read) for p in planes],
                    tile,
                    [plane_map(maps, layout, p) for p in planes],
                    image.dtype if out is None else out.dtype,
                    image=denoised,
                    code=code,
                )
                invalid += bad
                for plane, window in zip(planes, made, strict=False):
                    layout.write(out, plane, tile.y.write, tile.x.write, window)
                if codes is not None and features is not None:
                    for plane, feature in zip(planes, features, strict=True):
                        place = (*layout.stack_index(plane), tile.y.write_code, tile.x.write_code)
                        codes[:, *place] = feature
                done += 1
                elapsed = time.monotonic() - began
                yield TileProgress(done, total, elapsed, elapsed * (total - done) / done)
    return Prediction(out, codes, invalid, 1.0, time.monotonic() - began)


def plane_map(maps: Sequence[GreyMap], layout: PlaneLayout, plane: int) -> GreyMap:
    """Return the map of a plane: the only one, or that of its channel."""
    if len(maps) == 1:
        return maps[0]
    return maps[layout.stack_index(plane)[layout.stack_axes.index("C")]]


def _own_copy(image: Any, dtype: npt.DTypeLike | None) -> npt.NDArray[Any]:
    """Return the image in memory: what is not denoised (alpha, tiles not reached) stays as it is."""
    values = np.asarray(image)
    target = values.dtype if dtype is None else np.dtype(dtype)
    if target == values.dtype:
        return np.array(values, order="C", copy=True)
    return np.array(to_dtype(values.astype(np.result_type(values.dtype, np.float32)), target))


def _automatic_tile(network: ConvAutoencoder, device: torch.device) -> int:
    """Return the side of a tile whose features take a bounded part of the free memory."""
    budget = min(_TILE_MEMORY, free_memory(device) // 4)
    side = int(math.sqrt(budget / network.bytes_per_pixel)) - 2 * network.halo
    return min(max(side, 4 * network.stride), _LARGEST_TILE) // network.stride * network.stride


def _invalid(window: Window) -> npt.NDArray[np.bool_] | None:
    """Return where a window is NaN or infinite; None where it is finite all over."""
    if not np.issubdtype(window.dtype, np.floating):
        return None
    finite = np.isfinite(window)
    return None if finite.all() else ~finite


def _filled(window: Window, invalid: npt.NDArray[np.bool_], fill: float) -> Window:
    """Return a window whose invalid pixels are the mean of the finite ones around them.

    The mean reaches `FILL_RADIUS` pixels, which is the margin that tiles read beyond what the
    network sees: so the same pixel is filled alike in every tile.
    """
    reach = range(2 * FILL_RADIUS + 1)
    height, width = window.shape[-2:]
    edge = [(0, 0), (FILL_RADIUS, FILL_RADIUS), (FILL_RADIUS, FILL_RADIUS)]
    values = np.pad(np.where(invalid, 0, window).astype(np.float64), edge)
    counts = np.pad(~invalid, edge).astype(np.int64)
    total = sum(values[:, y : y + height, x : x + width] for y in reach for x in reach)
    number = sum(counts[:, y : y + height, x : x + width] for y in reach for x in reach)
    mean = np.where(number > 0, total / np.maximum(number, 1), fill)
    return np.where(invalid, mean, window).astype(window.dtype)
