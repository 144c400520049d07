"""Results straight to zarr: with a bar, and a Ctrl-C that loses nothing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from napari_ae_denoise._cli.terminal import INTERRUPTED, bar, say, stop_on_interrupt
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import ZARR, format_of
from napari_ae_denoise.steps import drain

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.disk_layout import OnDisk
    from napari_ae_denoise.image_record import ImageFile
    from napari_ae_denoise.prediction import TileProgress
    from napari_ae_denoise.resolving import Resolved
    from napari_ae_denoise.tile_runner import PredictSettings

Result = TypeVar("Result")


def can_store(target: Path | None, lies: OnDisk) -> bool:
    """Return whether a result can go straight to where it shall go: an OME-Zarr folder."""
    if target is None or format_of(target) != ZARR:
        return False
    try:
        _ = lies.order
    except DenoisingError:
        return False
    return True


def store(
    denoiser: Denoiser,
    image: ImageFile,
    target: Path,
    overwrite: bool,
    *,
    settings: PredictSettings,
    seen: Resolved,
    code: bool = False,
) -> Any:
    """Denoise or encode an image to disk, or go on with it; return a dask array of it."""
    from napari_ae_denoise.prediction import note_of
    from napari_ae_denoise.result_folder import Destination
    from napari_ae_denoise.to_disk import begin
    from napari_ae_denoise.zarr_folders import OME_VERSION

    to = Destination(
        target,
        image.spacing,
        image.unit,
        overwrite,
        ome_version=image.ome_version or OME_VERSION,
        channels=image.channels,
    )
    job = begin(denoiser, image.array, to, settings=settings, code=code, seen=seen)
    before = job.folder.record.finished
    if before:
        say(f"note: {target} is there to {before:.0%}, and is gone on with.")
    name = f"{image.path.name}, code" if code else image.path.name
    with stop_on_interrupt("Stopping after this tile; the same command goes on with it.") as stop:
        stored = with_tile_bar(job.steps(stop=stop), name)
    if stored.invalid_pixels:
        warnings.warn(note_of((), stored.invalid_pixels), stacklevel=2)
    if stored.finished < 1:
        raise typer.Exit(INTERRUPTED)
    return stored.array


def say_remarks(path: Path, remarks: Sequence[str]) -> None:
    """Say what was found in an image and is assumed of it."""
    for remark in remarks:
        say(f"{path.name}: {remark}")


def with_tile_bar(steps: Generator[TileProgress, None, Result], name: str) -> Result:
    """Run a prediction to its end, and show how many tiles are done."""
    with bar(1, "tile", name) as shown:

        def show(progress: TileProgress) -> None:
            shown.total = progress.total
            shown.update(progress.done - shown.n)

        return drain(steps, show)
