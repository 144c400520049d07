"""The panel *Add Gaussian noise*, which also adds the noise of cameras."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import LineEdit

from napari_ae_denoise._qt.axes_field import follow_axes
from napari_ae_denoise._qt.forms import (
    field,
    form,
    on_change,
    read_unit,
    suggest,
    suggest_noise,
    unit_field,
)
from napari_ae_denoise._qt.layer_facts import full_resolution
from napari_ae_denoise._qt.layer_fields import layer_field
from napari_ae_denoise._qt.layers import Source, add_image, take
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise._qt.status_line import short
from napari_ae_denoise.camera_noise import CameraNoise
from napari_ae_denoise.noise import noise_steps
from napari_ae_denoise.noise_cells import GaussianNoise
from napari_ae_denoise.provenance import KEY

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    import napari

    from napari_ae_denoise._qt.worker import MakeSteps

# Grey values a photoelectron, and read noise, where grey values are fractions, and where not.
_IN_FRACTIONS, _IN_COUNTS = (0.004, 0.008), (1.0, 2.0)
_FRACTIONS = 2.0  # what is shown spans no more where grey values are fractions
_DECIMALS = 5  # of grey values that are fractions
_GAUSSIAN, _POISSON, _CAMERA = "Gaussian", "Poisson", "Poisson-Gaussian (camera)"


@dataclass(frozen=True, slots=True, eq=False)
class NoiseChoices:
    """What the form says; the parameters are those of `noise_steps`."""

    source: Source
    law: GaussianNoise | CameraNoise
    clip: bool
    seed: int


class NoiseWidget(Panel):
    """Adds synthetic noise to an image layer."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="&Add noise",
            stop="Stop",
            tooltips=("Make a noisy copy as a new layer.", "Stop; no layer is made."),
        )
        self.layer = layer_field(viewer, "layer", "Image", "The image layer to add noise to.")
        self.axes = LineEdit(name="axes", label="Axes")
        self.kind = field(
            "kind",
            _GAUSSIAN,
            "Kind",
            "Gaussian noise is the same everywhere. Poisson noise is that of counted photons: it "
            "grows with the light. Cameras have both.",
            choices=[_GAUSSIAN, _POISSON, _CAMERA],
        )
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
        self.gain = field(
            "gain",
            1.0,
            "Gain",
            "Grey values per photoelectron: the higher, the fewer photons and the more noise.",
            min=1e-9,
            max=1e9,
        )
        self.offset = field(
            "offset", 0.0, "Offset", "Grey value where there is no light.", min=-1e9, max=1e9
        )
        self.read_noise = field(
            "read_noise",
            2.0,
            "Read noise",
            "Standard deviation of the Gaussian part, in grey values.",
            min=0.0,
            max=1e9,
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
        law = (self.sigma, self.unit, self.mean, self.gain, self.offset, self.read_noise)
        said = (self.kind, *law, self.seed, self.clip)
        self.form = form(self.layer, self.axes, *said)
        self.lay_out(self.form, layer_fields=(self.layer,), remembered=said)
        follow_axes(self.layer, self.axes)
        on_change([self.kind], self._show_fields)
        on_change([self.layer], self._suggest_noise)
        self._show_fields()
        self._suggest_noise()

    def _suggest_noise(self) -> None:
        """Start in grey values of 255 for 8-bit images, in percent for all others.

        The noise of cameras has no percent: what is usual follows the range that is shown.
        """
        layer = self.layer.value
        if layer is None:
            return
        dtype = full_resolution(layer).dtype
        fields = self.unit, self.sigma, self.mean
        suggest_noise(dtype, *fields, grey=(25.0, 0.0), percent=(10.0, 0.0))
        floats = np.issubdtype(dtype, np.floating)
        fractions = floats and (layer.rgb or np.ptp(layer.contrast_limits) <= _FRACTIONS)
        if fractions:
            for one in (self.sigma, self.mean, self.gain, self.offset, self.read_noise):
                one.native.setDecimals(_DECIMALS)  # to stay so, or what was set would be rounded
        suggest((self.gain, self.read_noise), _IN_FRACTIONS, _IN_COUNTS, second=not fractions)

    def _show_fields(self) -> None:
        """Show what the kind of noise needs."""
        gaussian = self.kind.value == _GAUSSIAN
        for widget in (self.sigma, self.unit, self.mean):
            widget.visible = gaussian
        for widget in (self.gain, self.offset):
            widget.visible = not gaussian
        self.read_noise.visible = self.kind.value == _CAMERA

    def read(self) -> NoiseChoices:
        """Return what the form says."""
        source = take(self.chosen_layer(self.layer), self.axes.value)
        return NoiseChoices(source, self._law(), self.clip.value, self.seed.value)

    def _law(self) -> GaussianNoise | CameraNoise:
        if self.kind.value == _GAUSSIAN:
            relative, unit = read_unit(self.unit)
            return GaussianNoise(self.sigma.value * unit, self.mean.value * unit, relative)
        read_noise = self.read_noise.value if self.kind.value == _CAMERA else 0.0
        return CameraNoise(self.gain.value, self.offset.value, read_noise)

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
        self.bar.status.setText(f'Added the layer "{short(layer.name)}".')


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
    source, law = choices.source, choices.law
    noisy = yield from noise_steps(
        source.image, law, clip=choices.clip, seed=choices.seed, axes=source.axes, stop=stop
    )
    if noisy is None:
        return None
    settings = {"kind": type(law).__name__, **asdict(law), "clip": choices.clip}
    metadata = {KEY: {"noise": {**settings, "seed": choices.seed}}}
    return source.denoised_layer(noisy, f"{source.name} + noise {_in_short(law)}", metadata)


def _in_short(law: GaussianNoise | CameraNoise) -> str:
    if isinstance(law, CameraNoise):
        return f"gain {law.gain:g}"
    return f"{100 * law.sigma:g} %" if law.relative else f"{law.sigma:g}"
