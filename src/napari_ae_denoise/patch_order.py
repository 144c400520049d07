"""The order in which patches are drawn: endless passes, each in an order of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_RUN = 8  # patches that are cut from a place while what was read of it is kept


class Passes:
    """Endless shuffled passes over patches, the same for the same seed.

    Parameters
    ----------
    ends : ndarray of int
        (places,): the number of patches of all places up to each.
    seed : int
        Decides about the order of each pass.
    places_at_once : int
        See `in_runs`; 0 for an order in which all patches are alike.
    """

    def __init__(self, ends: npt.NDArray[np.intp], seed: int, places_at_once: int) -> None:
        self._ends, self._seed, self._at_once = ends, seed, places_at_once
        self._order_of = -1

    def place(self, number: int) -> int:
        """Return the place of the number-th patch from the start."""
        total = int(self._ends[-1])
        epoch, nth = divmod(number, total)
        if self._order_of != epoch:
            self._order_of = epoch
            rng = np.random.default_rng([self._seed, epoch, total])
            self._order = rng.permutation(total)
            if self._at_once:
                places = np.searchsorted(self._ends, np.arange(total), side="right")
                self._order = in_runs(self._order, places, self._at_once, rng)
        return int(np.searchsorted(self._ends, self._order[nth], side="right"))


def in_runs(
    order: npt.NDArray[np.intp],
    places: npt.NDArray[np.intp],
    at_once: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """Return an order of patches in which some of one place come soon after each other.

    The patches of a place are cut into runs, the runs come in random order, and some runs at a time
    are mixed: a batch has patches of many places, each of which is read once for a run.

    Parameters
    ----------
    order : ndarray of int
        (N,): the patches in random order.
    places : ndarray of int
        (N,): the place of each patch, by its number.
    at_once : int
        How many runs are mixed.
    rng : Generator
        Decides what is random.
    """
    here = places[order]
    sort = np.argsort(here, kind="stable")
    ordered = here[sort]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    nth = np.arange(order.size) - np.repeat(first, np.diff(np.r_[first, order.size]))
    run = np.cumsum(nth % _RUN == 0) - 1
    block = rng.permutation(int(run[-1]) + 1)[run] // at_once
    return order[sort][np.lexsort((rng.random(order.size), block))]
