"""The panel *Train autoencoder*."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.forms import (
    duration,
    field,
    fold,
    form,
    layer_field,
    note,
    on_change,
)
from napari_ae_denoise._qt.layers import full_resolution, plane_size, take
from napari_ae_denoise._qt.loss_plot import LossPlot
from napari_ae_denoise._qt.model_files import ModelFiles
from napari_ae_denoise._qt.panel import Panel, follow_axes
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.train_form import CLEAN, KINDS, TrainFields
from napari_ae_denoise._qt.train_job import TrainChoices, in_words, train_steps
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.networks import build_empty
from napari_ae_denoise.training_data import TrainingData

if TYPE_CHECKING:
    import napari

    from napari_ae_denoise._qt.worker import MakeSteps
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.network_spec import NetworkSpec
    from napari_ae_denoise.training import Progress


FROM_NOTHING = "nothing"


class TrainWidget(Panel):
    """Trains a denoising autoencoder on image layers."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="Start training",
            stop="Stop",
            tooltips=(
                "Train; the window stays usable meanwhile.",
                "Stop after the running step and keep the best weights so far.",
            ),
        )
        self.shelf = shelf_of(viewer)
        self.trained: Denoiser | None = None
        self.first = layer_field(viewer, "first", "Clean image", "Images without noise.")
        self.second = layer_field(
            viewer, "second", "Noisy image", "The same things, pixel on pixel, with noise."
        )
        self.fields = fields = TrainFields()
        self.start_from = field(
            "start_from",
            FROM_NOTHING,
            "Start from",
            "Begin with the weights of a model that is at hand (fine-tuning), instead of random "
            "ones. Its network replaces the one chosen above.",
            choices=lambda _: [FROM_NOTHING, *self.shelf.names()],
        )
        self.network_note = note()
        self.fold = fold("More settings", form(*fields.advanced, self.start_from))
        self.plot = LossPlot()
        self.files = ModelFiles(self._to_save)
        self.files.said.connect(self.bar.status.setText)
        self.files.failed.connect(self.show_problem)
        self.files.setEnabled(False)
        self.lay_out(
            form(fields.kind, self.first, self.second, fields.axes, fields.family.kind),
            fields.family.sentence,
            form(fields.preset),
            self.network_note,
            form(*fields.noise_rows, fields.length_row),
            self.fold,
            self.plot,
            self.files,
            layer_fields=(self.first, self.second),
        )
        follow_axes(self.first, fields.axes)
        on_change([self.first], self._suggest_unit)
        on_change([fields.kind, fields.family.kind], self._show_kind)
        fields.family.changed(self._show_network)
        on_change([fields.preset, self.start_from, self.first], self._show_network)
        self.shelf.changed.connect(self._follow_shelf)
        self._show_kind()
        self._suggest_unit()
        self._show_network()

    # ---- the form

    def read(self) -> TrainChoices:
        """Return what the form says."""
        fields = self.fields
        first = take(self.chosen_layer(self.first), fields.axes.value)
        sides = KINDS[fields.kind.value].sides
        images = {sides[0]: first.image}
        if len(sides) == 2:
            if self.second.value is self.first.value:
                raise DenoisingError(
                    f'Both sides of the pair are the layer "{first.name}".',
                    "Choose two different layers.",
                )
            images[sides[1]] = take(self.chosen_layer(self.second), fields.axes.value).image
        start = self._model_to_start_from()
        name = f"{start.card.name} fine-tuned" if start else f"{first.name} {fields.name}"
        data = TrainingData(**images, axes=first.axes or None)
        return TrainChoices(data, fields.settings(name), start)

    def _model_to_start_from(self) -> Denoiser | None:
        name = self.start_from.value
        return None if name == FROM_NOTHING else self.shelf.get(name)

    def prepare(self) -> MakeSteps:
        """Return the job of training."""
        choices = self.read()
        self.plot.clear_curves()
        return partial(train_steps, choices, self.shelf)

    def _show_kind(self) -> None:
        kind = KINDS[self.fields.kind.value]
        self.first.label, self.second.label = kind.labels
        self.second.visible = len(kind.sides) == 2
        for widget in self.fields.noise_rows:
            widget.visible = self.fields.kind.value == CLEAN and not self.fields.family.noiseless

    def _show_network(self) -> None:
        """Say how large the code of the chosen network is."""
        start = self._model_to_start_from()
        try:
            spec = start.card.network if start else self._spec()
        except DenoisingError as error:
            self.network_note.setText(str(error))
            return
        network = build_empty(spec)
        self.network_note.setText(
            f"{network.parameter_count / 1e6:.2f} million weights; {network.code_in_words}"
        )

    def _spec(self) -> NetworkSpec:
        """Return the network that is described, for the first layer."""
        size, channels = plane_size(self.first.value)
        return self.fields.settings("").network_for(size, channels)

    def _suggest_unit(self) -> None:
        """Start in grey values of 255 for 8-bit images, in percent for all others."""
        if self.first.value is not None:
            self.fields.suggest_unit(full_resolution(self.first.value).dtype)

    def _follow_shelf(self, _name: str) -> None:
        self.start_from.reset_choices()

    # ---- the job

    def show_progress(self, progress: Progress) -> None:
        """Show a step."""
        self.plot.add(progress.step, progress.loss, progress.validation_psnr)
        of = f" of {progress.steps}" if progress.steps else ""
        quality = (
            ""
            if math.isnan(progress.validation_psnr)
            else f", held-out parts {progress.validation_psnr:.2f} dB"
        )
        left = "" if math.isnan(progress.remaining) else f", {duration(progress.remaining)} left"
        stage = f" ({progress.stage})" if progress.stage else ""
        self.bar.show_progress(
            progress.fraction,
            f"Step {progress.step}{of}{stage}, loss {progress.loss:.3g}{quality}{left}",
        )
        if progress.note:
            self.show_warning(progress.note)

    def show_result(self, result: Denoiser | None) -> None:
        """Say how good the trained denoiser is; it is on the shelf already."""
        if result is None:
            self.bar.status.setText("Stopped before the first step; there is no model.")
            return
        self.trained = result
        self.files.setEnabled(True)
        name = self.shelf.name_of(result)
        self.bar.status.setText(in_words(name, result.card))

    def _to_save(self) -> tuple[Denoiser, str]:
        if self.trained is None:
            raise DenoisingError("There is no trained model yet.", "Train one first.")
        return self.trained, self.shelf.name_of(self.trained)
