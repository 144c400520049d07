"""Denoising from file to file: as steps, for the command line and the Batch panel."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.axes import is_dask
from napari_ae_denoise.disk_layout import ImageOnDisk
from napari_ae_denoise.file_layouts import can_store, code_layout, code_on_disk, planes_of
from napari_ae_denoise.image_files import check_writable, read_image, write_image
from napari_ae_denoise.ome_zarr import OME_VERSION
from napari_ae_denoise.output_names import refuse_existing
from napari_ae_denoise.prediction import note_of
from napari_ae_denoise.result_folder import Destination
from napari_ae_denoise.steps import Stopped
from napari_ae_denoise.strength import difference
from napari_ae_denoise.to_disk import begin
from napari_ae_denoise.window_reader import naming_faults

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.image_record import ImageFile
    from napari_ae_denoise.output_names import Outputs
    from napari_ae_denoise.prediction import TileProgress
    from napari_ae_denoise.resolving import Resolved
    from napari_ae_denoise.tile_runner import PredictSettings


@dataclass(frozen=True, slots=True)
class Work:
    """What is done to each image of a batch.

    Parameters
    ----------
    model : str
        Name of a bundled model, or a model file.
    axes : str or None
        Of the images.
    settings : PredictSettings
        How to run.
    level : int
        Of OME-Zarr images.
    overwrite : bool
        Whether results may be replaced.
    skip : bool
        Whether an image whose results are all there is left alone.
    """

    model: str
    axes: str | None
    settings: PredictSettings
    level: int
    overwrite: bool
    skip: bool = False


def _quietly(_name: str) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


@dataclass(frozen=True, slots=True, eq=False)
class FileJob:
    """An image of a file, and where its results go; made by `file_job`.

    Parameters
    ----------
    denoiser : Denoiser
        The model.
    image : ImageFile
        As it was read; large ones lazily.
    layout : PlaneLayout
        Its planes as the model sees them.
    targets : Outputs
        Where the results go.
    work : Work
        What to do.
    code_axes : str
        Of the latent code, if that is wanted.
    denoised_straight, code_straight : bool
        Whether that result goes to disk tile by tile.
    """

    denoiser: Denoiser
    image: ImageFile
    layout: PlaneLayout
    targets: Outputs
    work: Work
    code_axes: str
    denoised_straight: bool
    code_straight: bool

    @property
    def can_go_on(self) -> bool:
        """Whether what is made is kept when it is stopped, and continued by the same job."""
        return self.denoised_straight or self.code_straight

    def steps(
        self,
        stop: threading.Event | None = None,
        *,
        say: Callable[[str], None],
        writing: Callable[[str], AbstractContextManager[Any]] = _quietly,
    ) -> Generator[TileProgress, None, bool]:
        """Denoise, and write what is asked for.

        Parameters
        ----------
        stop : threading.Event, optional
            Looked at after each tile.
        say : callable
            Takes what people should know of the image, a sentence at a time.
        writing : callable
            Gives a context, by a file's name, in which dask computes and writes a lazy result.

        Yields
        ------
        TileProgress
            After each tile, of what is computed as a whole or straight to disk.

        Returns
        -------
        bool
            Whether it is finished; if not, no file has been written, or a folder in part.
        """
        image, targets, layout = self.image, self.targets, self.layout
        if is_dask(image.array):
            made = yield from self._lazily(stop, say)
            if made is None:
                return False
            denoised, code = made
        else:
            prediction = yield from self.denoiser.predict_steps(
                image.array,
                axes=layout.axes,
                settings=self.work.settings,
                code=targets.latent is not None,
                stop=stop,
            )
            if prediction.finished < 1:
                return False
            if prediction.note:
                say(f"note: {prediction.note}")
            self._remark(prediction.remarks, say)
            denoised, code = prediction.denoised, prediction.code
        if not self.denoised_straight:
            if targets.removed is not None and is_dask(denoised):
                with writing(targets.denoised.name):
                    denoised = denoised.compute()  # once, for both files
            write_file(targets.denoised, denoised, image, layout.axes, writing)
        if targets.latent is not None and not self.code_straight:
            coarse = image.with_stride(self.denoiser.stride)
            write_file(targets.latent, code, coarse, self.code_axes, writing)
        if targets.removed is not None:
            noise = difference(image.array, denoised)
            write_file(targets.removed, noise, image.with_differences(), layout.axes, writing)
        return True

    def _lazily(
        self, stop: threading.Event | None, say: Callable[[str], None]
    ) -> Generator[TileProgress, None, tuple[Any, Any] | None]:
        """Return denoised image and code of a lazy image, on disk where they can go there."""
        array, axes, settings = self.image.array, self.layout.axes, self.work.settings
        try:
            named = naming_faults(array, stop)
            seen = self.denoiser.resolve(named, axes, settings.noise_model, settings.correlated)
        except Stopped:
            return None
        if seen.note:
            say(f"note: {seen.note}")
        self._remark(seen.remarks, say)
        lazily = self.denoiser.predict_lazily(
            array,
            axes=axes,
            denoised=not self.denoised_straight,
            code=self.targets.latent is not None and not self.code_straight,
            settings=settings,
            seen=seen,
        )
        made, code = lazily.denoised, lazily.code
        how: dict[str, Any] = {"settings": settings, "seen": seen, "stop": stop, "say": say}
        if self.denoised_straight:
            target = self.targets.denoised
            made = yield from store_steps(
                self.denoiser, self.image, target, self.work.overwrite, **how
            )
            if made is None:
                return None
        if self.code_straight and self.targets.latent is not None:
            target = self.targets.latent
            code = yield from store_steps(
                self.denoiser, self.image, target, self.work.overwrite, code=True, **how
            )
            if code is None:
                return None
        return made, code

    def _remark(self, remarks: tuple[str, ...], say: Callable[[str], None]) -> None:
        for remark in remarks:
            say(f"{self.image.path.name}: {remark}")


def file_job(denoiser: Denoiser, path: Path, targets: Outputs, work: Work) -> FileJob:
    """Read an image, lazily if it is large, and check that its results can be written.

    Raises
    ------
    DenoisingError
        If the image or the targets do not go with each other or the model, or a target is there.
    """
    image = read_image(path, work.level)
    layout = planes_of(denoiser, image, work.axes)
    dtype = work.settings.dtype or image.array.dtype
    check_writable(targets.denoised, layout.shape, dtype, layout.axes)
    lazy = is_dask(image.array)
    straight = [lazy and can_store(targets.denoised, ImageOnDisk(layout)), False]
    code_axes = ""
    if targets.latent is not None:
        shape, code_axes = code_layout(denoiser, layout)
        lies = code_on_disk(denoiser, layout)
        straight[1] = lazy and can_store(targets.latent, lies)
        # straight on disk a code has axes of its own
        check_writable(targets.latent, shape, np.float32, lies.order if straight[1] else code_axes)
    if targets.removed is not None:
        check_writable(targets.removed, layout.shape, np.float32, layout.axes)
    for target, goes in zip(targets, straight, strict=False):
        if target is not None and not goes:
            refuse_existing(target, overwrite=work.overwrite)
    return FileJob(denoiser, image, layout, targets, work, code_axes, *straight)


def store_steps(
    denoiser: Denoiser,
    image: ImageFile,
    target: Path,
    overwrite: bool,
    *,
    settings: PredictSettings,
    seen: Resolved,
    stop: threading.Event | None,
    say: Callable[[str], None],
    code: bool = False,
) -> Generator[TileProgress, None, Any]:
    """Denoise or encode an image to disk, or continue what is there of it.

    Parameters
    ----------
    denoiser : Denoiser
        The model.
    image : ImageFile
        Its pixel size and what else is known of it go into the result's folder.
    target : Path
        That folder.
    overwrite : bool
        Whether something else may be replaced there.
    settings, seen
        As `begin` takes them.
    stop : threading.Event or None
        Looked at after each tile.
    say : callable
        Takes what people should know, a sentence at a time.
    code : bool
        Whether to make the latent code instead.

    Returns
    -------
    dask array or None
        None if it was stopped.
    """
    to = Destination(
        target,
        image.spacing,
        image.unit,
        overwrite,
        ome_version=image.ome_version or OME_VERSION,
        channels=image.channels,
        time_unit=image.time_unit,
        origin=image.origin,
    )
    try:
        job = begin(denoiser, image.array, to, settings=settings, code=code, seen=seen, stop=stop)
    except Stopped:
        return None
    before = job.folder.record.finished
    if before:
        say(f"note: {target} is there to {before:.0%}, and is continued.")
    for told in (*job.seen.warnings, *job.seen.remarks):  # as it was seen at the beginning
        if told not in (*seen.warnings, *seen.remarks):
            say(f"note: {told}")
    stored = yield from job.steps(stop=stop)
    if stored.invalid_pixels:
        dtype = None if code else stored.array.dtype
        say(f"note: {note_of((), stored.invalid_pixels, dtype)}")
    return None if stored.finished < 1 else stored.array


def write_file(
    target: Path,
    array: Any,
    like: ImageFile,
    axes: str | None,
    writing: Callable[[str], AbstractContextManager[Any]] = _quietly,
) -> None:
    """Write a result; a lazy one is computed within the context that ``writing`` gives."""
    with writing(target.name) if is_dask(array) else contextlib.nullcontext():
        write_image(target, array, like, axes)
