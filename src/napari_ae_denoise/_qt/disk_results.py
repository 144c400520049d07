"""Denoising an image that is too large for memory: to disk, into a layer that fills."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_ae_denoise import disk
from napari_ae_denoise._qt.disk_layers import code_layer, noise_layer, what_codes_lack
from napari_ae_denoise._qt.disk_places import place_for, placement_of
from napari_ae_denoise._qt.forms import duration
from napari_ae_denoise._qt.results import judged
from napari_ae_denoise.result_folder import Destination
from napari_ae_denoise.result_view import views
from napari_ae_denoise.steps import Stopped, mapped
from napari_ae_denoise.to_disk import begin

if TYPE_CHECKING:
    import threading
    import weakref
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from napari_ae_denoise._qt.results import DenoiseChoices
    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.disk_job import DiskJob, Stored
    from napari_ae_denoise.done_record import DoneRecord
    from napari_ae_denoise.prediction import TileProgress
    from napari_ae_denoise.tile_jobs import View


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """The result is begun on disk: it can be shown, and fills.

    Parameters
    ----------
    layer : dict or None
        Arguments of `Image`; None where the denoised image is no layer of its own.
    layout : PlaneLayout
        How its planes are numbered.
    paths : tuple of Path
        Where it and other results are.
    finished : float
        Fraction that is there already.
    writes : dict of int to int
        How many tiles of each plane of it are there; see `ResultFolder`.
    record : DoneRecord, optional
        Of the tiles that are there now.
    """

    layer: dict[str, Any] | None
    layout: PlaneLayout
    paths: tuple[Path, ...]
    finished: float
    writes: dict[int, int]
    record: DoneRecord | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is on disk at the end.

    Parameters
    ----------
    levels : list of array or None
        Those of the denoised image, if it is finished and a layer.
    layers : tuple of dict
        Arguments of `Image` for the other results.
    summary, warning : str
        Sentences.
    origin : weak reference to a Layer, optional
        Which was denoised.
    found : dict
        What the record of the denoised image's layer lacked when it was begun.
    """

    levels: list[Any] | None
    layers: tuple[dict[str, Any], ...]
    summary: str
    warning: str
    origin: weakref.ref[Any] | None
    found: dict[str, Any]


def disk_steps(
    choices: DenoiseChoices,
    folder: Path,
    before: Sequence[Any],
    stop: threading.Event,
    view: Callable[[], View | None],
) -> Generator[Begun | TileProgress, None, Kept]:
    """Denoise or encode to disk; yields `Begun` first, then a record for each tile.

    The same image, model and settings go to the same place, and on where they were. ``before``
    are the levels of the image, from the one that is denoised on.
    """
    try:
        jobs = _begun(choices, folder, stop)
    except Stopped:
        return Kept(None, (), "Cancelled before it began.", "", choices.source.layer, {})
    first, paths = jobs[0], [job.folder.path for job in jobs]
    found: dict[str, Any] = {"normalization": list(first.seen.normalization)}
    found["fingerprint"] = first.folder.record.made_of["image"]
    there = [job.folder.record.finished for job in jobs]
    begun = {**found, "finished": there[0]}
    layer = _filling(choices, first, begun) if choices.denoised else None
    on_disk = first.folder
    yield Begun(layer, on_disk.layout, tuple(paths), there[0], on_disk.writes, on_disk.record)
    made: list[Stored] = []
    total, done = sum(len(job.jobs) for job in jobs), 0
    for job in jobs:
        if made and made[-1].finished < 1:
            made.append(job.stored())
            continue
        made.append((yield from _counted(job.steps(stop=stop, view=view), done, total)))
        done += len(job.jobs)
    source, levels, verdict = choices.source, None, ""
    more: list[dict[str, Any]] = []
    for job, stored in zip(jobs, made, strict=True):
        told = {**found, "folder": str(stored.path), "finished": stored.finished}
        if stored.finished == 0:
            continue
        if job.code:
            more.append(code_layer(choices, job, stored, told))
            continue
        levels = stored.levels if stored.finished == 1 and choices.denoised else None
        check = None
        if stored.finished == 1:
            check, verdict = judged(source, stored.array)
        if choices.noise:
            more.append(noise_layer(choices, before, stored, told, check))
    said = [_in_words(made, there), *made[0].remarks, verdict]
    said += [what_codes_lack(choices)] if choices.code else []
    summary = " ".join(filter(None, said))
    ended = {"finished": made[0].finished, "remarks": list(made[0].remarks)}
    return Kept(levels, tuple(more), summary, made[0].note, source.layer, ended)


def _begun(choices: DenoiseChoices, folder: Path, stop: threading.Event) -> list[DiskJob]:
    """Begin what is asked for; the removed noise needs the denoised image.

    Raises
    ------
    DenoisingError
        If there is no room for all of it.
    """
    jobs: list[DiskJob] = []
    image = choices.fingerprint(stop)
    for code in [False] * (choices.denoised or choices.noise) + [True] * choices.code:
        place = place_for(folder, choices, image, code)
        to = Destination(place, **placement_of(choices.source))
        job = begin(
            choices.denoiser,
            choices.source.image,
            to,
            axes=choices.source.axes or None,
            settings=choices.settings,
            code=code,
            seen=jobs[0].seen if jobs else None,
            stop=stop,
        )
        jobs.append(job)
    disk.check_space(jobs[0].folder.path, sum(job.bytes_left for job in jobs))
    return jobs


def _filling(choices: DenoiseChoices, job: DiskJob, found: dict[str, Any]) -> dict[str, Any]:
    """Return what `Image` takes for a denoised image that fills."""
    source = choices.source
    levels: list[Any] = list(views(job.folder, photograph=source.rgb))
    metadata = choices.record(**found, folder=str(job.folder.path))
    data = levels if len(levels) > 1 else levels[0]
    layer = source.denoised_layer(data, f"{source.name} denoised", metadata)
    return {**layer, "multiscale": len(levels) > 1}


def _counted(
    steps: Generator[TileProgress, None, Stored], done: int, total: int
) -> Generator[TileProgress, None, Stored]:
    """Count the tiles of one of several results among those of all."""

    def among_all(tile: TileProgress) -> TileProgress:
        left = max(tile.total - tile.done, 1)
        remaining = tile.remaining * (total - done - tile.done) / left
        return replace(tile, done=done + tile.done, total=total, remaining=remaining)

    return (yield from mapped(steps, among_all))


def _in_words(made: Sequence[Stored], there: Sequence[float]) -> str:
    """Say what is on the disk."""
    paths = " and ".join(str(stored.path) for stored in made)
    parts = [stored.finished for stored in made]
    part, before = sum(parts) / len(parts), sum(there) / len(there)
    went_on = f" (of which {before:.0%} was there)" if before else ""
    if part == 1:
        seconds = sum(stored.seconds for stored in made)
        are = "It is" if len(made) == 1 else "They are"
        return f"Done, {duration(seconds)}{went_on}. {are} in {paths}."
    return f"Cancelled: {part:.0%} of the tiles are in {paths}{went_on}. Press Denoise to go on."
