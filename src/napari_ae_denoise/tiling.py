"""Where a tile reads, what it keeps, where it writes: integers only.

The law that everything here obeys: predicting tile by tile gives what one pass over the whole
image gives. A tile therefore starts on a multiple of the network's stride and reads its halo of
real neighbours. Beyond the image's edge it reads mirrored pixels, or nothing: see `NetworkSpec`.
Each output pixel belongs to exactly one tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bare(NamedTuple):
    """Indices as `Span` has them, for a network that sees nothing beyond the image's edge.

    Its own padding is the edge then. The image is filled up to a multiple of the stride.
    """

    gather: npt.NDArray[np.intp]
    keep: slice
    keep_code: slice


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis, in pixels.

    Parameters
    ----------
    size : int
        Length of the image along this axis.
    start, stop : int
        The pixels that this tile writes. ``start`` is a multiple of ``stride``.
    stride, halo : int
        Of the network.
    margin : int
        Pixels to read beyond what the network sees, where the image has them.
    """

    size: int
    start: int
    stop: int
    stride: int
    halo: int
    margin: int = 0

    @property
    def seen(self) -> npt.NDArray[np.intp]:
        """Image index of every pixel that the network sees; mirrored ones repeat."""
        inside = -(-(self.stop - self.start) // self.stride) * self.stride
        return reflect(
            np.arange(self.start - self.halo, self.start + inside + self.halo), self.size
        )

    @property
    def read(self) -> slice:
        """The pixels to read: what the network sees, once each, and the margin."""
        seen = self.seen
        low, high = int(seen.min()) - self.margin, int(seen.max()) + 1 + self.margin
        return slice(max(low, 0), min(high, self.size))

    @property
    def gather(self) -> slice | npt.NDArray[np.intp]:
        """Index into what was read that gives what the network sees."""
        seen: npt.NDArray[np.intp] = self.seen - self.read.start
        if (np.diff(seen) == 1).all():
            return slice(int(seen[0]), int(seen[-1]) + 1)
        return seen

    @property
    def bare(self) -> Bare:
        """What to take instead where nothing beyond the image's edge is to be seen."""
        first = max(self.start - self.halo, 0)
        last = min(self.start + self.seen.size - self.halo, self._whole)
        seen = reflect(np.arange(first, last), self.size) - self.read.start
        before = self.start - first
        code = self.write_code.stop - self.write_code.start
        return Bare(
            seen,
            slice(before, before + self.stop - self.start),
            slice(before // self.stride, before // self.stride + code),
        )

    @property
    def surrounded(self) -> bool:
        """Whether the network sees nothing beyond the image's edge here."""
        return self.start >= self.halo and self.start + self.seen.size - self.halo <= self._whole

    @property
    def _whole(self) -> int:
        """Length of the image, filled up to a multiple of the stride."""
        return -(-self.size // self.stride) * self.stride

    @property
    def inner(self) -> slice:
        """Index into what was read that gives the pixels to write."""
        return slice(self.start - self.read.start, self.stop - self.read.start)

    @property
    def keep(self) -> slice:
        """Index into the network's image that gives the pixels to write."""
        return slice(self.halo, self.halo + self.stop - self.start)

    @property
    def write(self) -> slice:
        """The pixels to write."""
        return slice(self.start, self.stop)

    @property
    def keep_code(self) -> slice:
        """Index into the network's code that gives the code pixels to write."""
        first = self.halo // self.stride
        return slice(first, first + self.write_code.stop - self.write_code.start)

    @property
    def write_code(self) -> slice:
        """The code pixels to write."""
        return slice(self.start // self.stride, -(-self.stop // self.stride))


def reflect(index: npt.NDArray[np.intp], size: int) -> npt.NDArray[np.intp]:
    """Return which pixel of an axis stands at an index outside it, mirrored at the edge pixels.

    The edge pixel itself is not repeated (numpy's ``mode="reflect"``), and an image smaller than
    the distance is mirrored back and forth.
    """
    if size == 1:
        return np.zeros_like(index)
    folded: npt.NDArray[np.intp] = np.mod(index, 2 * (size - 1))
    return np.asarray(np.minimum(folded, 2 * (size - 1) - folded), np.intp)


def spans(
    size: int, tile: int, stride: int, halo: int, margin: int = 0, grid: int = 1
) -> list[Span]:
    """Cut an axis into tiles.

    Parameters
    ----------
    size : int
        Length of the axis, in pixels.
    tile : int
        Pixels that a tile writes; rounded up to a multiple of the stride and the grid.
    stride, halo : int
        Of the network; the halo is a multiple of the stride.
    margin : int
        See `Span`.
    grid : int
        Tiles begin at multiples of it; 1, or a multiple of the stride.

    Returns
    -------
    list of Span
        In order, without overlap, covering the axis.
    """
    grid = max(grid, stride)
    step = max(-(-tile // grid), 1) * grid
    return [
        Span(size, start, min(start + step, size), stride, halo, margin)
        for start in range(0, size, step)
    ]


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of a plane: one span along Y and one along X."""

    y: Span
    x: Span

    @property
    def surrounded(self) -> bool:
        """Whether the network sees nothing beyond the image's edge."""
        return self.y.surrounded and self.x.surrounded

    @property
    def pixels_seen(self) -> int:
        """Number of pixels that the network sees."""
        return self.y.seen.size * self.x.seen.size


def tiles(
    shape: tuple[int, int], tile: int, stride: int, halo: int, margin: int = 0, grid: int = 1
) -> Iterator[Tile]:
    """Cut a plane (Y, X) into tiles, row by row; the parameters are those of `spans`."""
    columns = spans(shape[1], tile, stride, halo, margin, grid)
    for y in spans(shape[0], tile, stride, halo, margin, grid):
        for x in columns:
            yield Tile(y, x)
