"""A network on a device, ready for tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from napari_ae_denoise.device_probe import trusted
from napari_ae_denoise.devices import (
    choose_precision,
    computing_in,
    free_memory,
    memory_errors,
)
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import to_dtype
from napari_ae_denoise.orientations import averaged, check_count, orientations_for
from napari_ae_denoise.plain_numbers import as_given, is_number, is_whole
from napari_ae_denoise.prepared_network import prepared
from napari_ae_denoise.steps import stopping
from napari_ae_denoise.strength import mixed

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from napari_ae_denoise.grey_map import ValueMap
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.noise_correlation import Correlated
    from napari_ae_denoise.resolving import NoiseModel
    from napari_ae_denoise.tiling import Tile

FILL_RADIUS = 2  # pixels: invalid ones are replaced by the mean of the finite ones this near
_TILE_MEMORY = 640 * 1024**2  # bytes that the features of one tile may take
_LARGEST_TILE = {"cpu": 1024}  # pixels: larger ones leave the caches, and are slower
_LARGEST_ON_A_GPU = 2048

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
    removed : bool
        Whether `predict` also gives what the network takes out of the image.
    noise_model : {"auto", "gaussian", "camera"}
    correlated : {"auto", "none", "y", "x", "xy"}
        See `resolve`.
    orientations : {1, 8}
        In how many orientations the network sees the image; their mean is the denoised one. The
        code is that of the image as it lies.
    """

    tile: int | str = "auto"
    device: str = "auto"
    precision: str = "auto"
    strength: float = 1.0
    dtype: npt.DTypeLike | None = None
    removed: bool = False
    noise_model: NoiseModel = "auto"
    correlated: Correlated = "auto"
    orientations: int = 1

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        if not (is_number(self.strength) and 0 <= self.strength <= 1):
            raise DenoisingError(
                f"An image cannot be denoised with strength {as_given(self.strength)}.",
                "Give a number from 0 (unchanged) to 1 (fully denoised).",
            )
        if self.tile != "auto" and not (is_whole(self.tile) and int(self.tile) > 0):
            raise DenoisingError(
                f"There are no tiles of {self.tile!r} pixels.",
                'Give a whole number above 0, or "auto".',
            )
        check_count(self.orientations)
        if self.dtype is not None and not _is_grey(self.dtype):
            raise DenoisingError(
                f"A denoised image cannot be of type {self.dtype}.",
                "Give a type of whole numbers or floats, such as uint16 or float32.",
            )
        # numbers of numpy are taken, but json cannot hold them
        object.__setattr__(self, "strength", float(self.strength))
        object.__setattr__(self, "orientations", int(self.orientations))
        if self.tile != "auto":
            object.__setattr__(self, "tile", int(self.tile))


def _is_grey(dtype: npt.DTypeLike) -> bool:
    try:
        return np.dtype(dtype).kind in "biuf"
    except TypeError:
        return False


