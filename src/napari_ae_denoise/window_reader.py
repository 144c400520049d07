"""Reading an image window by window: each chunk few times, and what goes wrong by its place."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import chunk_sizes, is_dask
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.steps import Stopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.tiling import Tile

_SLAB_BYTES = 64 * 1024**2  # of neighbouring planes that are read at once
_NO_SLAB: npt.NDArray[Any] = np.empty(0)


@dataclass(slots=True, eq=False)
class WindowReader:
    """Reads what tiles need of an image, and notices when the image changes meanwhile.

    Chunks that hold several planes are read once for all of those planes, as far as memory allows:
    a chunk of a hundred planes would be read a hundred times otherwise.

    Parameters
    ----------
    image : array
        numpy, dask or zarr.
    layout : PlaneLayout
        How to read it.
    """

    image: Any
    layout: PlaneLayout
    _key: object = None
    _slab: npt.NDArray[Any] = field(default_factory=lambda: _NO_SLAB)
    _sources: list[Any] = field(default_factory=list)
    _named: Any = None

    def __post_init__(self) -> None:
        """Find what on disk the image is read from."""
        self._named = naming_faults(self.image)
        self._sources = [(s, tuple(s.shape)) for s in _on_disk(self.image)]

    @property
    def depth(self) -> int:
        """How many neighbouring planes share a chunk."""
        if not self.layout.stack_axes:
            return 1
        return max(chunk_sizes(self.image, self.layout.axes.index(self.layout.stack_axes[-1])))

    def read(self, plane: int, tile: Tile) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
        """Return what a tile reads of a plane, and the alpha that belongs to what it writes.

        Returns
        -------
        window : ndarray
            (channels, Y, X) in the image's dtype.
        alpha : ndarray or None
            (Y, X); None where there is no alpha, or another plane brings it.

        Raises
        ------
        DenoisingError
            If a chunk cannot be read, which is named, or the image changed since the beginning.
        """
        self.check_unchanged()
        layout = self.layout
        y, x = tile.y.read, tile.x.read
        planes = self._planes_at_once(plane, tile)
        if len(planes) == 1:
            window = layout.to_plane(self._window(layout.index(plane, y, x)))
        else:
            if self._key != (planes, tile):
                self._slab, self._key = _NO_SLAB, None  # the old one goes before the new one comes
                first, last = layout.index(planes[0], y, x), layout.index(planes[-1], y, x)
                at = layout.axes.index(layout.stack_axes[-1])
                whole = (*first[:at], slice(first[at], last[at] + 1), *first[at + 1 :])  # type: ignore[operator]
                # axes that are read at one place are gone from the window
                at_in_window = sum(isinstance(index, slice) for index in whole[:at])
                self._slab = np.moveaxis(self._window(whole), at_in_window, 0)
                self._key = (planes, tile)
            window = layout.to_plane(self._slab[plane - planes[0]])
        return window, self._alpha(plane, tile)

    def _alpha(self, plane: int, tile: Tile) -> npt.NDArray[Any] | None:
        layout = self.layout
        if not layout.has_alpha:
            return None
        at = layout.axes.index("C")
        index = layout.index(plane, tile.y.write, tile.x.write)
        if not layout.joint and index[at] != 0:  # the plane of the first colour brings it
            return None
        alpha = self._window((*index[:at], layout.channels, *index[at + 1 :]))
        kept = [a for a in layout.axes if a in "YX"]
        return alpha.transpose([kept.index(a) for a in "YX"])

    def _planes_at_once(self, plane: int, tile: Tile) -> range:
        """Return the neighbours of a plane along the last stack axis that share its chunks."""
        layout = self.layout
        if not layout.stack_axes:
            return range(plane, plane + 1)
        y, x = tile.y.read, tile.x.read
        pixels = (y.stop - y.start) * (x.stop - x.start) * layout.plane_channels
        depth = max(1, min(self.depth, _SLAB_BYTES // (pixels * self.image.dtype.itemsize)))
        length = layout.stack_shape[-1]
        place = plane % length
        first = place // depth * depth
        return range(plane - place + first, plane - place + min(first + depth, length))

    def _window(self, index: tuple[int | slice, ...]) -> npt.NDArray[Any]:
        """Return a part of the image; notice where it has not the shape that it should have."""
        window = np.asarray(self._named[index])
        expected = tuple(
            len(range(*i.indices(n)))
            for i, n in zip(index, self.layout.shape, strict=True)
            if isinstance(i, slice)
        )
        if window.shape != expected or window.dtype != self.image.dtype:
            self._refuse_change(f"a window of shape {expected} came as {window.shape}")
        return window

    def check_unchanged(self) -> None:
        """Notice where the image on disk has got another shape.

        A chunk that is gone reads as zeros, and memory behind the end of a mapped file ends the
        program: both must be known before anything is read.

        Raises
        ------
        DenoisingError
            If it has.
        """
        for source, shape in self._sources:
            if isinstance(source, np.memmap):
                try:
                    size = os.stat(str(source.filename)).st_size
                except OSError as error:
                    self._refuse_change(f"{source.filename} is gone ({error.strerror})")
                if size < source.offset + source.nbytes:
                    self._refuse_change(f"{source.filename} has got shorter, {size} bytes")
            elif (now := _shape_now(source)) != shape:
                self._refuse_change(f"its shape was {shape} and is {now or 'gone'}")

    def _refuse_change(self, what: str) -> None:
        raise DenoisingError(
            f"The image changed while it was read: {what}.",
            "Wait until it is written whole, then start anew with another output, or overwrite.",
        )


class _NamingFaults:
    """An array that says which of its chunks cannot be read, and reads nothing once stopped."""

    def __init__(self, array: Any, stop: threading.Event | None) -> None:
        self.array, self._stop = array, stop
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, index: tuple[int | slice, ...]) -> npt.NDArray[Any]:
        """Return a part, read."""
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        try:
            return np.asarray(self.array[index])
        except MemoryError:
            raise
        except Exception as error:
            chunk, reason = _unreadable(self.array, index)
            reason = reason or error
            said = " ".join(str(reason).split())[:200] or type(reason).__name__
            raise DenoisingError(
                f"The image could not be read at {chunk or _in_words(index)}: {said.rstrip('.')}.",
                "Copy the image again from its source, then call again: what is finished is kept.",
            ) from error


def naming_faults(array: Any, stop: threading.Event | None = None) -> Any:
    """Return an array that names the chunk that cannot be read, if one cannot.

    Once ``stop`` is set, it raises `Stopped` instead of reading: a sample of many chunks may take
    long. Arrays of numpy are returned as they are.
    """
    return array if isinstance(array, np.ndarray) else _NamingFaults(array, stop)


def files_of(image: Any) -> list[Path]:
    """Return the files and folders that an image is read from, as far as it tells."""
    found = []
    for array in _on_disk(image):
        if isinstance(array, np.memmap):
            found.append(Path(str(array.filename)))
            continue
        place = getattr(array.store, "root", None) or getattr(array.store, "path", None)
        if isinstance(place, Path):  # what is elsewhere has texts for paths
            found.append(place / array.path if place.is_dir() else place)
    return found


def _on_disk(image: Any) -> Iterator[Any]:
    """Yield the arrays on disk that an image is read from, as far as it tells."""
    if is_dask(image):
        for name, layer in image.dask.layers.items():
            if name.startswith("original-"):  # as dask names what it was given
                yield from (array for array in dict(layer).values() if _is_on_disk(array))
    elif _is_on_disk(image):
        yield image


def _is_on_disk(array: Any) -> bool:
    return (isinstance(array, np.memmap) and array.filename is not None) or _is_zarr(array)


def _is_zarr(array: Any) -> bool:
    return type(array).__module__.split(".")[0] == "zarr" and hasattr(array, "store")


def _shape_now(array: Any) -> tuple[int, ...] | None:
    """Return the shape that a zarr array has now; None where it is gone."""
    import zarr

    try:
        return tuple(zarr.open_array(array.store, path=array.path, mode="r").shape)
    except (OSError, ValueError, KeyError):
        return None


def _unreadable(image: Any, index: tuple[int | slice, ...]) -> tuple[str, Exception | None]:
    """Find the first chunk under a window that cannot be read; return its name and the reason."""
    parts = []
    for axis, (place, length) in enumerate(zip(index, image.shape, strict=True)):
        low, high = (place, place + 1) if isinstance(place, int) else place.indices(length)[:2]
        ends = list(itertools.accumulate(chunk_sizes(image, axis)))
        starts = [0, *ends[:-1]]
        parts.append(
            [
                (number, slice(max(start, low), min(end, high)))
                for number, (start, end) in enumerate(zip(starts, ends, strict=True))
                if start < high and end > low
            ]
        )
    for chunk in itertools.product(*parts):
        try:
            np.asarray(image[tuple(part for _, part in chunk)])
        except Exception as error:  # noqa: BLE001 (whatever it is, it is said with the place)
            numbers = tuple(number for number, _ in chunk)
            name = f"chunk {numbers}"
            if _is_zarr(image):
                name += f" ({image.store_path}/{image.metadata.encode_chunk_key(numbers)})"
            return name, error
    return "", None


def _in_words(index: tuple[int | slice, ...]) -> str:
    places = (f"{i.start} to {i.stop}" if isinstance(i, slice) else str(i) for i in index)
    return f"({', '.join(places)})"
