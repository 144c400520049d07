"""Lazy arrays whose recently read chunks are kept."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import chunk_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT_BYTES = 256 * 1024**2  # of all arrays together
_LARGEST_CHUNK = KEPT_BYTES // 4
_SEVERAL = 16  # chunks under a window: more are read at once, and not kept
_MOST_PLACES = 32  # in turn: as many are in a few batches


class RecentChunks:
    """What was read last of some lazy arrays, whole chunks, within a bound.

    A patch of 64 x 64 pixels out of a plane that is one chunk costs the whole plane, read and
    unpacked. Nothing that is read depends on what is kept.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[object, npt.NDArray[Any]] = OrderedDict()
        self._bytes = 0

    def of(self, array: Any) -> Any:
        """Return an array that reads as the given one; an array in memory as it is.

        So is one with chunks that are too large to be kept, of which parts may be cheaper.
        """
        if isinstance(array, np.ndarray) or getattr(array, "chunks", None) is None:
            return array
        return array if chunk_bytes(array) > _LARGEST_CHUNK else _Kept(array, self)

    def read(self, array: Any, key: object, index: tuple[slice, ...]) -> npt.NDArray[Any]:
        """Return a chunk of an array, from what is kept if it is there."""
        values = self._kept.pop(key, None)
        if values is None:
            values = np.asarray(array[index])
            self._bytes += values.nbytes
        self._kept[key] = values
        while self._bytes > KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return values


class _Kept:
    """An array that is read chunk by chunk."""

    def __init__(self, array: Any, chunks: RecentChunks) -> None:
        self.array, self._chunks = array, chunks
        self.shape, self.dtype, self.ndim = array.shape, np.dtype(array.dtype), array.ndim
        self.chunks = array.chunks
        self._ends = [np.cumsum(chunk_sizes(array, axis)) for axis in range(array.ndim)]

    def __getitem__(self, index: tuple[int | slice, ...]) -> npt.NDArray[Any]:
        """Return a window."""
        spans = [
            range(n)[i] if isinstance(i, slice) else range(n)[i : i + 1 or None]
            for i, n in zip(index, self.shape, strict=True)
        ]
        numbers = []
        for ends, span in zip(self._ends, spans, strict=True):
            first, last = np.searchsorted(ends, (span[0], span[-1]), side="right")
            numbers.append(range(int(first), int(last) + 1))
        if math.prod(len(n) for n in numbers) > _SEVERAL or any(s.step != 1 for s in spans):
            return np.asarray(self.array[index])
        made = np.empty([len(s) for s in spans], self.dtype)
        for place in itertools.product(*numbers):
            starts = [int(e[n - 1]) if n else 0 for e, n in zip(self._ends, place, strict=True)]
            stops = [int(e[n]) for e, n in zip(self._ends, place, strict=True)]
            whole = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
            values = self._chunks.read(self.array, (id(self.array), place), whole)
            there, here = [], []  # of the window, and of the chunk
            for start, stop, span in zip(starts, stops, spans, strict=True):
                a, b = max(start, span.start), min(stop, span.stop)
                there.append(slice(a - span.start, b - span.start))
                here.append(slice(a - start, b - start))
            made[tuple(there)] = values[tuple(here)]
        return made[tuple(slice(None) if isinstance(i, slice) else 0 for i in index)]


def chunk_bytes(array: Any) -> int:
    """Return the bytes of the largest chunk of an array."""
    sides = [max(chunk_sizes(array, axis)) for axis in range(array.ndim)]
    return math.prod(sides) * int(np.dtype(array.dtype).itemsize)


def places_at_once(arrays: Iterable[Any]) -> int:
    """Return how many places of lazy arrays may be read in turn, for all of them to be kept.

    0 where all that there is of them can be kept, or nothing: then no order is better than another.
    It follows from the arrays alone, never from the memory that is free.
    """
    found = [array for array in arrays if isinstance(array, _Kept)]
    lazy = list({id(a.array): a for a in found}.values())  # the same one may be on both sides
    if sum(math.prod(a.shape) * a.dtype.itemsize for a in lazy) <= KEPT_BYTES:
        return 0
    # a patch may lie across four chunks, and have a partner
    return min(_MOST_PLACES, max(1, KEPT_BYTES // (4 * max(chunk_bytes(a) for a in lazy))))
