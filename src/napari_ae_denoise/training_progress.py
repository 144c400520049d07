"""Where a training stands, step by step, and what its network makes of a part of the data."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.batches import Patch, batches_psnr, stacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LEAST_SECONDS = 2.0  # between two looks
_LEAST_SHARE = 40  # times as long as a look takes, so that looks cost 2.5 % at most
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands, after a step.

    Parameters
    ----------
    step, steps : int
        Steps done; steps in all (None where minutes decide).
    epoch : int
        Passes over the data done.
    loss : float
        Of the last batch.
    learning_rate : float
        Of the last step.
    fraction : float
        Done part of the whole, 0 to 1.
    elapsed, remaining : float
        Seconds; remaining is an estimate, NaN at the start.
    validation_psnr, best_psnr : float
        dB on held-out data, at the end of the last epoch and the best so far; NaN before.
    noisy_psnr : float
        dB of the noisy held-out data itself.
    note : str
        Why the training ended early, if it did.
    stage : str
        What is trained, where a network is pretrained layer by layer: ``"stage 1 of 3"``.
    validation_loss : float
        The loss, without penalties, on held-out data at the end of the last epoch; NaN before.
    look : Look, optional
        What the network makes of a part of the data, where that was asked for; the same record
        until there is a newer one.
    """

    step: int
    steps: int | None
    epoch: int
    loss: float
    learning_rate: float
    fraction: float
    elapsed: float
    remaining: float
    validation_psnr: float = math.nan
    best_psnr: float = math.nan
    noisy_psnr: float = math.nan
    note: str = ""
    stage: str = ""
    validation_loss: float = math.nan
    look: Look | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a network in training makes of a part of the data.

    Parameters
    ----------
    step : int
        Steps done by then.
    given, made : ndarray
        (Y, X) or (Y, X, 3) float32, normalized: the same grey value is the same in both.
    given_psnr, made_psnr : float
        dB against what is wanted; NaN where that is not known, as of noisy images alone.
    """

    step: int
    given: npt.NDArray[np.float32]
    made: npt.NDArray[np.float32]
    given_psnr: float
    made_psnr: float


class Watch:
    """Looks now and then at what a network in training makes of a part of the data.

    Parameters
    ----------
    patch : Patch
        The part.
    clean : bool
        Whether its target is what the network should make, and no noisy image itself.
    made_of : callable
        Returns what the network makes of batches (N, C, Y, X) now.
    """

    def __init__(
        self,
        patch: Patch,
        made_of: Callable[[Sequence[npt.NDArray[Any]]], list[npt.NDArray[Any]]],
        *,
        clean: bool,
    ) -> None:
        self._batch, self._clean, self._made_of = stacked([patch]), clean, made_of
        self._due = 0.0
        self.latest: Look | None = None

    def after_step(self, step: int) -> Look | None:
        """Return the newest look; look again if it is time to. A training never ends by this."""
        began = time.monotonic()
        if began < self._due:
            return self.latest
        try:
            (made,) = self._made_of([self._batch.noisy])
        except Exception:  # noqa: BLE001 (logged; the training itself must not be lost)
            _log.exception("the part of the data that is watched could not be denoised")
            self._due = math.inf
            return self.latest
        self.latest = Look(
            step, _picture(self._batch.noisy), _picture(made), *map(self._psnr, (None, made))
        )
        now = time.monotonic()
        self._due = now + max(_LEAST_SECONDS, _LEAST_SHARE * (now - began))
        return self.latest

    def _psnr(self, made: npt.NDArray[Any] | None) -> float:
        shown = self._batch.noisy if made is None else made
        return batches_psnr([(shown, self._batch)]) if self._clean else math.nan


def _picture(batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the only patch of a batch as (Y, X), or (Y, X, 3) where it has colours."""
    patch = np.asarray(batch[0], np.float32)
    return np.ascontiguousarray(np.moveaxis(patch, 0, -1)) if len(patch) == 3 else patch[0]
