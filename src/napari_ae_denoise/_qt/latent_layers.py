"""Codes as layers: the stack of units, its components as colours, mean and variance, a scatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.latent_tools import (
    as_colours,
    principal_components,
    scatter_coordinates,
    unit_names,
)

if TYPE_CHECKING:
    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise.denoiser import Denoiser

UNITS, COLOURS, BOTH = "one channel each unit", "colours of 3 components", "both"
_ALONG_CODE = ("scale", "translate", "units", "axis_labels")


@dataclass(frozen=True, slots=True, eq=False)
class Scatter:
    """Where each image of a stack lies, (images, 2), and its label where there are labels."""

    coordinates: npt.NDArray[np.float32]
    labels: npt.NDArray[Any] | None
    title: str


@dataclass(frozen=True, slots=True, eq=False)
class Variance:
    """What the second pass over a variational code gave.

    Parameters
    ----------
    values : ndarray or None
        (units, stack axes..., Y, X); NaN where it was not reached. None: nothing.
    mark : str
        At the end of the layer's name.
    remark, problem : str
        What people should know; the problem is a fault.
    """

    values: npt.NDArray[np.float32] | None
    mark: str = ""
    remark: str = ""
    problem: str = ""


def latent_layers(
    source: Source,
    denoiser: Denoiser,
    code: npt.NDArray[np.float32],
    variance: Variance,
    mark: str,
    metadata: dict[str, Any],
    view: str,
) -> list[dict[str, Any]]:
    """Return what `Image` takes for a code, the way it should be shown.

    Parameters
    ----------
    source, denoiser
        What was encoded, by what.
    code : ndarray
        (units, stack axes..., Y, X).
    variance : Variance
        That of a variational code.
    mark : str
        At the end of the layers' names.
    metadata : dict
        Of the layers.
    view : str
        `UNITS`, `COLOURS` or `BOTH`.
    """
    variational = denoiser.network.spec.variational
    what = "latent mean" if variational else "latent"
    stack = source.latent_layer(code, denoiser.stride, f"{source.name} {what}{mark}", metadata)
    names = unit_names(len(stack["data"]), variational=variational)
    layers = [{**stack, "metadata": with_units(metadata, names)}] if view != COLOURS else []
    if view != UNITS:
        components, explained = principal_components(stack["data"])
        told = {"explained variance": [round(float(part), 4) for part in explained]}
        layers.append(
            {
                **_without_code_axis(stack),
                "data": as_colours(components),
                "name": f"{source.name} latent components{mark}",
                "rgb": True,
                "contrast_limits": (0.0, 1.0),
                "metadata": {k: {**v, **told} for k, v in metadata.items()},
            }
        )
    if variance.values is not None:
        name = f"{source.name} latent variance{variance.mark}"
        made = source.latent_layer(variance.values, denoiser.stride, name, metadata)
        names = [name.replace("mean", "variance") for name in names]
        layers.append({**made, "metadata": with_units(metadata, names)})
    return layers


def scatter_of(source: Source, denoiser: Denoiser, code: npt.NDArray[np.float32]) -> Scatter | None:
    """Return the scatter of the codes of a stack; None where a code does not stand for an image."""
    spec = denoiser.network.spec
    images = int(np.prod(code.shape[1:-2]))
    if images < 2 or not (spec.variational or spec.image_size) or not np.isfinite(code).all():
        return None
    labels = None if source.labels is None else np.asarray(source.labels).ravel()
    fits = labels is not None and len(labels) == images
    title = f"{images:,} codes of {source.name}"
    return Scatter(scatter_coordinates(code), labels if fits else None, title)


def with_units(metadata: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the metadata of a code's layer with the names of its units."""
    return {key: {**told, "units": names} for key, told in metadata.items()}


def _without_code_axis(stack: dict[str, Any]) -> dict[str, Any]:
    """Return the transforms of a code's layer without its first axis."""
    lines = {name: stack[name][1:] for name in _ALONG_CODE}
    return lines | {name: stack[name][1:, 1:] for name in ("rotate", "shear", "affine")}
