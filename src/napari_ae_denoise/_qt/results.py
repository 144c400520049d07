"""The job of the *Denoise* panel: from a snapshot of a layer to the layers that it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_ae_denoise import __version__
from napari_ae_denoise._qt.forms import duration
from napari_ae_denoise._qt.latent_layers import UNITS, Scatter, latent_layers, scatter_of
from napari_ae_denoise.resolving import layout_for
from napari_ae_denoise.speed import learn

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.prediction import TileProgress
    from napari_ae_denoise.tile_runner import PredictSettings


@dataclass(frozen=True, slots=True, eq=False)
class DenoiseChoices:
    """What the form says: what to run on what, and which layers to make."""

    source: Source
    denoiser: Denoiser
    settings: PredictSettings
    denoised: bool
    code: bool
    noise: bool
    latent_view: str = UNITS


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What came out: the arguments of `Image` for each layer, a sentence, a warning, a scatter."""

    layers: tuple[dict[str, Any], ...]
    summary: str
    warning: str = ""
    scatter: Scatter | None = None


def denoise_steps(
    choices: DenoiseChoices, stop: threading.Event
) -> Generator[TileProgress, None, Made]:
    """Denoise tile by tile; what is finished when stopped is returned, and says so."""
    source, denoiser = choices.source, choices.denoiser
    prediction = yield from denoiser.predict_steps(
        source.image,
        axes=source.axes or None,
        settings=replace(choices.settings, removed=choices.noise),
        denoised=choices.denoised,
        code=choices.code,
        stop=stop,
    )
    part = prediction.finished
    if part == 1:
        spec, network = denoiser.card.network, denoiser.network
        layout = layout_for(spec, source.image.shape, source.axes or None)
        learn(network, layout, choices.settings, prediction.seconds)
    if part == 0:
        return Made((), "Cancelled before the first tile; no layer was made.")
    mark = "" if part == 1 else f" (stopped at {part:.0%})"
    metadata = {
        "napari-ae-denoise": {
            "model": denoiser.card.name,
            "image": source.name,
            "axes": source.axes,
            "strength": choices.settings.strength,
            "noise_model": choices.settings.noise_model,
            "remarks": list(prediction.remarks),
            "finished": part,
            "version": __version__,
        }
    }
    # the denoised image is what people want to see first
    aside = {"visible": not choices.denoised}
    layers = []
    if prediction.denoised is not None:
        name = f"{source.name} denoised{mark}"
        layers.append(source.denoised_layer(prediction.denoised, name, metadata))
    if prediction.removed is not None:
        name = f"{source.name} removed noise{mark}"
        noise = source.noise_layer(prediction.removed, name, metadata)
        layers.append({**noise, **aside})
    scatter = None
    if prediction.code is not None:
        code, variance = prediction.code, None
        if denoiser.network.spec.variational and part == 1:
            second = yield from denoiser.variance_steps(
                source.image, axes=source.axes or None, settings=choices.settings, stop=stop
            )
            variance = second.code
        view = choices.latent_view
        made = latent_layers(source, denoiser, code, variance, mark, metadata, view)
        layers += [{**layer, **aside} for layer in made]
        scatter = scatter_of(source, denoiser, code)
    done = (
        "Done"
        if part == 1
        else f"Cancelled: {part:.0%} of the tiles are denoised, the rest is as it was"
    )
    said = " ".join([f"{done}, {duration(prediction.seconds)}.", *prediction.remarks])
    return Made(tuple(layers), said, prediction.note, scatter)
