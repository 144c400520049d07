"""The panel *Add Gaussian noise*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magicgui.widgets import LineEdit

from napari_ae_denoise._qt.forms import field, form, layer_field, read_unit, unit_field
from napari_ae_denoise._qt.layers import Source, add_image, take
from napari_ae_denoise._qt.panel import Panel, follow_axes
from napari_ae_denoise.noise import noise_steps

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    import napari

    from napari_ae_denoise._qt.worker import MakeSteps


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
        self.axes = LineEdit(name="axes", label="Axes")
        self.sigma = field(
            "sigma",
            25.0,
            "Sigma",
            "Standard deviation of the noise, in the unit below.",
            min=0.0,
            max=1e9,
            step=1.0,
        )
        self.unit = unit_field(
            "Whether sigma and mean are grey values, or percent of the largest minus the smallest "
            "grey value of the image."
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
        self.form = form(
            self.layer, self.axes, self.sigma, self.unit, self.mean, self.seed, self.clip
        )
        self.lay_out(self.form, layer_fields=(self.layer,))
        follow_axes(self.layer, self.axes)

    def read(self) -> NoiseChoices:
        """Return what the form says."""
        relative, unit = read_unit(self.unit)
        return NoiseChoices(
            take(self.chosen_layer(self.layer), self.axes.value),
            sigma=self.sigma.value * unit,
            mean=self.mean.value * unit,
            relative=relative,
            clip=self.clip.value,
            seed=self.seed.value,
        )

    def prepare(self) -> MakeSteps:
        """Return the job of adding noise."""
        choices = self.read()
        return lambda stop: layer_steps(choices, stop)

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


def layer_steps(
    choices: NoiseChoices, stop: threading.Event
) -> Generator[float, None, dict[str, Any] | None]:
    """Make an image noisy; a dask or zarr image stays lazy.

    Yields
    ------
    float
        The finished part, 0 to 1.

    Returns
    -------
    dict or None
        What `Image` takes; None if stopped.
    """
    source = choices.source
    settings: dict[str, Any] = {
        "sigma": choices.sigma,
        "mean": choices.mean,
        "relative": choices.relative,
        "clip": choices.clip,
        "seed": choices.seed,
    }
    noisy = yield from noise_steps(source.image, **settings, axes=source.axes, stop=stop)
    if noisy is None:
        return None
    share = f"{100 * choices.sigma:g} %" if choices.relative else f"{choices.sigma:g}"
    return source.denoised_layer(
        noisy, f"{source.name} + noise {share}", {"napari-ae-denoise": {"noise": settings}}
    )
