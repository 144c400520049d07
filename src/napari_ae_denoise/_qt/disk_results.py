"""Denoising an image that is too large for memory: to disk, into a layer that fills."""

from __future__ import annotations

import hashlib
import math
import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from napari_ae_denoise import fingerprints
from napari_ae_denoise._qt.forms import duration
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.removed_noise import check_removed
from napari_ae_denoise.result_folder import Destination
from napari_ae_denoise.result_view import views
from napari_ae_denoise.to_disk import begin

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise._qt.results import DenoiseChoices
    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.disk_job import Stored
    from napari_ae_denoise.prediction import TileProgress
    from napari_ae_denoise.tile_jobs import View

_SHARE = 0.25  # of the free memory that a result may take


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """The result is begun on disk: it can be shown, and fills.

    Parameters
    ----------
    layer : dict
        Arguments of `Image`.
    layout : PlaneLayout
        How its planes are numbered.
    path : Path
        Where it is.
    finished : float
        Fraction that is there already.
    """

    layer: dict[str, Any]
    layout: PlaneLayout
    path: Path
    finished: float


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is on disk at the end: a sentence, a warning, and the finished arrays, if they are."""

    levels: list[Any] | None
    summary: str
    warning: str


def too_large(image: Any, limit: float) -> bool:
    """Return whether a result goes to disk: above ``limit`` GB, or what memory has room for."""
    size = math.prod(image.shape) * image.dtype.itemsize
    return bool(size > limit * 1e9 or size > _SHARE * psutil.virtual_memory().available)


def folder_for(chosen: str, source_path: str | None) -> Path:
    """Return the folder to write into: the chosen one, that of the image, or a temporary one.

    Raises
    ------
    DenoisingError
        If the chosen one is not there.
    """
    if chosen:
        if not Path(chosen).is_dir():
            raise DenoisingError(f"There is no folder {chosen}.", "Choose one that exists.")
        return Path(chosen)
    beside = Path(source_path).parent if source_path else None
    if beside is not None and beside.is_dir() and os.access(beside, os.W_OK):
        return beside
    place = Path(tempfile.gettempdir()) / "napari-ae-denoise"
    place.mkdir(exist_ok=True)
    return place


def disk_steps(
    choices: DenoiseChoices,
    folder: Path,
    stop: threading.Event,
    view: Callable[[], View | None],
) -> Generator[Begun | TileProgress, None, Kept]:
    """Denoise to disk; yields `Begun` first, then a record for each tile.

    The same image, model and settings go to the same place, and on where they were.
    """
    if choices.code or choices.noise or not choices.denoised:
        raise DenoisingError(
            "This image is denoised to disk, and there is no room for its latent code and noise.",
            "Tick the denoised image alone, or raise the size above which images go to disk.",
        )
    source, denoiser = choices.source, choices.denoiser
    to = Destination(folder / _name(choices), *_spacing(source))
    job = begin(denoiser, source.image, to, axes=source.axes or None, settings=choices.settings)
    levels: list[Any] = list(views(job.folder, photograph=source.rgb))
    metadata = choices.record(folder=str(to.path))
    data = levels if len(levels) > 1 else levels[0]
    layer = source.denoised_layer(data, f"{source.name} denoised", metadata)
    layer["multiscale"] = len(levels) > 1
    before = job.folder.record.finished
    yield Begun(layer, job.folder.layout, Path(to.path), before)
    stored = yield from job.steps(stop=stop, view=view)
    verdict = None
    if stored.finished == 1:
        verdict = check_removed(source.image, stored.array, source.axes or None)
    return _kept(stored, before, str(verdict or ""))


def _kept(stored: Stored, before: float, verdict: str) -> Kept:
    part = stored.finished
    went_on = f" (of which {before:.0%} was there)" if before else ""
    if part == 1:
        done = f"Done, {duration(stored.seconds)}{went_on}. It is in {stored.path}."
        done = " ".join(filter(None, [done, *stored.remarks, verdict]))
        return Kept(stored.levels, done, stored.note)
    done = (
        f"Cancelled: {part:.0%} of the tiles are in {stored.path}{went_on}. Press Denoise to go on."
    )
    return Kept(None, done, stored.note)


def _name(choices: DenoiseChoices) -> str:
    """Return a name that is the same for the same call, and another for another one."""
    source, settings = choices.source, replace(choices.settings, tile="auto", device="auto")
    said = repr((source.axes, tuple(source.image.shape), settings))
    mark = hashlib.sha256((said + fingerprints.of_model(choices.denoiser)).encode()).hexdigest()
    plain = re.sub(r"[^\w.+ -]+", "_", source.name).strip(" .")[:80] or "image"
    return f"{plain} denoised {mark[:6]}.ome.zarr"


def _spacing(source: Source) -> tuple[dict[str, float], str]:
    """Return pixel size and unit of a layer, as OME-Zarr keeps them."""
    axes = [a for a in source.axes if not (source.rgb and a == "C")]
    scale = dict(zip(axes, source.transforms["scale"], strict=True))
    units = dict(zip(axes, source.transforms["units"], strict=True))
    unit = units["X"] if units["X"] != "pixel" else ""
    kept = {a: float(scale[a]) for a in axes if a in "ZYX" and unit and units[a] == unit}
    if units.get("T") == "second":
        kept["T"] = float(scale["T"])
    return kept, unit
