"""Making a result on disk: tile by tile, each once, to be stopped and continued."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise import disk, fingerprints
from napari_ae_denoise.devices import memory_given_back, spare_a_core
from napari_ae_denoise.disk_layout import bytes_needed
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import to_dtype
from napari_ae_denoise.normalization import of_plane
from napari_ae_denoise.persistent_runner import PersistentRunner
from napari_ae_denoise.pipeline import overlapped
from napari_ae_denoise.prediction import TileProgress, note_of
from napari_ae_denoise.steps import Stopped
from napari_ae_denoise.window_reader import WindowReader

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.resolving import Resolved
    from napari_ae_denoise.result_folder import ResultFolder
    from napari_ae_denoise.tile_jobs import TileJob, TileJobs, View
    from napari_ae_denoise.tile_runner import PredictSettings

Windows = list[tuple[npt.NDArray[Any], npt.NDArray[Any] | None]]  # (window, alpha) of each plane


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A result on disk.

    Parameters
    ----------
    path : Path
        The folder.
    levels : list of dask array
        From full resolution to coarse, with the image's axes. Pixels that are not made yet are
        NaN, or the largest integer.
    finished : float
        Fraction of the tiles that are on the disk.
    computed : int
        How many tiles this call computed; the others were there.
    invalid_pixels : int
        How many pixels of the image are NaN or infinite, in the finished tiles.
    seconds : float
        What it took.
    remarks, warnings : tuple of str
        See `Resolved`.
    """

    path: Path
    levels: list[Any]
    finished: float
    computed: int
    invalid_pixels: int
    seconds: float
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def array(self) -> Any:
        """The result at full resolution, as a dask array."""
        return self.levels[0]

    @property
    def note(self) -> str:
        """What people should know about the image; empty if nothing."""
        return note_of(self.warnings, self.invalid_pixels, self.array.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class DiskJob:
    """A result that is begun on disk: what is there can be looked at, and the rest be made.

    Parameters
    ----------
    denoiser : Denoiser
        The model.
    image : array
        numpy, dask or zarr.
    folder : ResultFolder
        Where the result is.
    settings : PredictSettings
        With nothing left automatic.
    seen : Resolved
        How the denoiser sees the image.
    jobs : TileJobs
        All that there is to do.
    made_of : dict
        What the result is made of.
    code : bool
        Whether it is the latent code.
    """

    denoiser: Denoiser
    image: Any
    folder: ResultFolder
    settings: PredictSettings
    seen: Resolved
    jobs: TileJobs
    made_of: dict[str, str]
    code: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the result."""
        return np.dtype(self.settings.dtype or self.image.dtype)

    @property
    def bytes_left(self) -> int:
        """What it will still take on the disk, at most."""
        needed = bytes_needed(self.folder.lies, self.dtype)
        return round(needed * (1 - self.folder.record.finished))

    def steps(
        self,
        *,
        stop: threading.Event | None = None,
        view: Callable[[], View | None] | None = None,
    ) -> Generator[TileProgress, None, Stored]:
        """Make what is missing; reading, computing and writing overlap.

        Parameters
        ----------
        stop : threading.Event, optional
            Once set, the running tile is given up, and no further one is begun.
        view : callable, optional
            Says what somebody looks at just now: this is made first.

        Yields
        ------
        TileProgress
            After each tile that is on the disk.

        Returns
        -------
        Stored

        Raises
        ------
        DenoisingError
            If the image cannot be read or changes, the disk is full or read-only, the folder is
            taken away, or another run writes to the same place. Finished tiles stay.
        """
        folder, record = self.folder, self.folder.record
        network = self.denoiser.network_for(self.seen)
        runner: Callable[..., Any]
        reader = WindowReader(self.image, folder.layout)
        began, computed, total = time.monotonic(), 0, len(self.jobs)

        def read(job: TileJob) -> Windows:
            return [reader.read(plane, job.tile) for plane in job.planes]

        def compute(job: TileJob, windows: Windows) -> tuple[list[Any], Windows, int]:
            images, features, invalid = runner(
                [window for window, _ in windows],
                job.tile,
                [of_plane(self.seen.maps, folder.layout, plane) for plane in job.planes],
                self.dtype,
                image=not self.code,
                code=self.code,
            )
            return images if features is None else list(features), windows, invalid

        def write(job: TileJob, made: tuple[list[Any], Windows, int]) -> int:
            files: set[Path] = set()
            check_there()
            with disk.disk_errors(folder.path):
                for plane, window, (_, alpha) in zip(job.planes, made[0], made[1], strict=True):
                    kept = None if alpha is None or self.code else to_dtype(alpha, self.dtype)
                    files |= folder.write(plane, job.tile, window, kept)
                disk.settle(files)
            check_there()
            record.mark([job.number], made[2])  # last: it never claims what is not there
            return job.number

        with disk.alone(folder.path) as check_there, memory_given_back(), spare_a_core():
            record.take_up()
            if record.finished < 1:
                disk.remove_litter(folder.path)
                runner = PersistentRunner(network, self.settings, stop)
            before = int(record.done.sum())
            todo = self.jobs.todo(record.done.copy(), view, reader.depth)
            with contextlib.suppress(Stopped):  # what is computed by then is written
                for _ in overlapped(todo, read, compute, write, stop=stop):
                    computed += 1
                    elapsed = time.monotonic() - began
                    remaining = elapsed * (total - before - computed) / computed
                    yield TileProgress(before + computed, total, elapsed, remaining)
            if computed and record.finished == 1:
                self._check_image()
        return self.stored(computed, time.monotonic() - began)

    def stored(self, computed: int = 0, seconds: float = 0.0) -> Stored:
        """Return what is there now."""
        record = self.folder.record
        return Stored(
            self.folder.path,
            self.folder.arrays(),
            record.finished,
            computed,
            record.invalid_pixels,
            seconds,
            self.seen.remarks,
            self.seen.warnings,
        )

    def _check_image(self) -> None:
        """Notice an image whose grey values are no longer those of the beginning."""
        now = fingerprints.of_image(self.image, self.folder.layout)
        if now != self.made_of["image"]:
            self.folder.record.done[:] = False
            self.folder.record.save(self.folder.path)
            raise DenoisingError(
                f"The image changed while it was read, so {self.folder.path} holds parts of two "
                f"images ({self.made_of['image']}, now {now}).",
                "Wait until the image is written whole, then overwrite this result.",
            )
