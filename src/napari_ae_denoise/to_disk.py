"""Results straight to disk: one is begun, or the one found that was begun before."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise import __version__, disk, fingerprints, result_folder
from napari_ae_denoise.as_begun import as_begun, notes_of
from napari_ae_denoise.axes import as_array
from napari_ae_denoise.device_probe import trusted, trusted_device
from napari_ae_denoise.devices import PRECISIONS, choose_precision
from napari_ae_denoise.disk_job import DiskJob
from napari_ae_denoise.disk_layout import CodeOnDisk, ImageOnDisk, bytes_needed
from napari_ae_denoise.done_record import DoneRecord
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.result_folder import Destination, ResultFolder, chunk_and_step
from napari_ae_denoise.storage import Precious, check_name, is_there
from napari_ae_denoise.tile_jobs import TileJobs
from napari_ae_denoise.tile_runner import FILL_RADIUS, PredictSettings, TileRunner
from napari_ae_denoise.window_reader import files_of, naming_faults

if TYPE_CHECKING:
    import threading

    import torch

    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.disk_layout import OnDisk
    from napari_ae_denoise.resolving import Resolved


_OF_FILES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy")  # endings


def begin(
    denoiser: Denoiser,
    image: Any,
    to: str | Path | Destination,
    *,
    axes: str | None = None,
    settings: PredictSettings | None = None,
    code: bool = False,
    seen: Resolved | None = None,
    stop: threading.Event | None = None,
) -> DiskJob:
    """Begin a result on disk, or find the one that was begun there by the same call.

    Parameters
    ----------
    denoiser : Denoiser
        The model.
    image : array
        numpy, dask or zarr; it is read tile by tile.
    to : path-like or Destination
        Where.
    axes : str, optional
        One letter per axis.
    settings : PredictSettings, optional
        How to run; ``tile`` is made to fit the chunks on disk.
    code : bool
        Whether the result is the latent code, float32, instead of the denoised image.
    seen : Resolved, optional
        How the denoiser sees the image, where it is known: it is not looked at again.
    stop : threading.Event, optional
        Once it is set, no more is read of an image that is not in memory.

    Raises
    ------
    Stopped
        If it was set before enough of the image was read; nothing has been begun.
    DenoisingError
        If something else is there, the disk has no room, or image, axes, settings and model do
        not fit.
    """
    if not isinstance(to, str | os.PathLike | Destination):
        raise DenoisingError(
            f"A result cannot be written to {to!r:.200}.", "Give a path, or a Destination."
        )
    to = to if isinstance(to, Destination) else Destination(to)
    path = Path(to.path)
    check_name(path)
    if path.suffix.lower() in _OF_FILES:
        raise DenoisingError(
            f"{path} would be a folder of OME-Zarr, and is named like a file.",
            "Give a name that ends in .ome.zarr.",
        )
    image = as_array(image)
    _refuse_own_image(path, image)
    settings = settings or PredictSettings()
    named = naming_faults(image, stop)
    seen = seen or denoiser.resolve(named, axes, settings.noise_model, settings.correlated)
    layout = seen.layout
    disk.check_place(path)
    if code:
        settings = replace(settings, dtype=np.float32, strength=1.0)
    dtype = np.dtype(settings.dtype or image.dtype)
    record = _found(path, overwrite=to.overwrite)
    # what tells an image from another is a sample of it: a finished result may be an old one's
    if record is not None and to.overwrite and record.finished == 1:
        record = None
    asked, now = settings, fingerprints.of_image(named, layout)
    model = fingerprints.of_model(denoiser)

    def of(used: PredictSettings) -> dict[str, str]:
        how = fingerprints.of_settings(used, dtype, used.precision, code=code)
        return {"image": now, "model": model, "settings": how}

    try:
        settings = _resolved(asked, record)
        made_of = of(settings)
        if record is not None:
            record.check_same(made_of)
            seen = as_begun(seen, record)
    except DenoisingError:
        if record is None or not to.overwrite:
            raise
        record, settings = None, _resolved(asked, None)
        made_of = of(settings)
    network = denoiser.network_for(seen)
    lies: OnDisk = ImageOnDisk(layout)
    if code:
        lies = CodeOnDisk(layout, network.spec.code_width, network.stride)
    _ = lies.order  # refuses axes that OME-Zarr has not
    chunk = 0  # of what is there already it is known there
    if record is None:
        chunk, step = chunk_and_step(TileRunner(network, settings).tile, network.grid)
        together = _planes_together(layout.plane_shape, step, network.halo)
    else:
        step, together = record.how["tile"], record.how["together"]
    margin = FILL_RADIUS if np.issubdtype(image.dtype, np.floating) else 0
    jobs = TileJobs.of(
        layout.planes,
        layout.plane_shape,
        step,
        together,
        stride=network.stride,
        halo=network.halo,
        margin=margin,
        grid=network.grid,
    )
    needed = bytes_needed(lies, dtype)
    if record is None:
        if path.is_dir():
            with disk.alone(path):  # what another run is writing is not replaced
                disk.check_space(path, needed)
        else:
            disk.check_space(path, needed)
        how = {
            "tile": step,
            "together": together,
            "device": settings.device,
            "precision": settings.precision,
            "version": __version__,
        }
        notes = {
            "model": denoiser.card.name,
            "version": __version__,
            "strength": settings.strength,
            **notes_of(seen),
        }
        record = DoneRecord(path, made_of, how, np.zeros(len(jobs), bool), notes=notes)
        result_folder.create(to, lies, dtype, (chunk, step), record)
    else:
        record.check_parts(len(jobs))
        disk.check_space(path, round(needed * (1 - record.finished)))
    there = dict.fromkeys(jobs.planes_with(record.done), 1)
    folder = ResultFolder(path, lies, result_folder.open_levels(path), record, there)
    settings = replace(settings, tile=step)
    return DiskJob(denoiser, image, folder, settings, seen, jobs, made_of, code)


def _refuse_own_image(path: Path, image: Any) -> None:
    """Refuse to write over what the image is read from, whatever else is allowed."""
    lost = Precious(files_of(image)).lost_with(path)
    if lost is not None:
        raise DenoisingError(
            f"The image is read from {lost}, which would be lost.", "Choose another output."
        )


def _found(path: Path, *, overwrite: bool) -> DoneRecord | None:
    """Return the record of a result that is there; refuse anything else that is."""
    if not is_there(path):
        return None
    try:
        record = DoneRecord.load(path)
    except DenoisingError:
        if overwrite:
            return None
        raise
    if record is None and not overwrite:
        raise DenoisingError(
            f"{path} is there already, and is no result of ours that could be continued.",
            "Choose another output, or overwrite this one.",
        )
    return record


def _resolved(settings: PredictSettings, record: DoneRecord | None) -> PredictSettings:
    """Return settings with device and precision decided, as the record has them where asked."""
    if record is not None and settings.precision == "auto":
        device = trusted_device(settings.device)
        _check_computed(record, device)
        return replace(settings, device=str(device), precision=str(record.how["precision"]))
    device, chosen = trusted(settings.device, lambda d: choose_precision(d, settings.precision))
    names = {dtype: name for name, dtype in PRECISIONS.items()}
    return replace(settings, device=str(device), precision=names[chosen])


def _check_computed(record: DoneRecord, device: torch.device) -> None:
    """Refuse to go on, in the precision of a record, where it is not computed."""
    if device.type == "cpu" and record.how["precision"] == "float16" and record.finished < 1:
        raise DenoisingError(
            f"{record.folder} holds a result ({record.finished:.0%} of it) that was begun on a GPU "
            "in float16, which is not computed on the CPU.",
            "Go on where there is a GPU, choose another output, or overwrite this one.",
        )


def _planes_together(shape: tuple[int, int], step: int, halo: int) -> int:
    """Return how many small planes fill one tile."""
    seen = (min(shape[0], step) + 2 * halo) * (min(shape[1], step) + 2 * halo)
    return max(1, (step + 2 * halo) ** 2 // seen)
