"""A result on disk as it is looked at while it is made: what is not there yet is NaN."""

from __future__ import annotations

from collections import OrderedDict
from copy import copy as copy_of
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.unfinished import unfinished_value

if TYPE_CHECKING:
    from napari_ae_denoise.result_folder import ResultFolder


_KEPT_BYTES = 64 * 1024**2  # of each level


class ResultView:
    """One level of a result, with the axes of the image; each reading shows what is there now.

    A part of several planes is a view again, and read when it is made an array: napari cuts Y and X
    out of all planes before it takes the one that it shows. A part of one plane is read at once.

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
        self._folder, self._level, self._number = folder, folder.levels[number], number
        layout, level = folder.layout, self._level
        self._order = [folder.order.index(a) for a in layout.axes]
        self._stack = [layout.axes.index(a) for a in layout.stack_axes]
        self._fill = unfinished_value(level.dtype)
        self._masked = not photograph and not np.issubdtype(level.dtype, np.floating)
        self.dtype = np.dtype(np.float32) if self._masked else np.dtype(level.dtype)
        self._kept: OrderedDict[object, tuple[int, npt.NDArray[Any]]] = OrderedDict()
        whole = tuple(range(level.shape[axis]) for axis in self._order)
        self._show(whole, tuple(range(len(whole))))

    def _show(self, whole: tuple[range, ...], axes: tuple[int, ...]) -> None:
        """Be the view of a part: which pixels of each axis, and the axes that it still has."""
        self._whole, self._axes = whole, axes
        self.shape = tuple(len(whole[axis]) for axis in axes)
        self.ndim = len(axes)
        self.size = int(np.prod(self.shape, dtype=object))

    @property
    def finished(self) -> float:
        """Which fraction of the result is on the disk."""
        return self._folder.record.finished

    @property
    def stored(self) -> Any:
        """All of the level as it is on the disk, a dask array of its own type.

        What is not made yet is the largest integer there is, or NaN.
        """
        return self._folder.arrays()[self._number]

    def __getitem__(self, index: Any) -> ResultView | npt.NDArray[Any]:
        """Return a part: read from the disk, or a view of several planes."""
        index = index if isinstance(index, tuple) else (index,)
        if Ellipsis in index:
            at = index.index(Ellipsis)
            index = (*index[:at], *[slice(None)] * (self.ndim - len(index) + 1), *index[at + 1 :])
        index = (*index, *[slice(None)] * (self.ndim - len(index)))
        whole, axes = list(self._whole), []
        for axis, i in zip(self._axes, index, strict=True):
            if isinstance(i, slice):
                whole[axis] = whole[axis][i]
                axes.append(axis)
            else:
                place = whole[axis][int(i)]
                whole[axis] = range(place, place + 1)
        part = copy_of(self)
        part._show(tuple(whole), tuple(axes))
        return part if part._plane() is None else np.asarray(part)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all of it, perhaps as it was read before."""
        kept = tuple(slice(None) if axis in self._axes else 0 for axis in range(len(self._whole)))
        return np.array(self._values()[kept], dtype, copy=copy)

    def _values(self) -> npt.NDArray[Any]:
        """Return the pixels of a part, with all axes."""
        plane, whole = self._plane(), self._whole
        if plane is None:
            return self._read(whole)
        count = self._folder.writes.get(plane, 0)  # before it is read: it may be read in between
        if not count:
            shape = tuple(len(along) for along in whole)
            nothing = self.dtype.type(np.nan if self._masked else self._fill)
            return np.broadcast_to(nothing, shape)
        before, values = self._kept.pop(whole, (0, None))
        if values is None or before != count:
            values = self._read(whole)
            values.flags.writeable = False  # it is given out again
        self._kept[whole] = count, values
        while sum(one.nbytes for _, one in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return values

    def _plane(self) -> int | None:
        """Return the number of the plane that it lies in; None if in several."""
        places = [self._whole[axis] for axis in self._stack]
        if any(len(along) != 1 for along in places):
            return None
        shape = self._folder.layout.stack_shape
        if not places:
            return 0
        return int(np.ravel_multi_index([along[0] for along in places], shape))

    def _read(self, whole: tuple[range, ...]) -> npt.NDArray[Any]:
        there: list[Any] = [None] * len(whole)
        for along, axis in zip(whole, self._order, strict=True):
            there[axis] = slice(along.start, along.stop, along.step)
        values = np.asarray(self._level[tuple(there)]).transpose(self._order)
        if not self._masked:
            return values
        shown = values.astype(np.float32)
        shown[values == self._fill] = np.nan
        return shown


def views(folder: ResultFolder, *, photograph: bool = False) -> list[ResultView]:
    """Return the levels of a result, from fine to coarse."""
    return [ResultView(folder, n, photograph=photograph) for n in range(len(folder.levels))]
