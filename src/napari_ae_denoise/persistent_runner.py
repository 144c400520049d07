"""A tile runner that does not give up when memory runs out: smaller tiles, then the CPU."""

from __future__ import annotations

import contextlib
import threading
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.devices import give_memory_back, is_out_of_memory
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.tile_runner import PredictSettings, TileRunner, Window
from napari_ae_denoise.tiling import Span, Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from napari_ae_denoise.grey_map import ValueMap
    from napari_ae_denoise.networks import ConvAutoencoder

Result = tuple[list[Window], npt.NDArray[np.float32] | None, int]
_SMALLEST = 4  # steps of the grid along a side: a tile that is not cut any further


class PersistentRunner:
    """A `TileRunner` that goes on where memory runs out.

    The planes of a tile go through the network apart, then the tile in quarters, and so on; each
    reads its own halo, so the numbers are the same. When the smallest does not fit on a GPU, the
    CPU takes over. What did not fit once is not tried again. Other errors are not retried.
    Several threads may call one at the same time.

    Parameters
    ----------
    network : ConvAutoencoder
        The network.
    settings : PredictSettings
        How to run it.
    stop : threading.Event, optional
        See `TileRunner`.
    """

    def __init__(
        self,
        network: ConvAutoencoder,
        settings: PredictSettings,
        stop: threading.Event | None = None,
    ) -> None:
        self._network, self._settings, self._stop = network, settings, stop
        self._runner = TileRunner(network, settings, stop)
        self.tile, self.stride, self.halo = self._runner.tile, network.stride, network.halo
        self.grid = network.grid
        self._turns = threading.RLock()
        self._room: float = np.inf  # pixels that the network may see at once

    def __call__(
        self,
        windows: Sequence[Window],
        tile: Tile,
        maps: Sequence[ValueMap],
        dtype: npt.DTypeLike,
        *,
        image: bool = True,
        code: bool = False,
    ) -> Result:
        """Denoise one tile of several planes; see `TileRunner.__call__`.

        Raises
        ------
        DenoisingError
            If memory runs out even for the smallest tile on the CPU.
        """
        what = {"image": image, "code": code}
        runner = self._runner
        # dask's threads share a runner: on a GPU they take turns, for its memory is that of one
        with self._turns if runner.device.type != "cpu" else contextlib.nullcontext():
            if runner is self._runner:
                return self._made(runner, windows, tile, maps, dtype, what)
        return self(windows, tile, maps, dtype, **what)  # another thread moved to the CPU meanwhile

    def _made(
        self,
        runner: TileRunner,
        windows: Sequence[Window],
        tile: Tile,
        maps: Sequence[ValueMap],
        dtype: npt.DTypeLike,
        what: dict[str, bool],
    ) -> Result:
        pixels, quarters = len(windows) * tile.pixels_seen, self._quarters(tile)
        failed: BaseException | None = None
        if pixels <= self._room or len(windows) == len(quarters) == 1:  # which nobody tried before
            try:
                return runner(windows, tile, maps, dtype, **what)
            except (DenoisingError, RuntimeError, MemoryError) as error:
                cause = error.__cause__ if isinstance(error, DenoisingError) else error
                if cause is None or not is_out_of_memory(cause):
                    raise
                failed = cause.with_traceback(None)  # which holds what did not fit
        if failed is not None:
            self._free(pixels)
        if len(windows) > 1:
            half = len(windows) // 2
            parts = [slice(0, half), slice(half, None)]
            return _joined([self(windows[p], tile, maps[p], dtype, **what) for p in parts])
        if len(quarters) > 1:
            return self._in_quarters(windows[0], tile, quarters, maps[0], dtype, what)
        if runner.device.type != "cpu":
            self._go_on_on_the_cpu(runner.device)
            return self(windows, tile, maps, dtype, **what)
        side = max(tile.y.stop - tile.y.start, tile.x.stop - tile.x.start)
        raise DenoisingError(
            f"Memory ran out on {runner.device} at a tile of {self.tile} pixels, and even "
            f"at one of {side}.",
            "Close other programs, or choose another device.",
        ) from failed

    def _free(self, pixels: int) -> None:
        """Remember what did not fit, and let go of what was reserved for it."""
        self._room = min(self._room, pixels - 1)
        give_memory_back()

    def _go_on_on_the_cpu(self, device: torch.device) -> None:
        precision = self._settings.precision
        changed = {"precision": "float32"} if precision == "float16" else {}
        self._settings = replace(self._settings, device="cpu", tile=self.tile, **changed)  # type: ignore[arg-type]
        self._runner = TileRunner(self._network, self._settings, self._stop)
        self._room = np.inf
        warnings.warn(
            f"Memory ran out on {device}, even for small tiles: the CPU goes on, which is slower.",
            stacklevel=3,
        )

    def _quarters(self, tile: Tile) -> list[Tile]:
        y, x = self._halves(tile.y), self._halves(tile.x)
        return [Tile(up, side) for up in y for side in x]

    def _halves(self, span: Span) -> list[Span]:
        steps = -(-(span.stop - span.start) // self.grid)
        if steps <= _SMALLEST:
            return [span]
        middle = span.start + -(-steps // 2) * self.grid
        return [replace(span, stop=middle), replace(span, start=middle)]

    def _in_quarters(
        self,
        window: Window,
        tile: Tile,
        quarters: Sequence[Tile],
        grey_map: ValueMap,
        dtype: npt.DTypeLike,
        what: dict[str, bool],
    ) -> Result:
        """Make a tile of one plane from smaller ones."""
        made: Any = None
        codes: Any = None
        invalid = 0
        for quarter in quarters:
            y, x = _within(quarter.y.read, tile.y.read), _within(quarter.x.read, tile.x.read)
            images, features, bad = self([window[:, y, x]], quarter, [grey_map], dtype, **what)
            invalid += bad
            if images:
                if made is None:
                    made = np.empty((images[0].shape[0], *_size(tile.y.write, tile.x.write)), dtype)
                y, x = (
                    _within(quarter.y.write, tile.y.write),
                    _within(quarter.x.write, tile.x.write),
                )
                made[:, y, x] = images[0]
            if features is not None:
                y_all, x_all = tile.y.write_code, tile.x.write_code
                if codes is None:
                    codes = np.empty((*features.shape[:2], *_size(y_all, x_all)), np.float32)
                y, x = _within(quarter.y.write_code, y_all), _within(quarter.x.write_code, x_all)
                codes[:, :, y, x] = features
        return [] if made is None else [made], codes, invalid


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)


def _size(y: slice, x: slice) -> tuple[int, int]:
    return y.stop - y.start, x.stop - x.start


def _joined(results: Sequence[Result]) -> Result:
    """Return the results of some planes and of others as that of all of them."""
    codes = [codes for _, codes, _ in results if codes is not None]
    return (
        [image for images, _, _ in results for image in images],
        np.concatenate(codes) if codes else None,
        sum(bad for _, _, bad in results),
    )
