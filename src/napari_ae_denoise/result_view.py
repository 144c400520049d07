"""A result on disk as it is looked at while it is made: what is not there yet is NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.unfinished import unfinished_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ae_denoise.result_folder import ResultFolder


class ResultView:
    """One level of a result, with the axes of the image; each reading shows what is there now.

    Integers are shown as float32, for they have no NaN: a pixel of the largest value counts as not
    made. Photographs stay as they are, and what is not made yet is white.

    Parameters
    ----------
    level : zarr array
        With axes in another order.
    order : sequence of int
        Which axis of ``level`` each of ours is.
    """

    def __init__(self, level: Any, order: Sequence[int], *, photograph: bool = False) -> None:
        self._level, self._order = level, tuple(order)
        self._hole = None if photograph else unfinished_value(level.dtype)
        masked = self._hole is not None and not np.issubdtype(level.dtype, np.floating)
        self._masked = masked
        self.shape = tuple(level.shape[axis] for axis in order)
        self.dtype = np.dtype(np.float32) if masked else np.dtype(level.dtype)
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape, dtype=object))

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """Return a part, read from the disk."""
        index = index if isinstance(index, tuple) else (index,)
        if Ellipsis in index:
            at = index.index(Ellipsis)
            index = (*index[:at], *[slice(None)] * (self.ndim - len(index) + 1), *index[at + 1 :])
        index = (*index, *[slice(None)] * (self.ndim - len(index)))
        lengthened = [i if isinstance(i, slice) else slice(int(i), int(i) + 1) for i in index]
        there: list[Any] = [None] * self.ndim
        for own, axis in enumerate(self._order):
            there[axis] = lengthened[own]
        values = np.asarray(self._level[tuple(there)]).transpose(self._order)
        values = values[tuple(slice(None) if isinstance(i, slice) else 0 for i in index)]
        if not self._masked:
            return values
        shown = values.astype(np.float32)
        shown[values == self._hole] = np.nan
        return shown

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all of it."""
        return np.asarray(self[...], dtype)


def views(folder: ResultFolder, *, photograph: bool = False) -> list[ResultView]:
    """Return the levels of a result, from fine to coarse."""
    order = [folder.order.index(a) for a in folder.layout.axes]
    return [ResultView(level, order, photograph=photograph) for level in folder.levels]