class TileRunner:
    """A network on a device, ready for tiles.

    Parameters
    ----------
    network : ConvAutoencoder
        A copy is run; the original stays where it is.
    settings : PredictSettings
        How to run it.
    stop : threading.Event, optional
        Once set, the network stops at its next layer and raises `Stopped`: a tile may take
        seconds, and nobody should wait for one that is not wanted.
    """

    def __init__(
        self,
        network: ConvAutoencoder,
        settings: PredictSettings,
        stop: threading.Event | None = None,
    ) -> None:
        self.device, self._precision = trusted(
            settings.device, lambda device: choose_precision(device, settings.precision)
        )
        self._strength = settings.strength
        self.stride, self.grid, self.halo = network.stride, network.grid, network.halo
        self._seen = orientations_for(network, settings.orientations)
        self._network = prepared(network, self.device, self._precision)
        self._channels, self._stop = network.spec.channels, stop
        self._bare = network.spec.edge == "zero"  # it sees no context beyond the image's edge
        if settings.tile == "auto":
            self.tile = _automatic_tile(network, self.device)
        else:
            self.tile = int(settings.tile)

    def __call__(
        self,
        windows: Sequence[Window],
        tile: Tile,
        maps: Sequence[ValueMap],
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
        maps : sequence of ValueMap
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
        masks = [invalid_in(w) for w in windows]
        filled = [
            w if mask is None else _filled(w, mask, m.fill)
            for w, mask, m in zip(windows, masks, maps, strict=True)
        ]
        bare = self._bare and not tile.surrounded
        y, x = (side.bare if bare else side for side in (tile.y, tile.x))
        context = 0 if bare else self.halo  # which is cut off on its way through the network
        seen = [m.apply(w[:, y.gather][:, :, x.gather]) for w, m in zip(filled, maps, strict=True)]
        batch = torch.from_numpy(np.stack(seen))  # (planes, channels, Y, X)
        as_gray = batch.shape[1] < self._channels
        if as_gray:
            batch = batch.repeat(1, self._channels, 1, 1)
        with memory_errors(
            f"Memory ran out on {self.device} at a tile of {self.tile} pixels (with its "
            f"surroundings {tuple(batch.shape[-2:])}).",
            "Choose smaller tiles, another device, or close other programs.",
        ):
            image_made, code_made = self._run(batch, context, image)
            made = _as_array(image_made)
            features = _as_array(code_made) if code else None
        if as_gray and made is not None:
            made = made.mean(axis=1, keepdims=True)
        denoised = []
        invalid = 0
        for number, (window, mask, grey_map) in enumerate(zip(windows, masks, maps, strict=True)):
            inner = (slice(None), tile.y.inner, tile.x.inner)
            invalid += 0 if mask is None else int(mask[inner].sum())
            if made is None:
                continue
            values = made[number, :, _inside(y.keep, context), _inside(x.keep, context)]
            if self._strength == 1:
                result = grey_map.invert(values, np.dtype(dtype))
            else:
                result = self._mixed(filled[number][inner], grey_map, values, np.dtype(dtype))
            if mask is not None:
                result[mask[inner]] = to_dtype(window[inner][mask[inner]], dtype)
            denoised.append(result)
        kept = None
        if features is not None:
            around = context // self.stride
            kept = features[:, :, _inside(y.keep_code, around), _inside(x.keep_code, around)]
        return denoised, kept, invalid

    def _mixed(
        self,
        grey: Window,
        grey_map: ValueMap,
        values: npt.NDArray[np.float32],
        dtype: np.dtype[Any],
    ) -> Window:
        """Return the denoised image mixed with the image itself, by the strength.

        In grey values: the inverse of a stabilizing map is for denoised values only.
        """
        denoised = grey_map.invert(values, np.result_type(grey.dtype, np.float32))
        return to_dtype(mixed(grey, denoised, self._strength), dtype)

    def _run(
        self, batch: torch.Tensor, context: int, image: bool
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        batch = batch.to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), stopping(self._stop):
            made, features = self._pass(self._network.fast, batch, context, image, self._precision)
            whole = self._precision == torch.float32 or (_finite(features) and _finite(made))
            if not whole and _finite(batch):  # values beyond 65504 overflow in float16
                network, precision = self._network.plain, torch.float32
                made, features = self._pass(network, batch, context, image, precision)
        return made, features

    def _pass(
        self,
        network: ConvAutoencoder,
        batch: torch.Tensor,
        context: int,
        image: bool,
        precision: torch.dtype,
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Return image and code, computed in some precision."""
        with computing_in(precision, self.device):
            if not image:
                return None, network.encode(batch, context)
            if len(self._seen) == 1:
                return network.image_and_code(batch, context)
            codes = []

            def run(turned: torch.Tensor) -> torch.Tensor:
                made, code = network.image_and_code(turned, context)
                codes.append(code)
                return made

            return averaged(run, batch, self._seen, self.grid), codes[0]


def _automatic_tile(network: ConvAutoencoder, device: torch.device) -> int:
    """Return the side of a tile whose features take a bounded part of the free memory."""
    budget = min(_TILE_MEMORY, free_memory(device) // 4)
    side = int(math.sqrt(budget / network.bytes_per_pixel)) - 2 * network.halo
    most = _LARGEST_TILE.get(device.type, _LARGEST_ON_A_GPU)
    return min(max(side, 4 * network.grid), most) // network.grid * network.grid


def _inside(keep: slice, context: int) -> slice:
    """Return a slice of what has a context as one of what has none."""
    return slice(keep.start - context, keep.stop - context)


def _as_array(values: torch.Tensor | None) -> npt.NDArray[np.float32] | None:
    return None if values is None else values.float().cpu().numpy()


def _finite(values: torch.Tensor | None) -> bool:
    return values is None or bool(torch.isfinite(values).all())


def invalid_in(window: Window) -> npt.NDArray[np.bool_] | None:
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
