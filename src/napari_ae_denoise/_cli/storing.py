"""Results straight to zarr: with a bar, and a Ctrl-C that loses nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from napari_ae_denoise._cli.terminal import INTERRUPTED, bar, say, stop_on_interrupt
from napari_ae_denoise.file_jobs import store_steps
from napari_ae_denoise.steps import drain

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.image_record import ImageFile
    from napari_ae_denoise.prediction import TileProgress
    from napari_ae_denoise.resolving import Resolved
    from napari_ae_denoise.tile_runner import PredictSettings

GOES_ON = "Stopping after this tile; the same command goes on with it."
Result = TypeVar("Result")


def store_code(
    denoiser: Denoiser,
    image: ImageFile,
    target: Path,
    settings: PredictSettings,
    seen: Resolved,
    *,
    overwrite: bool,
) -> None:
    """Encode an image to disk, or go on with it."""
    with stop_on_interrupt(GOES_ON) as stop:
        steps = store_steps(
            denoiser,
            image,
            target,
            overwrite,
            settings=settings,
            seen=seen,
            stop=stop,
            say=say,
            code=True,
        )
        stored = with_tile_bar(steps, f"{image.path.name}, code")
    if stored is None:
        raise typer.Exit(INTERRUPTED)


def with_tile_bar(steps: Generator[TileProgress, None, Result], name: str) -> Result:
    """Run a prediction to its end, and show how many tiles are done, in a bar for each pass."""
    with contextlib.ExitStack() as open_bars:
        shown: list[Any] = []

        def show(progress: TileProgress) -> None:
            if not shown or progress.done < shown[-1].n:
                open_bars.close()
                shown.append(open_bars.enter_context(bar(progress.total, "tile", name)))
            shown[-1].total = progress.total
            shown[-1].update(progress.done - shown[-1].n)
            if progress.done == progress.total:  # what follows may have a bar of its own
                open_bars.close()

        return drain(steps, show)
