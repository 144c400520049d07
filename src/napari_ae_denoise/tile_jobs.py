"""The order in which the tiles of many planes are made: what is looked at goes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.tiling import Tile, tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class View:
    """What somebody looks at.

    Parameters
    ----------
    plane : int
        Number of the plane.
    y, x : float
        The middle of what is seen, in pixels.
    """

    plane: int
    y: float
    x: float


@dataclass(frozen=True, slots=True)
class TileJob:
    """One tile of a few planes, which go through the network together.

    Parameters
    ----------
    number : int
        Which of all jobs it is.
    planes : range
        Numbers of the planes.
    tile : Tile
        Where it lies in each of them.
    """

    number: int
    planes: range
    tile: Tile


@dataclass(frozen=True, slots=True, eq=False)
class TileJobs:
    """All tiles of all planes, each once.

    Parameters
    ----------
    planes : int
        Number of planes.
    together : int
        How many planes one job takes.
    step : int
        Side of the tiles, in pixels.
    shape : (int, int)
        Of a plane.
    grid : tuple of Tile
        The tiles of a plane, row by row.
    """

    planes: int
    together: int
    step: int
    shape: tuple[int, int]
    grid: tuple[Tile, ...]

    @classmethod
    def of(
        cls,
        planes: int,
        shape: tuple[int, int],
        step: int,
        together: int,
        *,
        stride: int,
        halo: int,
        margin: int,
        grid: int = 1,
    ) -> TileJobs:
        """Cut planes into jobs; the last parameters are those of `tiling.tiles`."""
        cut = tuple(tiles(shape, step, stride, halo, margin, grid))
        return cls(planes, together, step, shape, cut)

    def __len__(self) -> int:
        """Return the number of jobs."""
        return -(-self.planes // self.together) * len(self.grid)

    def __getitem__(self, number: int) -> TileJob:
        """Return a job by its number."""
        group, place = divmod(number, len(self.grid))
        first = group * self.together
        planes = range(first, min(first + self.together, self.planes))
        return TileJob(number, planes, self.grid[place])

    def planes_with(self, done: npt.NDArray[np.bool_]) -> list[int]:
        """Return the numbers of the planes of which some jobs are done."""
        groups = np.unique(np.flatnonzero(done) // len(self.grid))
        return [plane for group in groups for plane in self[int(group) * len(self.grid)].planes]

    def todo(
        self, done: npt.NDArray[np.bool_], view: Callable[[], View | None] | None, depth: int
    ) -> Iterator[TileJob]:
        """Yield the jobs that are not done, what is looked at first.

        Parameters
        ----------
        done : ndarray of bool
            One flag a job; looked at once.
        view : callable, optional
            Asked before each job what is looked at just now.
        depth : int
            How many planes share a chunk: all their jobs at one place come in a row.
        """
        numbers = np.flatnonzero(~done)
        group, place = np.divmod(numbers, len(self.grid))
        slab = group * self.together // depth
        order = np.lexsort((group, place, slab))
        numbers, group, place = numbers[order], group[order], place[order]
        middles = [(t.y.start + t.y.stop, t.x.start + t.x.stop) for t in self.grid]
        middle = np.array(middles, float)[place] / 2
        left = np.ones(numbers.size, bool)
        first = 0
        for _ in range(numbers.size):
            seen = None if view is None else view()
            if seen is None:
                first += int(np.argmax(left[first:]))
                chosen = first
            else:
                near = np.hypot(middle[:, 0] - seen.y, middle[:, 1] - seen.x)
                # another plane is farther than anything in this one
                across = float(sum(self.shape))
                planes = np.abs(group - seen.plane // self.together)
                cost = np.where(left, near + across * planes, np.inf)
                chosen = int(np.argmin(cost))
            left[chosen] = False
            yield self[int(numbers[chosen])]
