"""How long a run will take: measured on one small tile, and learned from runs that were made."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.devices import (
    choose_device,
    choose_precision,
    memory_given_back,
    spare_a_core,
)
from napari_ae_denoise.fingerprints import of_network
from napari_ae_denoise.grey_map import GreyMap
from napari_ae_denoise.orientations import passes_of
from napari_ae_denoise.shared_model import SharedModel
from napari_ae_denoise.tiling import Span, Tile, spans

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.persistent_runner import PersistentRunner
    from napari_ae_denoise.tile_runner import PredictSettings

_SIDE = 256  # pixels of the tile that is measured: a fraction of a second on a CPU
_LAPS = 2  # the first one prepares kernels
_rates: dict[tuple[str, str, str, int | str], float] = {}
_lock = threading.Lock()


def seconds_steps(
    network: ConvAutoencoder,
    layout: PlaneLayout,
    settings: PredictSettings,
    *,
    stop: threading.Event | None = None,
) -> Generator[float, None, float]:
    """Return how long a network will take for an image; reading the image is not in it.

    Parameters
    ----------
    network : ConvAutoencoder
        The network.
    layout : PlaneLayout
        How it sees the image.
    settings : PredictSettings
        How it is run. What it takes for a pixel is remembered for each network, device, precision
        and size of tile.
    stop : threading.Event, optional
        Once set, nothing more is measured.

    Yields
    ------
    float
        The finished part of the measurement.

    Returns
    -------
    float
        Seconds; NaN if stopped before anything was measured.
    """
    passes = passes_of(network, settings.orientations)
    settings = _plain(settings)
    key = _key(network, settings)
    runner = SharedModel.of(network, settings).runner()
    with _lock:
        rate = _rates.get(key)
    if rate is None:
        # networks with fully-connected layers take one size of image only
        sides = network.spec.image_size or [min(_SIDE, runner.tile)] * 2
        tile = Tile(*(Span(side, 0, side, runner.stride, runner.halo) for side in sides))
        window = np.random.default_rng(0).integers(0, 255, (layout.plane_channels, *sides))
        laps = []
        for lap in range(_LAPS):
            if stop is not None and stop.is_set():
                return float("nan")
            begin = time.perf_counter()
            with memory_given_back(), spare_a_core():
                runner([window.astype(np.uint8)], tile, [GreyMap(0.0, 255.0)], np.uint8)
            laps.append(time.perf_counter() - begin)
            yield (lap + 1) / _LAPS
        rate = min(laps) / tile.pixels_seen
        with _lock:
            rate = _rates.setdefault(key, rate)  # what a whole run has taught meanwhile is better
    return rate * _pixels(layout, runner) * passes


def learn(
    network: ConvAutoencoder, layout: PlaneLayout, settings: PredictSettings, seconds: float
) -> None:
    """Remember what a whole run has taken; the parameters are those of `seconds_steps`."""
    passes = passes_of(network, settings.orientations)
    settings = _plain(settings)
    runner = SharedModel.of(network, settings).runner()
    pixels = _pixels(layout, runner) * passes
    with _lock:
        _rates[_key(network, settings)] = seconds / pixels


def forget() -> None:
    """Forget all measurements."""
    with _lock:
        _rates.clear()


def _plain(settings: PredictSettings) -> PredictSettings:
    """Return what of the settings decides about the time of one pass."""
    made = replace(settings, strength=1.0, dtype=None, removed=False, orientations=1)
    return replace(made, noise_model="auto", correlated="auto")


def _key(network: ConvAutoencoder, settings: PredictSettings) -> Any:
    device = choose_device(settings.device)
    precision = choose_precision(device, settings.precision)
    return of_network(network), str(device), str(precision), settings.tile


def _pixels(layout: PlaneLayout, runner: PersistentRunner) -> int:
    """Return how many pixels the network sees in all, with the surroundings of each tile."""
    sides = [
        sum(
            span.seen.size
            for span in spans(size, runner.tile, runner.stride, runner.halo, grid=runner.grid)
        )
        for size in layout.plane_shape
    ]
    return sides[0] * sides[1] * layout.planes
