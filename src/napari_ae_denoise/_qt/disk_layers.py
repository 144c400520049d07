"""Layers of what is on disk beside the denoised image: the removed noise, and the latent code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise._qt.latent_layers import UNITS, with_units
from napari_ae_denoise._qt.layers import code_limits
from napari_ae_denoise._qt.status_line import unfinished
from napari_ae_denoise.latent_tools import unit_names
from napari_ae_denoise.provenance import CODE, REMOVED
from napari_ae_denoise.strength import removed_lazily

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ae_denoise._qt.results import DenoiseChoices
    from napari_ae_denoise.disk_job import DiskJob, Stored
    from napari_ae_denoise.removed_noise import NoiseCheck


def noise_layer(
    choices: DenoiseChoices,
    before: Sequence[Any],
    stored: Stored,
    found: dict[str, Any],
    check: NoiseCheck | None,
) -> dict[str, Any]:
    """Return what `Image` takes for the removed noise: it is computed where it is looked at.

    Parameters
    ----------
    choices : DenoiseChoices
        What was run on what.
    before : sequence of array
        The levels of the image, from the denoised one on.
    stored : Stored
        The denoised image.
    found : dict
        For the layer's metadata.
    check : NoiseCheck or None
        What was found in the noise.
    """
    source = choices.source
    levels = [
        removed_lazily(image, result, unfinished=stored.finished < 1)
        for image, result in zip(before, stored.levels, strict=False)
        if tuple(image.shape) == tuple(result.shape)
    ]
    told = choices.record(**found, what=REMOVED)
    bound = 4 * check.sigma if check is not None and check.sigma else 1.0
    name = f"{source.name} removed noise{unfinished(stored.finished)}"
    layer = source.noise_layer(levels, name, told, bound)
    return _levelled(layer) | {"visible": not choices.denoised}


def code_layer(
    choices: DenoiseChoices, job: DiskJob, stored: Stored, found: dict[str, Any]
) -> dict[str, Any]:
    """Return what `Image` takes for a code on disk: one channel each unit."""
    source, variational = choices.source, choices.denoiser.network.spec.variational
    what = "latent mean" if variational else "latent"
    layer = source.latent_layer(
        list(stored.levels),
        choices.denoiser.stride,
        f"{source.name} {what}{unfinished(stored.finished)}",
        choices.record(**found, what=CODE),
        _limits(job, stored),
    )
    names = unit_names(layer["data"][0].shape[0], variational=variational)
    layer["metadata"] = with_units(layer["metadata"], names)
    return _levelled(layer) | {"visible": not (choices.denoised or choices.noise)}


def what_codes_lack(choices: DenoiseChoices) -> str:
    """Say what is made of codes in memory alone; empty if nothing of it is asked for."""
    lacks = [] if choices.latent_view == UNITS else ["colours of its components"]
    lacks += ["variance"] if choices.denoiser.network.spec.variational else []
    if not lacks:
        return ""
    return f"Of a code on disk the units are shown, and not the {' or the '.join(lacks)}."


def _limits(job: DiskJob, stored: Stored) -> tuple[float, float]:
    """Return contrast limits for a code from one finished plane, at its coarsest level."""
    number = int(np.argmax(job.folder.record.done))
    plane = job.jobs[number].planes[0]
    index = job.folder.layout.stack_index(plane)
    return code_limits(np.asarray(stored.levels[-1][(slice(None), *index)]))


def _levelled(layer: dict[str, Any]) -> dict[str, Any]:
    """Return a layer of one level as such."""
    several = len(layer["data"]) > 1
    return {**layer, "data": layer["data"] if several else layer["data"][0], "multiscale": several}
