"""A result on disk as it is looked at while it is made: what is not there yet is NaN."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.unfinished import unfinished_value

if TYPE_CHECKING:
    from napari_ae_denoise.result_folder import ResultFolder


_KEPT_BYTES = 64 * 1024**2  # of each level


class ResultView:
    """One level of a result, with the axes of the image; each reading shows what is there now.

    Integers are shown as float32, for they have no NaN: a pixel of the largest value counts as not
    made. Photographs stay as they are, and what is not made yet is white.

    What was read of a plane is kept until another tile of it is written, and of planes without a
    tile nothing is read: a window that shows one plane after the other waits for no disk.

    Parameters
    ----------
    folder : ResultFolder
        The result.
    number : int
        Of the level.
    """

    def __init__(self, folder: ResultFolder, number: int, *, photograph: bool = False) -> None:
        self._folder, self._level = folder, folder.levels[number]
        layout, level = folder.layout, self._level
        self._order = [folder.order.index(a) for a in layout.axes]
        self._stack = [layout.axes.index(a) for a in layout.stack_axes]
        self._fill = unfinished_value(level.dtype)
        self._masked = not photograph and not np.issubdtype(level.dtype, np.floating)
        self.shape = tuple(level.shape[axis] for axis in self._order)
        self.dtype = np.dtype(np.float32) if self._masked else np.dtype(level.dtype)
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape, dtype=object))
        self._kept: OrderedDict[object, tuple[int, npt.NDArray[Any]]] = OrderedDict()

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """Return a part, read from the disk."""
        index = index if isinstance(index, tuple) else (index,)
        if Ellipsis in index:
            at = index.index(Ellipsis)
            index = (*index[:at], *[slice(None)] * (self.ndim - len(index) + 1), *index[at + 1 :])
        index = (*index, *[slice(None)] * (self.ndim - len(index)))
        whole = tuple(
            range(n)[i] if isinstance(i, slice) else range(n)[int(i) : int(i) + 1 or None]
            for i, n in zip(index, self.shape, strict=True)
        )
        kept = tuple(slice(None) if isinstance(i, slice) else 0 for i in index)
        return self._part(whole)[kept]

    def _part(self, whole: tuple[range, ...]) -> npt.NDArray[Any]:
        """Return a part that has all axes, perhaps as it was read before."""
        plane = self._plane(whole)
        if plane is None:
            return self._read(whole)
        count = self._folder.writes.get(plane, 0)  # before it is read: it may be read in between
        if not count:
            shape = tuple(len(along) for along in whole)
            return np.full(shape, np.nan if self._masked else self._fill, self.dtype)
        before, values = self._kept.pop(whole, (0, None))
        if values is None or before != count:
            values = self._read(whole)
            values.flags.writeable = False  # it is given out again
        self._kept[whole] = count, values
        while sum(one.nbytes for _, one in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return values

    def _plane(self, whole: tuple[range, ...]) -> int | None:
        """Return the number of the plane that a part lies in; None if in several."""
        places = [whole[axis] for axis in self._stack]
        if any(len(along) != 1 for along in places):
            return None
        shape = self._folder.layout.stack_shape
        if not places:
            return 0
        return int(np.ravel_multi_index([along[0] for along in places], shape))

    def _read(self, whole: tuple[range, ...]) -> npt.NDArray[Any]:
        there: list[Any] = [None] * self.ndim
        for along, axis in zip(whole, self._order, strict=True):
            there[axis] = slice(along.start, along.stop, along.step)
        values = np.asarray(self._level[tuple(there)]).transpose(self._order)
        if not self._masked:
            return values
        shown = values.astype(np.float32)
        shown[values == self._fill] = np.nan
        return shown

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all of it."""
        return np.asarray(self[...], dtype)


def views(folder: ResultFolder, *, photograph: bool = False) -> list[ResultView]:
    """Return the levels of a result, from fine to coarse."""
    return [ResultView(folder, n, photograph=photograph) for n in range(len(folder.levels))]
