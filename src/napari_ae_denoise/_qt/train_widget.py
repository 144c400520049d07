"""The panel *Train autoencoder*."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.axes_field import follow_axes
from napari_ae_denoise._qt.clean_hint import CleanHint
from napari_ae_denoise._qt.forecast import Forecast
from napari_ae_denoise._qt.forms import fold, form, on_change
from napari_ae_denoise._qt.layer_facts import full_resolution
from napari_ae_denoise._qt.live_crop import LiveCrop
from napari_ae_denoise._qt.loss_plot import LossPlot
from napari_ae_denoise._qt.model_files import ModelFiles
from napari_ae_denoise._qt.model_saving import Chosen
from napari_ae_denoise._qt.network_fields import NetworkFields
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.train_form import KINDS, TrainFields
from napari_ae_denoise._qt.train_job import TrainChoices, in_words, progress_in_words, train_steps
from napari_ae_denoise._qt.training_images import TrainingImages
from napari_ae_denoise._qt.worker import JobState
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from concurrent.futures import Future

    import napari
    from napari.layers import Image

    from napari_ae_denoise._qt.worker import MakeSteps
    from napari_ae_denoise.card import Card
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.training import Progress


class TrainWidget(Panel):
    """Trains a denoising autoencoder on images."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="Start &training",
            stop="Stop",
            tooltips=(
                "Train; the window stays usable meanwhile.",
                "Stop after the running step and keep the best weights so far.",
            ),
        )
        self.shelf = shelf_of(viewer)
        self.trained: Denoiser | None = None
        self._last: TrainChoices | None = None  # of the model that was trained
        self._running: TrainChoices | None = None
        self.fields = fields = TrainFields()
        self.images = images = TrainingImages(viewer, fields.axes)
        self.first, self.second = images.first, images.second
        self.network = NetworkFields(self.shelf, fields, images)
        self.start_from, self.network_note = self.network.start_from, self.network.note
        self.forecast = Forecast(self, self.read)
        self.clean_hint = CleanHint(self, self._given_as_clean)
        self.fold = fold("More settings", form(*fields.advanced))
        self.plot, self.crop = LossPlot(), LiveCrop()
        self.plot.hide()
        self.files = ModelFiles(self._to_save, self.shelf, opens=False)
        self.files.said.connect(self.say)
        self.files.failed.connect(self.show_problem)
        self.files.setEnabled(False)
        self.go_on = self.bar.add_button(
            "Co&ntinue",
            "Go on with the last training, its images and settings, for as long again as is set "
            "above.",
        )
        self.go_on.clicked.connect(self.run_on)
        self.lay_out(
            form(fields.kind, *images.fields, fields.axes, fields.family.kind),
            self.clean_hint.line,
            fields.family.sentence,
            form(fields.preset, self.start_from),
            self.network_note,
            form(*fields.noise_rows, *fields.lengths.rows),
            self.forecast.label,
            self.fold,
            self.files,
            self.crop,
            self.plot,
            layer_fields=images.layer_fields,
            remembered=fields.remembered,
        )
        follow_axes(self.first, fields.axes, lambda: images.one_layer)
        on_change([fields.kind, images.source, fields.family.kind], self._show_kind)
        images.changed(self._suggest_unit)
        images.changed(self.forecast.ask)
        images.changed(self.clean_hint.look)
        on_change([fields.kind, fields.axes], self.clean_hint.look)
        fields.changed(self.forecast.ask)
        on_change([self.start_from], self.forecast.ask)
        self.network.opened.connect(self.forecast.ask)
        self.shelf.changed.connect(self._follow_shelf)
        self.shelf.listed.connect(self._follow_shelf)
        self._show_kind()
        self._suggest_unit()
        self.show_state(JobState.IDLE)
        self.forecast.ask()
        self.clean_hint.look()

    def leave(self) -> None:
        """Let go of what goes on, for the panel is out of the window."""
        self.clean_hint.leave()
        super().leave()

    def come_back(self) -> None:
        """Look at the image anew."""
        super().come_back()
        self.clean_hint.look()

    # ---- the form

    def to_be_read(self) -> Future[Denoiser] | None:
        """Return the model to start from, if its file has to be read first."""
        return self.network.to_be_read()

    def read(self) -> TrainChoices:
        """Return what the form says."""
        fields, images = self.fields, self.images
        data, about = images.read(KINDS[fields.kind.value], self.viewer.layers.selection.active)
        start = self.network.start()
        name = f"{start.card.name} fine-tuned" if start else f"{about} {fields.name}"
        return TrainChoices(data, images.from_files, fields.settings(name), start)

    def _show_kind(self) -> None:
        self.images.show(KINDS[self.fields.kind.value])
        for widget in (*self.fields.noise_rows, self.fields.noise):
            widget.visible = self.fields.adds_noise
        self.fields.scheme.visible = self.fields.from_noisy_only

    def _given_as_clean(self) -> tuple[Image | None, str]:
        given = "clean" in KINDS[self.fields.kind.value].sides
        return (self.images.example if given else None), self.fields.axes.value

    def _suggest_unit(self) -> None:
        """Start in grey values of 255 for 8-bit images, in percent for all others."""
        if self.images.example is not None:
            self.fields.suggest_unit(full_resolution(self.images.example).dtype)

    def _follow_shelf(self, *_: str) -> None:
        self.start_from.reset_choices()

    # ---- the job

    def prepare(self) -> MakeSteps:
        """Return the job of training."""
        self._running = choices = self.read()
        self.plot.clear_curves()
        self.crop.clear()
        return self._job(choices)

    def run_on(self) -> None:
        """Go on with the last training."""
        if self._last is not None and self.trained is not None:
            self.begin(partial(self._further, self._last, self.trained.card))

    def _further(self, last: TrainChoices, card: Card) -> MakeSteps:
        """Return the job of going on."""
        self._running = choices = last.further(self.fields.lengths.read(), card.training)
        return self._job(choices)

    def _job(self, choices: TrainChoices) -> MakeSteps:
        self.forecast.hold()
        return partial(train_steps, choices, self.shelf)

    def show_state(self, state: JobState) -> None:
        """Put the panel into the state of its job."""
        super().show_state(state)
        self.go_on.setEnabled(state is JobState.IDLE and self._last is not None)
        if state is JobState.IDLE:
            self.forecast.resume()

    def show_progress(self, progress: Progress) -> None:
        """Show a step."""
        held_out = progress.validation_psnr, progress.validation_loss
        before = self.plot.isHidden(), self.crop.isHidden()
        self.plot.show()
        self.plot.add(progress.step, progress.loss, *held_out)
        self.crop.show_look(progress.look)
        if before != (self.plot.isHidden(), self.crop.isHidden()):
            self.bring_into_view(self.plot)
        self.bar.show_progress(progress.fraction, progress_in_words(progress))
        if self._running is not None and progress.step:
            self.forecast.learn(self._running, progress)
        if progress.note:
            self.show_warning(progress.note)

    def show_result(self, result: Denoiser | None) -> None:
        """Say how good the trained denoiser is; it is on the shelf already."""
        if result is None:
            self.bar.status.setText("Stopped before the first step; there is no model.")
            return
        self.trained, self._last = result, self._running
        self.go_on.setEnabled(True)
        self.files.setEnabled(True)
        self.bar.status.setText(in_words(self.shelf.name_of(result), result.card))

    def _to_save(self) -> Chosen:
        if self.trained is None:
            raise DenoisingError("There is no trained model yet.", "Train one first.")
        return Chosen(self.trained, self.shelf.name_of(self.trained))
