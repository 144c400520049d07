"""Patches of images, and batches of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

_SMALL_SIGMAS = 1.5  # exponent: weak noise is drawn more often, for its details are learned last
_WEAKEST = 0.02  # of the strongest noise: below, errors are not taken for smaller still


@dataclass(frozen=True, slots=True)
class Batch:
    """Patches that one step sees.

    Parameters
    ----------
    noisy, target : ndarray
        (N, channels, Y, X) float32, normalized.
    unit : ndarray
        (N,) float32: one normalized unit in units of the image's data range, for the PSNR.
    scored : ndarray or None
        (N, channels, Y, X) bool: the pixels that the network is scored by; None for all.
    usual_error : ndarray or None
        (N,) float32: how large errors usually are in a patch, relative to the others; None where
        they are alike.
    """

    noisy: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    unit: npt.NDArray[np.float32]
    scored: npt.NDArray[np.bool_] | None = None
    usual_error: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """One of a batch."""

    noisy: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    unit: float
    scored: npt.NDArray[np.bool_] | None = None

    def filled_up(self, shape: tuple[int, int]) -> Patch:
        """Return it mirrored beyond its end, up to a shape.

        What is made of its noise is made before that: in a copy of itself a hidden pixel could be
        seen, and what is subtracted from its noise would not be independent of it.
        """
        missing = [
            (0, want - have) for want, have in zip(shape, self.noisy.shape[-2:], strict=True)
        ]
        if missing == [(0, 0), (0, 0)]:
            return self
        return self._each(lambda side: np.pad(side, [(0, 0), *missing], mode="reflect"))

    def turned(self, way: int) -> Patch:
        """Return one of its eight mirrorings and quarter turns; of four where it is not square."""
        return self._each(lambda side: turned(side, way))

    def _each(self, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Patch:
        scored = None if self.scored is None else change(self.scored)
        return Patch(change(self.noisy), change(self.target), self.unit, scored)


@dataclass(frozen=True, slots=True)
class Area:
    """A part of one plane that patches are cut from."""

    source: int
    plane: int
    rows: slice
    slots: int  # how many patches cover it once


def random_place(rng: np.random.Generator, span: slice, length: int) -> slice:
    """Return a random place for a patch within a span; the whole span where it is shorter."""
    room = span.stop - span.start - length
    start = span.start + (int(rng.integers(room + 1)) if room > 0 else 0)
    return slice(start, min(start + length, span.stop))


def middle_place(length: int, wanted: int) -> slice:
    """Return the middle of a side, as long as wanted; all of the side where it is shorter."""
    start = max(0, length - wanted) // 2
    return slice(start, min(start + wanted, length))


def turned(side: npt.NDArray[Any], way: int) -> npt.NDArray[Any]:
    """Return one of the eight mirrorings and quarter turns; of four for patches not square."""
    if way & 1:
        side = side[..., ::-1]
    if way & 2:
        side = side[..., ::-1, :]
    if way & 4 and side.shape[-1] == side.shape[-2]:
        side = side.swapaxes(-1, -2)
    return side


def draw_sigmas(
    limits: tuple[float, float], count: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draw noise levels within limits, weak ones more often."""
    low, high = limits
    return np.asarray(low + (high - low) * rng.random(count) ** _SMALL_SIGMAS)


def usual_errors(
    sigmas: npt.NDArray[np.float64], limits: tuple[float, float]
) -> npt.NDArray[np.float32] | None:
    """Return how large errors usually are at noise levels, relative to the strongest one.

    None where all levels are the same. The errors of denoisers grow about with the root of sigma.
    Scored by their plain size, a blind network would learn strong noise and neglect weak noise.
    """
    low, high = limits
    if low == high:
        return None
    return np.sqrt(np.maximum(sigmas / high, _WEAKEST)).astype(np.float32)


def held_out_units(
    sigmas: npt.NDArray[np.float64], limits: tuple[float, float]
) -> npt.NDArray[np.float32] | None:
    """Return units for the errors at held-out noise levels, so that they add up as in training.

    Held-out patches have evenly spaced noise levels, (N,) in rising order; those of the training
    have mostly weak noise, whose errors count more. A training draws a level near that of each
    held-out patch now and then: the mean of its weights there is the weight of that patch.
    """
    low, high = limits
    drawn = low + (high - low) * ((np.arange(1000) + 0.5) / 1000) ** _SMALL_SIGMAS
    usual = usual_errors(drawn, limits)
    if usual is None:
        return None
    place = np.interp(drawn, sigmas, np.arange(len(sigmas)))
    before = place.astype(int)
    weights = np.zeros(len(sigmas) + 1)
    np.add.at(weights, before, (before + 1 - place) / usual**2)
    np.add.at(weights, before + 1, (place - before) / usual**2)
    mean = weights[:-1] * len(sigmas) / len(drawn)
    return np.asarray(1 / np.sqrt(np.maximum(mean, 1e-12)), np.float32)


def stacked(patches: list[Patch], usual: npt.NDArray[np.float32] | None = None) -> Batch:
    """Put patches together; ``usual`` is `Batch.usual_error`."""
    scored = [p.scored for p in patches if p.scored is not None]
    return Batch(
        np.stack([p.noisy for p in patches]),
        np.stack([p.target for p in patches]),
        np.array([p.unit for p in patches], np.float32),
        np.stack(scored) if scored else None,
        usual,
    )


def batches_psnr(pairs: list[tuple[npt.NDArray[Any], Batch]]) -> float:
    """Return the PSNR in dB of all made patches together, in units of the images' data range."""
    errors = []
    for made, batch in pairs:
        square = (made - batch.target) ** 2
        where = True if batch.scored is None else batch.scored
        errors.append(square.mean(axis=(1, 2, 3), where=where) * batch.unit**2)  # (N,)
    mean = float(np.concatenate(errors).mean())
    return math.inf if mean == 0 else -10 * math.log10(mean)  # NaN stays NaN
