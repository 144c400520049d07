"""The panel *Denoise*."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from magicgui.widgets import LineEdit

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.alignment import two_columns
from napari_ae_denoise._qt.at_once import AtOnce
from napari_ae_denoise._qt.axes_field import follow_axes
from napari_ae_denoise._qt.denoise_fields import (
    ON_RESULTS,
    PredictFields,
    level_field,
    output_fields,
)
from napari_ae_denoise._qt.device_view import DeviceHint
from napari_ae_denoise._qt.disk_results import Begun, Kept
from napari_ae_denoise._qt.filling import FillingLayer
from napari_ae_denoise._qt.finished import LastResult, add_results, record_of_layer
from napari_ae_denoise._qt.forms import (
    duration,
    fold,
    form,
    on_change,
)
from napari_ae_denoise._qt.latent_view import LatentView
from napari_ae_denoise._qt.layer_fields import layer_field
from napari_ae_denoise._qt.layers import HELPER, take, unwrapped
from napari_ae_denoise._qt.listening import listen, listen_to_chosen
from napari_ae_denoise._qt.live import LiveLayer
from napari_ae_denoise._qt.model_choice import ModelChoice
from napari_ae_denoise._qt.model_files import ModelFiles
from napari_ae_denoise._qt.model_saving import Chosen
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise._qt.result_strength import ResultStrength
from napari_ae_denoise._qt.result_tools import ResultTools
from napari_ae_denoise._qt.results import DenoiseChoices, Made, denoise_steps
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.status_line import short
from napari_ae_denoise._qt.worker import JobState
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from concurrent.futures import Future

    import napari

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise._qt.worker import MakeSteps
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.prediction import TileProgress


class DenoiseWidget(Panel):
    """Denoises an image layer with a model, tile by tile."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="&Denoise",
            stop="Cancel",
            tooltips=(
                "Run the model over the whole image.",
                "Cancel after the running tile and keep the finished ones.",
            ),
        )
        self.shelf = shelf_of(viewer)
        self.layer = layer_field(viewer, "layer", "Image", "The image layer to denoise.")
        self.axes = LineEdit(name="axes", label="Axes")
        self.models = ModelChoice(self.shelf, self)
        self.model = self.models.field
        self.files = ModelFiles(self._to_save, self.shelf)
        self.files.opened.connect(self.models.choose)
        self.files.said.connect(self.say)
        self.files.failed.connect(self.show_problem)
        self.denoised, self.latent, self.noise = outputs = output_fields()
        self.latents = LatentView(self.latent)
        self.how = how = PredictFields(ON_RESULTS)
        self.strength, self.correlated = how.strength, how.correlated
        self.device, self.tile = how.device, how.tile
        self.last = LastResult(viewer)
        self.after = ResultStrength(viewer, self.strength, self.last, self)
        self.after.said.connect(self.say)
        self.after.failed.connect(self.show_problem)
        self.tools = ResultTools(viewer, self.last)
        self.tools.said.connect(self.say)
        self.tools.failed.connect(self.show_problem)
        self.device_hint = DeviceHint(self.device)
        self.level = level_field(self.layer)
        self.filling = FillingLayer(viewer, self, self.job, self.last)
        self.live = LiveLayer(
            viewer,
            self,
            lambda: (self._choices(), self.chosen_layer(self.layer)),
            lambda: self.models.at_hand,
        )
        self.live.failed.connect(self.show_problem)
        self.at_once = AtOnce(self._source, self.shelf, lambda: self.model.value, how.settings)
        self.at_once.proposed.connect(self.models.follow_image)
        self.form = form(self.layer, self.axes, self.model)
        self.lay_out(
            self.form,
            self.at_once,
            self.files,
            two_columns(*outputs, self.live.switch),
            form(self.strength),
            self.latents,
            self.tools,
            self.device_hint,
            fold(
                "More settings",
                form(*how.ways, self.level, self.device, self.tile, *self.filling.fields),
            ),
            layer_fields=(self.layer,),
            remembered=(*outputs, self.latents.view, *how.ways),
        )
        follow_axes(self.layer, self.axes)
        self._follow(self.layer.value)
        listen(viewer, "layers.selection.events.active", self, "follow_selected")
        on_change([self.layer, self.axes, self.level], self.at_once.look)
        listen_to_chosen(self.layer, ("data", "scale", "units"), self.at_once, "look")
        timed = [self.model, self.device, self.tile, self.correlated, how.orientations]
        on_change(timed, self.at_once.time)
        shown = [self.layer, self.axes, self.level, self.strength, *how.ways]
        on_change([*shown, self.device, self.tile], self.live.restart)
        on_change([self.model], self._live_waits)
        self.at_once.opened.connect(self.live.use)
        self.at_once.look()

    # ---- the form

    def reset_choices(self, *args: Any) -> None:
        """Follow the viewer's layers; what is taken for want of another is nobody's choice."""
        before = self.layer.value
        super().reset_choices(*args)
        if self.layer.value is not before:
            self._follow(self.layer.value)
            if self.layer.value is None:  # what speaks of the last one would hold it
                self.live.switch.value = False
                self.layer.changed.emit(None)

    def _follow(self, layer: Any) -> None:
        """Remember what is chosen while nobody has chosen here; it may go meanwhile."""
        self._followed = None if layer is None else weakref.ref(unwrapped(layer))

    def follow_selected(self) -> None:
        """Choose the image that is selected in the viewer, until somebody chooses one here."""
        active = unwrapped(self.viewer.layers.selection.active)
        if active is None or HELPER in active.metadata or record_of_layer(active) is not None:
            return  # a result is selected for its buttons
        followed = None if self._followed is None else self._followed()
        if self.layer.value in (None, followed):
            self.reset_choices()  # it may have come just now
            if active in self.layer.choices:
                self.layer.value = active
                self._follow(active)

    def to_be_read(self) -> Future[Denoiser] | None:
        """Return the chosen model, if its file has to be read first."""
        return None if self.models.at_hand else self.models.reading()

    def read(self) -> DenoiseChoices:
        """Return what the form says."""
        choices = self._choices()
        if not (choices.denoised or choices.code or choices.noise):
            raise DenoisingError(
                "Nothing is chosen to be made.",
                "Tick the denoised image, the latent code or the removed noise.",
            )
        return choices

    def _choices(self) -> DenoiseChoices:
        """Return what the form says, even where it makes no layer: the live preview is one."""
        return DenoiseChoices(
            source=self._source(),
            denoiser=self.models.chosen(),
            settings=self.how.settings(),
            denoised=self.denoised.value,
            code=self.latent.value,
            noise=self.noise.value,
            latent_view=self.latents.view.value,
            model_file=self.shelf.file_of(self.model.value),
        )

    def _source(self) -> Source:
        return take(self.chosen_layer(self.layer), self.axes.value, self.level.value or 0)

    def prepare(self) -> MakeSteps:
        """Return the job of denoising."""
        choices = self.read()
        self.after.begin()
        to_disk = self.filling.job(choices, self.chosen_layer(self.layer))
        return to_disk or (lambda stop: denoise_steps(choices, stop))

    def _live_waits(self) -> None:
        """Show nothing of the model before while the chosen one is being read."""
        if not self.models.at_hand:
            self.live.wait()

    # ---- the job

    def show_state(self, state: JobState) -> None:
        """Say anew what a run will take, when one has taught it."""
        super().show_state(state)
        if state is JobState.IDLE and not self._left:
            self.at_once.time()

    def leave(self) -> None:
        """Take the line and the live layer away too."""
        super().leave()
        self.at_once.leave()
        self.tools.split.leave()
        self.live.switch.value = False

    def come_back(self) -> None:
        """Look at the image and open the model anew."""
        super().come_back()
        self.at_once.look()

    def show_progress(self, progress: TileProgress | Begun) -> None:
        """Show a tile, or the layer that tiles go into."""
        if isinstance(progress, Begun):
            self.show_notice(self.filling.begin(progress))
            return
        self.bar.show_progress(
            progress.done / progress.total,
            f"Tile {progress.done} of {progress.total}, {duration(progress.remaining)} left",
        )

    def show_result(self, result: Made | Kept) -> None:
        """Add the layers."""
        filled = None  # the denoised image, where it is a layer already
        if isinstance(result, Kept):
            filled = self.filling.end(result)
            result = Made(result.layers, result.summary, result.warning, origin=result.origin)
        self.latents.offer(result.scatter)
        added = add_results(self.viewer, result)
        for layer in [filled or added[0]] if added else []:  # what the buttons below are about
            self.last.made(layer)
            self.after.apply(layer)  # first: the slider follows what is selected
            self.viewer.layers.selection.active = layer
        names = ", ".join(f'"{short(layer.name)}"' for layer in added)
        said = [f"Added {names}."] if added else []
        self.bar.status.setText(" ".join([*said, result.summary, result.warning]).strip())
        if result.warning:
            self.show_warning(result.warning)

    def _to_save(self) -> Chosen:
        return Chosen(self.models.chosen(), self.model.value)
