"""A model for many tasks: it travels to each process once, and stays there."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_ae_denoise.fingerprints import of_network
from napari_ae_denoise.persistent_runner import PersistentRunner

if TYPE_CHECKING:
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.tile_runner import PredictSettings

_KEPT = 4  # runners in a process: the models that are worked with at a time
_runners: OrderedDict[tuple[str, PredictSettings], PersistentRunner] = OrderedDict()
_lock = threading.Lock()
arrived = 0  # how many models were unpickled in this process


@dataclass(frozen=True, slots=True, eq=False)
class SharedModel:
    """A network and how to run it: one value of a dask graph, that all its tasks depend on.

    Each process makes one runner of it, on a device of its own.

    Parameters
    ----------
    name : str
        What tells the network from others.
    network : ConvAutoencoder
        The network.
    settings : PredictSettings
        How to run it.
    """

    name: str
    network: ConvAutoencoder
    settings: PredictSettings

    @classmethod
    def of(cls, network: ConvAutoencoder, settings: PredictSettings) -> SharedModel:
        """Return the shared form of a network."""
        return cls(of_network(network), network, settings)

    def __reduce__(self) -> tuple[object, ...]:
        """Count where it arrives."""
        return _arrive, (self.name, self.network, self.settings)

    def runner(self) -> PersistentRunner:
        """Return the runner of this process; it is made at the first call."""
        key = self.name, self.settings
        with _lock:
            if key not in _runners:
                _runners[key] = PersistentRunner(self.network, self.settings)
            _runners.move_to_end(key)
            while len(_runners) > _KEPT:
                _runners.popitem(last=False)
            return _runners[key]


def _arrive(name: str, network: ConvAutoencoder, settings: PredictSettings) -> SharedModel:
    global arrived
    arrived += 1
    return SharedModel(name, network, settings)
