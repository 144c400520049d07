"""The panel *Add Gaussian noise*."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise._qt.forms import field, form, layer_field
from napari_ae_denoise._qt.layers import Source, add_image, take
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.noise import add_gaussian_noise

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    import napari

    from napari_ae_denoise._qt.worker import MakeSteps

_GREY, _PERCENT = "grey values", "% of the data range"
_BLOCK = 1024  # pixels along Y and X that are made noisy at once


@dataclass(frozen=True, slots=True, eq=False)
class NoiseChoices:
    """What the form says; the parameters are those of `add_gaussian_noise`."""

    source: Source
    sigma: float
    mean: float
    relative: bool
    clip: bool
    seed: int


class NoiseWidget(Panel):
    """Adds synthetic Gaussian noise to an image layer."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="Add noise",
            stop="Stop",
            tooltips=("Make a noisy copy as a new layer.", "Stop; no layer is made."),
        )
        self.layer = layer_field(viewer, "layer", "Image", "The image layer to add noise to.")
        self.sigma = field(
            "sigma",
            25.0,
            "Sigma",
            "Standard deviation of the noise, in the unit below.",
            min=0.0,
            max=1e9,
            step=1.0,
        )
        self.unit = field(
            "unit",
            _GREY,
            "Unit",
            "Whether sigma and mean are grey values, or percent of the largest minus the smallest "
            "grey value of the image.",
            choices=[_GREY, _PERCENT],
        )
        self.mean = field(
            "mean", 0.0, "Mean", "Mean of the noise, in the same unit.", min=-1e9, max=1e9
        )
        self.seed = field(
            "seed", 0, "Seed", "The same seed gives the same noise.", min=0, max=2**31 - 1
        )
        self.clip = field(
            "clip",
            False,
            "Clip to the image's range",
            "Clip the result to the smallest and largest grey value of the image. Clipped noise "
            "is no longer Gaussian. Integer images are always clipped to what they can hold.",
        )
        self.form = form(self.layer, self.sigma, self.unit, self.mean, self.seed, self.clip)
        self.lay_out(self.form, layer_fields=(self.layer,))

    def read(self) -> NoiseChoices:
        """Return what the form says."""
        relative = self.unit.value == _PERCENT
        unit = 0.01 if relative else 1.0
        if self.sigma.value == 0 and self.mean.value == 0:
            raise DenoisingError(
                "Noise of sigma 0 and mean 0 changes nothing.", "Give sigma above 0."
            )
        return NoiseChoices(
            take(self.chosen_layer(self.layer)),
            sigma=self.sigma.value * unit,
            mean=self.mean.value * unit,
            relative=relative,
            clip=self.clip.value,
            seed=self.seed.value,
        )

    def prepare(self) -> MakeSteps:
        """Return the job of adding noise."""
        choices = self.read()
        return lambda stop: noise_steps(choices, stop)

    def show_progress(self, progress: float) -> None:
        """Show the finished part."""
        self.bar.show_progress(progress, f"{progress:.0%} of the image")

    def show_result(self, result: dict[str, Any] | None) -> None:
        """Add the noisy layer."""
        if result is None:
            self.bar.status.setText("Stopped; no layer was made.")
            return
        layer = add_image(self.viewer, **result)
        self.bar.status.setText(f'Added the layer "{layer.name}".')


def noise_steps(
    choices: NoiseChoices, stop: threading.Event
) -> Generator[float, None, dict[str, Any] | None]:
    """Make an image noisy, block by block; a dask image stays lazy.

    Yields
    ------
    float
        The finished part, 0 to 1.

    Returns
    -------
    dict or None
        What `Image` takes; None if stopped.
    """
    import dask.array as da

    source, image = choices.source, choices.source.image
    lazy = isinstance(image, da.Array)
    chunks = tuple(
        min(n, _BLOCK) if a in "YX" else n if a == "C" else 1
        for n, a in zip(image.shape, source.axes or "N" * image.ndim, strict=False)
    )
    noisy = add_gaussian_noise(
        # without a name dask would hash the whole image
        image if lazy else da.from_array(image, chunks=chunks, name=False),
        choices.sigma,
        mean=choices.mean,
        relative=choices.relative,
        clip=choices.clip,
        seed=choices.seed,
        axes=source.axes or None,
    )
    if not lazy:
        made = np.empty(image.shape, image.dtype)
        ends = [np.cumsum((0, *sizes)) for sizes in noisy.chunks]
        blocks = list(itertools.product(*(range(n) for n in noisy.numblocks)))
        for number, block in enumerate(blocks):
            if stop.is_set():
                return None
            place = tuple(slice(e[i], e[i + 1]) for e, i in zip(ends, block, strict=True))
            made[place] = noisy.blocks[block].compute(scheduler="synchronous")
            yield (number + 1) / len(blocks)
        noisy = made
    else:
        yield 1.0
    share = f"{100 * choices.sigma:g} %" if choices.relative else f"{choices.sigma:g}"
    settings = {
        "sigma": choices.sigma,
        "mean": choices.mean,
        "relative": choices.relative,
        "clip": choices.clip,
        "seed": choices.seed,
    }
    return source.denoised_layer(
        noisy, f"{source.name} + noise {share}", {"napari-ae-denoise": {"noise": settings}}
    )
