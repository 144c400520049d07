"""The panel *Denoise*."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox, LineEdit

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.disk_results import Begun, Kept
from napari_ae_denoise._qt.filling import FillingLayer
from napari_ae_denoise._qt.forms import (
    device_field,
    duration,
    field,
    fold,
    form,
    layer_field,
    note,
    on_change,
)
from napari_ae_denoise._qt.latent_view import LatentView
from napari_ae_denoise._qt.layers import add_image, take
from napari_ae_denoise._qt.live import LiveLayer
from napari_ae_denoise._qt.model_files import ModelFiles
from napari_ae_denoise._qt.panel import Panel, follow_axes
from napari_ae_denoise._qt.results import DenoiseChoices, Made, denoise_steps
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.tile_runner import PredictSettings

if TYPE_CHECKING:
    import napari

    from napari_ae_denoise._qt.worker import MakeSteps
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.prediction import TileProgress

_NOISE_MODELS = [
    ("automatic", "auto"),
    ("Gaussian", "gaussian"),
    ("camera (Poisson-Gaussian)", "camera"),
]


class DenoiseWidget(Panel):
    """Denoises an image layer with a model, tile by tile."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="Denoise",
            stop="Cancel",
            tooltips=(
                "Run the model over the whole image.",
                "Cancel after the running tile and keep the finished ones.",
            ),
        )
        self.shelf = shelf_of(viewer)
        self.layer = layer_field(viewer, "layer", "Image", "The image layer to denoise.")
        self.axes = LineEdit(name="axes", label="Axes")
        self.model = ComboBox(
            name="model",
            label="Model",
            tooltip="A bundled model, one trained here, or one opened from a file.",
            choices=lambda _: self.shelf.names(),
        )
        self.card_note = note()
        self._proposed = self.model.value  # what is chosen while nobody has chosen
        self.files = ModelFiles(lambda: (self.chosen_model(), self.model.value), self.shelf)
        self.files.said.connect(self.bar.status.setText)
        self.files.failed.connect(self.show_problem)
        self.denoised = field("denoised", True, "Denoised image", "Add the denoised image.")
        self.latent = field(
            "latent",
            False,
            "Latent code",
            "Add what the encoder makes of the image: a stack of channels at a coarser grid, "
            "which lies exactly over the image.",
        )
        self.latents = LatentView(self.latent)
        self.noise = field(
            "noise", False, "Removed noise", "Add image minus denoised: look for structure in it."
        )
        self.strength = field(
            "strength",
            100.0,
            "Strength (%)",
            "100 %: all of the denoising. 0 %: the image itself.",
            min=0.0,
            max=100.0,
            widget_type="FloatSlider",
        )
        self.noise_model = ComboBox(
            name="noise_model",
            label="Noise model",
            tooltip="Gaussian: the same everywhere. Camera: it grows with the light; it is "
            "estimated from the image, levelled before the model, and that is undone. Automatic: "
            "camera, if the image shows it and the model does not know it.",
            choices=_NOISE_MODELS,
        )
        self.device = device_field()
        self.tile = field(
            "tile",
            0,
            "Tile (pixels)",
            "Side of the tiles. 0 chooses it by the free memory. The result is the same.",
            min=0,
            max=16384,
        )
        self.filling = FillingLayer(viewer, self, self.job)
        self.live = LiveLayer(viewer, self, lambda: (self.read(), self.chosen_layer(self.layer)))
        self.live.failed.connect(self.show_problem)
        self.form = form(self.layer, self.axes, self.model)
        self.lay_out(
            self.form,
            self.card_note,
            self.files,
            form(self.denoised, self.latent, self.noise, self.strength, self.live.switch),
            self.latents,
            fold(
                "More settings",
                form(self.noise_model, self.device, self.tile, *self.filling.fields),
            ),
            layer_fields=(self.layer,),
        )
        follow_axes(self.layer, self.axes)
        on_change([self.model], self._show_card)
        on_change([self.layer, self.axes, self.model, self.strength], self.live.restart)
        self.shelf.changed.connect(self._follow_shelf)
        self._show_card()

    # ---- the form

    def read(self) -> DenoiseChoices:
        """Return what the form says."""
        source = take(self.chosen_layer(self.layer), self.axes.value)
        if not (self.denoised.value or self.latent.value or self.noise.value):
            raise DenoisingError(
                "Nothing is chosen to be made.",
                "Tick the denoised image, the latent code or the removed noise.",
            )
        return DenoiseChoices(
            source=source,
            denoiser=self.chosen_model(),
            settings=PredictSettings(
                tile=self.tile.value or "auto",
                device=self.device.value,
                strength=self.strength.value / 100,
                noise_model=self.noise_model.value,
            ),
            denoised=self.denoised.value,
            code=self.latent.value,
            noise=self.noise.value,
            latent_view=self.latents.view.value,
        )

    def prepare(self) -> MakeSteps:
        """Return the job of denoising."""
        choices = self.read()
        to_disk = self.filling.job(choices, self.chosen_layer(self.layer))
        return to_disk or (lambda stop: denoise_steps(choices, stop))

    def chosen_model(self) -> Denoiser:
        """Return the denoiser that is chosen."""
        if self.model.value is None:
            raise DenoisingError(
                "There is no model yet.", "Train one in the Train panel, or press Open model."
            )
        return self.shelf.get(self.model.value)

    def _follow_shelf(self, newest: str) -> None:
        """Offer the newest model; choose it where nobody has chosen another one."""
        untouched = self.model.value in (None, self._proposed)
        self.model.reset_choices()
        if untouched:
            self.model.value = self._proposed = newest

    def _show_card(self) -> None:
        """Say in a line what the chosen model is."""
        if self.model.value is None:
            self.card_note.setText("Train a model, or open one.")
            return
        card = self.shelf.get(self.model.value).card
        colours = "RGB" if card.network.channels == 3 else f"{card.network.channels} channel"
        unit = "% of the range" if card.sigma_relative else "grey values"
        factor = 100 if card.sigma_relative else 1
        sigma = (
            f", sigma {card.sigma[0] * factor:.3g} to {card.sigma[1] * factor:.3g} {unit}"
            if card.sigma
            else ""
        )
        quality = card.metrics.get("validation_psnr", math.nan)
        rated = "" if math.isnan(quality) else f", {quality:.1f} dB when trained"
        self.card_note.setText(f"{card.network.style}, {colours}{sigma}{rated}")

    # ---- the job

    def show_progress(self, progress: TileProgress | Begun) -> None:
        """Show a tile, or the layer that tiles go into."""
        if isinstance(progress, Begun):
            self.show_notice(self.filling.begin(progress))
            return
        self.filling.tile_came()
        self.bar.show_progress(
            progress.done / progress.total,
            f"Tile {progress.done} of {progress.total}, {duration(progress.remaining)} left",
        )

    def show_result(self, result: Made | Kept) -> None:
        """Add the layers."""
        if isinstance(result, Kept):
            self.filling.end(result)
            result = Made((), result.summary, result.warning)
        self.latents.offer(result.scatter)
        added = [add_image(self.viewer, **kwargs).name for kwargs in result.layers]
        said = [f"Added {', '.join(added)}."] if added else []
        self.bar.status.setText(" ".join([*said, result.summary, result.warning]).strip())
        if result.warning:
            self.show_warning(result.warning)
