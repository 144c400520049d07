"""The job of the *Denoise* panel: from a snapshot of a layer to the layers that it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_ae_denoise import fingerprints, report
from napari_ae_denoise._qt.forms import duration
from napari_ae_denoise._qt.latent_layers import (
    UNITS,
    Scatter,
    Variance,
    latent_layers,
    scatter_of,
)
from napari_ae_denoise._qt.status_line import unfinished
from napari_ae_denoise._qt.worker import in_words
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.provenance import CODE, KEY, REMOVED, record_of
from napari_ae_denoise.removed_noise import check_removed
from napari_ae_denoise.resolving import layout_for
from napari_ae_denoise.speed import learn
from napari_ae_denoise.subsampled_network import subsampled
from napari_ae_denoise.window_reader import naming_faults

if TYPE_CHECKING:
    import threading
    import weakref
    from collections.abc import Generator

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.prediction import TileProgress
    from napari_ae_denoise.removed_noise import NoiseCheck
    from napari_ae_denoise.tile_runner import PredictSettings


_NO_VARIANCE = "The variance of the code is missing or incomplete; the rest is finished."


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
    model_file: str = ""

    def record(self, **found: Any) -> dict[str, dict[str, Any]]:
        """Return the metadata of a result's layer; ``found`` is added to it."""
        source = self.source
        made = record_of(
            self.denoiser,
            source.image,
            source.axes,
            self.settings,
            layer=source.name,
            path=source.path,
            level=source.level,
            model_file=self.model_file,
        )
        return {KEY: made | found}

    def fingerprint(self, stop: threading.Event | None = None) -> str:
        """Return what tells the image from others; empty if it cannot be read, which a run says.

        Once ``stop`` is set, no more is read.
        """
        source = self.source
        try:
            layout = layout_for(self.denoiser.card.network, source.image.shape, source.axes)
            return fingerprints.of_image(naming_faults(source.image, stop), layout)
        except Exception:  # noqa: BLE001 (what the run says of it is what counts)
            return ""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What came out.

    Parameters
    ----------
    layers : tuple of dict
        The arguments of `Image` for each layer.
    summary, warning : str
        Sentences.
    scatter : Scatter, optional
        Of codes.
    image : array, optional
        What was denoised.
    origin : weak reference to a Layer, optional
        Whose image it was.
    """

    layers: tuple[dict[str, Any], ...]
    summary: str
    warning: str = ""
    scatter: Scatter | None = None
    image: Any = None
    origin: weakref.ref[Any] | None = None


def denoise_steps(
    choices: DenoiseChoices, stop: threading.Event
) -> Generator[TileProgress, None, Made]:
    """Denoise tile by tile; what is finished when cancelled is returned, and says so."""
    from napari_ae_denoise.prediction import TileError  # here, for it brings torch

    source, denoiser = choices.source, choices.denoiser
    problem, fingerprint = "", choices.fingerprint(stop)
    try:
        prediction = yield from denoiser.predict_steps(
            source.image,
            axes=source.axes or None,
            # the strength is applied to the finished result, where it can be changed
            settings=replace(choices.settings, removed=choices.noise, strength=1.0),
            denoised=choices.denoised,
            code=choices.code,
            stop=stop,
        )
    except TileError as error:
        if error.prediction is None:
            raise
        prediction, problem = error.prediction, str(error)
    part = prediction.finished
    if part == 1:
        spec, network = denoiser.card.network, subsampled(denoiser.network, prediction.steps)
        layout = layout_for(spec, source.image.shape, source.axes or None)
        learn(network, layout, choices.settings, prediction.seconds)
    if part == 0:
        return Made((), "Cancelled before the first tile; no layer was made.")
    mark = unfinished(part, broken=bool(problem))
    found: dict[str, Any] = {
        "remarks": list(prediction.remarks),
        "finished": part,
        "problem": problem,
        "fingerprint": fingerprint,
    }
    found["normalization"] = list(prediction.normalization)
    metadata = choices.record(**found, strength=1.0)
    verdict = ""
    # the denoised image is what people want to see first
    aside = {"visible": not choices.denoised}
    layers, remarks = [], [*prediction.remarks]
    if prediction.denoised is not None:
        name = f"{source.name} denoised{mark}"
        layers.append(source.denoised_layer(prediction.denoised, name, metadata))
        if part == 1:
            _, verdict = judged(source, prediction.denoised, prediction.removed)
    if prediction.removed is not None:
        name = f"{source.name} removed noise{mark}"
        noise = source.noise_layer(
            prediction.removed, name, choices.record(**found, what=REMOVED, strength=1.0)
        )
        layers.append({**noise, **aside})
    scatter = None
    if prediction.code is not None:
        code, variance = prediction.code, Variance(None)
        if denoiser.network.spec.variational and part == 1:
            variance = yield from _variance(choices, stop)
            remarks.append(variance.remark)
            problem = problem or variance.problem
        view = choices.latent_view
        told = choices.record(**found, what=CODE, strength=1.0)
        made = latent_layers(source, denoiser, code, variance, mark, told, view)
        layers += [{**layer, **aside} for layer in made]
        scatter = scatter_of(source, denoiser, code)
    done = (
        "Done"
        if part == 1
        else f"{'Broken off' if problem else 'Cancelled'}: {part:.0%} of the tiles are denoised, "
        "the rest is as it was"
    )
    parts = [f"{done}, {duration(prediction.seconds)}.", *remarks, verdict]
    said = " ".join(filter(None, parts))
    warning = f"{problem} {prediction.note}".strip()
    return Made(tuple(layers), said, warning, scatter, source.image, source.layer)


def judged(source: Source, denoised: Any, removed: Any = None) -> tuple[NoiseCheck | None, str]:
    """Return what there is to say of what was removed, and the verdict in words.

    A finished image is not lost by an error in it.
    """
    try:
        check = check_removed(source.image, denoised, source.axes or None, removed=removed)
    except Exception as error:  # noqa: BLE001 (logged, and said with the result)
        report.log(error)
        return None, f"What was removed could not be judged ({type(error).__name__}: {error})."
    return check, str(check or "")


def _variance(
    choices: DenoiseChoices, stop: threading.Event
) -> Generator[TileProgress, None, Variance]:
    """Encode the variance, in a pass of its own; the first pass is finished, and never lost."""
    from napari_ae_denoise.prediction import TileError

    source, problem = choices.source, ""
    try:
        made = yield from choices.denoiser.variance_steps(
            source.image, axes=source.axes or None, settings=choices.settings, stop=stop
        )
    except TileError as error:
        if error.prediction is None:
            return Variance(None, problem=f"{_NO_VARIANCE} {error}")
        made, problem = error.prediction, f"{_NO_VARIANCE} {error}"
    except DenoisingError as error:
        return Variance(None, problem=f"{_NO_VARIANCE} {error}")
    except Exception as error:  # noqa: BLE001 (logged, and said with what is finished)
        report.log(error)
        return Variance(None, problem=f"{_NO_VARIANCE} {in_words(error)}")
    if made.finished == 1:
        return Variance(made.code)
    remark = "" if problem else "Cancelled in the second pass, that of the variance."
    if made.finished == 0:
        return Variance(None, remark=remark)
    mark = unfinished(made.finished, broken=bool(problem))
    return Variance(made.code, mark, remark, problem)
