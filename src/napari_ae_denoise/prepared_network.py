"""Networks on a device, laid out as convolutions run fastest; kept for the next image."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from napari_ae_denoise.fused_network import fused
from napari_ae_denoise.steps import look_for_stop

if TYPE_CHECKING:
    from napari_ae_denoise.networks import ConvAutoencoder


@dataclass(frozen=True, slots=True)
class PreparedNetwork:
    """A network for inference on a device.

    Parameters
    ----------
    plain : ConvAutoencoder
        For float32.
    fast : ConvAutoencoder
        For the precision that it was prepared for; ``plain`` itself, where nothing is faster.
    """

    plain: ConvAutoencoder
    fast: ConvAutoencoder


_kept: weakref.WeakKeyDictionary[ConvAutoencoder, dict[torch.dtype, PreparedNetwork]]
_kept = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def prepared(
    network: ConvAutoencoder, device: torch.device, precision: torch.dtype
) -> PreparedNetwork:
    """Return a copy of a network for inference; the original stays where it is.

    On the CPU the copy is kept as long as the network lives and its weights are the same: for a
    small image copying takes a tenth of the time. Elsewhere memory is given back after each job.
    """
    if device.type != "cpu":
        plain = network.copy_on(device)
        _look_for_stops(plain)
        return PreparedNetwork(plain, plain)
    with _lock:
        copies = _kept.setdefault(network, {})
        found = copies.get(precision)
        if found is None or not _same_weights(network, found.plain):
            plain = network.copy_on(device)
            found = copies[precision] = PreparedNetwork(plain, fused(plain, precision))
            _look_for_stops(found.plain)
            _look_for_stops(found.fast)
        return found


def _look_for_stops(network: ConvAutoencoder) -> None:
    for layer in network.modules():
        if _stop_if_asked not in layer._forward_pre_hooks.values():
            layer.register_forward_pre_hook(_stop_if_asked)


def _stop_if_asked(*_layer: Any) -> None:
    look_for_stop()


def _same_weights(network: ConvAutoencoder, copy: ConvAutoencoder) -> bool:
    pairs = zip(network.state_dict().items(), copy.state_dict().items(), strict=True)
    return all(
        mine == name and value.device == kept.device and torch.equal(value, kept)
        for (mine, value), (name, kept) in pairs
    )
