"""What a result is made of, in a few words and hashes: to know whether it may be continued."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.normalization import channel_groups, sample_windows

if TYPE_CHECKING:
    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.tile_runner import PredictSettings

_WINDOWS = 24  # of a large image that are looked at, spread over all of it
_DIGITS = 12


def of_image(image: Any, layout: PlaneLayout) -> str:
    """Return what tells an image from others: shape, type, axes, and a hash of a few windows."""
    total = hashlib.sha256()
    for channel in channel_groups(layout):
        windows = sample_windows(image, layout, channel)
        whole = windows[0][1] == slice(None)  # a small image, that is looked at all over
        count = len(windows) if whole else min(_WINDOWS, len(windows))
        for number in np.linspace(0, len(windows) - 1, count).round().astype(int):
            window = layout.read(image, *windows[number])
            total.update(np.ascontiguousarray(window).tobytes())
    shape = " x ".join(map(str, layout.shape))
    return f"{layout.axes} {shape} {np.dtype(image.dtype).str} {total.hexdigest()[:_DIGITS]}"


def of_model(denoiser: Denoiser) -> str:
    """Return what tells a model from others: its name, and a hash of weights and grey mapping."""
    mapping = hashlib.sha256(repr(denoiser.card.normalization).encode()).hexdigest()
    return f'"{denoiser.card.name}" {of_network(denoiser.network)}-{mapping[:4]}'


def of_network(network: ConvAutoencoder) -> str:
    """Return a hash of a network's layers and weights."""
    total = hashlib.sha256(repr(network.spec).encode())
    if network.steps != (1, 1):
        total.update(repr(network.steps).encode())
    for name, value in sorted(network.state_dict().items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(value.cpu().float().numpy()).tobytes())
    return total.hexdigest()[:_DIGITS]


def of_settings(
    settings: PredictSettings, dtype: np.dtype[Any], precision: str, *, code: bool = False
) -> str:
    """Return what of the settings decides about the numbers."""
    noise = f"noise model {settings.noise_model}"
    if settings.correlated != "auto":
        noise += f", correlated {settings.correlated}"
    if settings.orientations != 1 and not code:
        noise += f", mean of {settings.orientations} orientations"
    if code:
        return f"latent code, {noise}, computed in {precision}"
    return f"strength {settings.strength:g}, {noise}, {dtype.name}, computed in {precision}"
