"""What live mode shows: the model, the image, and how fast the one denoises the other."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from dataclasses import field as field_of
from typing import TYPE_CHECKING, Any

from napari_ae_denoise._qt.seen import same
from napari_ae_denoise.persistent_runner import PersistentRunner
from napari_ae_denoise.region import denoise_region

if TYPE_CHECKING:
    import weakref
    from collections.abc import Sequence

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise._qt.results import DenoiseChoices
    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.region import Region

_SOON = 0.3  # seconds: what takes longer is shown from its middle on
_FEWEST = 128  # pixels along Y and X of a middle


@dataclass(slots=True, eq=False)
class Live:
    """What is shown live.

    Parameters
    ----------
    layer : weak reference to a Layer
        Whose view is followed.
    choices : DenoiseChoices
        What the form says.
    layout : PlaneLayout
        How the denoiser sees the image.
    standing : tuple
        What the layer's pixels and its place were; see `standing`.
    ready : tuple, optional
        What runs the network and the grey maps; made in the thread, for they read the image.
    pace : float
        Seconds that a pixel took, of those that the network saw last.
    stop : threading.Event
        Once set, what is running is given up.
    """

    layer: weakref.ref[Any]
    choices: DenoiseChoices
    layout: PlaneLayout
    standing: tuple[Any, ...]
    ready: tuple[_Runner, Sequence[Any]] | None = None
    pace: float = 0.0
    stop: threading.Event = field_of(default_factory=threading.Event)

    @property
    def source(self) -> Source:
        """A snapshot of the layer."""
        return self.choices.source

    @property
    def normalization(self) -> list[dict[str, Any]]:
        """How grey values are mapped in all regions; empty before the first."""
        return [] if self.ready is None else [one.to_record() for one in self.ready[1]]

    def is_of(self, other: Live) -> bool:
        """Return whether another one shows the same image in the same place."""
        mine, its = self.source, other.source
        alike = (mine.axes, mine.level) == (its.axes, its.level)
        return alike and self.layer() is other.layer() and same(self.standing, other.standing)

    def denoised(self, region: Region) -> Any:
        """Return a region, denoised; not for the thread of the window."""
        choices = self.choices
        if self.ready is None:
            seen = choices.denoiser.resolve(
                choices.source.image,
                choices.source.axes,
                choices.settings.noise_model,
                choices.settings.correlated,
            )
            runner = PersistentRunner(
                choices.denoiser.network_for(seen), choices.settings, self.stop
            )
            self.ready = _Runner(runner), seen.maps
        began = time.monotonic()
        made = denoise_region(
            self.ready[0], choices.source.image, self.layout, self.ready[1], region
        )
        self.pace = (time.monotonic() - began) / math.prod(n + self._around for n in region.shape)
        return made

    def soon(self, region: Region) -> Region:
        """Return what of a region can be shown soon: all of it, or its middle."""
        if not self.pace:
            return region
        return region.middle(max(int(math.sqrt(_SOON / self.pace)) - self._around, _FEWEST))

    @property
    def _around(self) -> int:
        """Pixels that the network sees beyond a region, on both sides together."""
        return 2 * self.choices.denoiser.halo


class _Runner:
    """A runner of our own: a shared one could not be stopped."""

    def __init__(self, runner: PersistentRunner) -> None:
        self._runner = runner

    def runner(self) -> PersistentRunner:
        return self._runner
