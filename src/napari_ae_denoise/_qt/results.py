"""The job of the *Denoise* panel: from a snapshot of a layer to the layers that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise import __version__
from napari_ae_denoise._qt.forms import duration

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


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What came out: the arguments of `Image` for each layer, and a sentence."""

    layers: tuple[dict[str, Any], ...]
    summary: str


def denoise_steps(
    choices: DenoiseChoices, stop: threading.Event
) -> Generator[TileProgress, None, Made]:
    """Denoise tile by tile; what is finished when stopped is returned, and says so."""
    source, denoiser = choices.source, choices.denoiser
    prediction = yield from denoiser.predict_steps(
        source.image,
        axes=source.axes or None,
        settings=choices.settings,
        denoised=choices.denoised or choices.noise,
        code=choices.code,
        stop=stop,
    )
    part = prediction.finished
    if part == 0:
        return Made((), "Cancelled before the first tile; no layer was made.")
    mark = "" if part == 1 else f" (stopped at {part:.0%})"
    metadata = {
        "napari-ae-denoise": {
            "model": denoiser.card.name,
            "image": source.name,
            "axes": source.axes,
            "strength": choices.settings.strength,
            "finished": part,
            "version": __version__,
        }
    }
    # the denoised image is what people want to see first
    aside = {"visible": not choices.denoised}
    layers = []
    if prediction.denoised is not None and choices.denoised:
        name = f"{source.name} denoised{mark}"
        layers.append(source.denoised_layer(prediction.denoised, name, metadata))
    if prediction.denoised is not None and choices.noise:
        noise = _removed(source.image, prediction.denoised)
        name = f"{source.name} removed noise{mark}"
        layers.append({**source.noise_layer(noise, name, metadata), **aside})
    if prediction.code is not None:
        name = f"{source.name} latent{mark}"
        code = source.latent_layer(prediction.code, denoiser.stride, name, metadata)
        layers.append({**code, **aside})
    done = (
        "Done"
        if part == 1
        else f"Cancelled: {part:.0%} of the tiles are denoised, the rest is as it was"
    )
    return Made(tuple(layers), f"{done}, {duration(prediction.seconds)}.")


def _removed(image: Any, denoised: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return image minus denoised as float32, without a copy of both in float64."""
    removed = np.asarray(image).astype(np.float32)
    removed -= denoised
    return removed
