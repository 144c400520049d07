"""The order in which patches are drawn: endless passes, each in an order of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_RUN = 8  # patches that are cut from a place while what was read of it is kept


class Passes:
    """Endless shuffled passes over patches, the same for the same seed.

    Patches of a place are alike here: where in it each lies is drawn elsewhere.

    Parameters
    ----------
    ends : ndarray of int
        (places,): the number of patches of all places up to each.
    seed : int
        Decides about the order of each pass.
    places_at_once : int
        0 for an order in which all patches are alike. Else the patches of a place are cut into
        runs, the runs come in random order, and so many runs at a time are mixed: a batch has
        patches of many places, each of which is read once for a run.

    Notes
    -----
    An order of all patches takes 8 bytes of each, which is little beside images in memory. One of
    runs takes 13 bytes of each run: 500 GB on disk are 100 million patches.
    """

    def __init__(self, ends: npt.NDArray[np.intp], seed: int, places_at_once: int) -> None:
        self._ends, self._seed, self._at_once = ends, seed, places_at_once
        self._order_of = self._block_of = -1

    def place(self, number: int) -> int:
        """Return the place of the number-th patch from the start."""
        total = int(self._ends[-1])
        epoch, nth = divmod(number, total)
        rng = [self._seed, epoch, total]
        if self._order_of != epoch:
            self._order_of, self._block_of = epoch, -1
            if self._at_once:
                self._shuffle_runs(np.random.default_rng(rng))
            else:
                self._order = np.random.default_rng(rng).permutation(total)
        if not self._at_once:
            return int(np.searchsorted(self._ends, self._order[nth], side="right"))
        block = int(np.searchsorted(self._block_ends, nth, side="right"))
        if self._block_of != block:
            self._block_of = block
            runs = slice(block * self._at_once, (block + 1) * self._at_once)
            self._block = np.repeat(self._places[runs], self._lengths[runs])
            np.random.default_rng([*rng, block]).shuffle(self._block)
        return int(self._block[nth - int(self._block_ends[block])])  # from its end

    def _shuffle_runs(self, rng: np.random.Generator) -> None:
        """Put the runs of all places into a random order, and count the patches of each block."""
        patches = np.diff(self._ends, prepend=0)
        counts = -(-patches // _RUN)  # runs of each place
        ends = np.cumsum(counts)
        runs = rng.permutation(int(ends[-1]))
        places = np.searchsorted(ends, runs, side="right")
        left = patches[places] - _RUN * (runs - (ends - counts)[places])  # from each run on
        self._lengths = np.minimum(left, _RUN).astype(np.uint8)
        self._places = places.astype(np.int32)
        blocks = np.arange(0, runs.size, self._at_once)
        self._block_ends = np.cumsum(np.add.reduceat(self._lengths, blocks, dtype=np.int64))
