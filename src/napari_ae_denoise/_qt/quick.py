"""The command *Denoise active layer*: one press, no panel."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from napari import current_viewer
from napari.utils import cancelable_progress
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, QTimer

from napari_ae_denoise._qt import needs_torch  # noqa: F401 (before what needs it)
from napari_ae_denoise._qt.disk_results import Begun, Kept
from napari_ae_denoise._qt.filling import FillingLayer
from napari_ae_denoise._qt.finished import add_results
from napari_ae_denoise._qt.glances import recall, remember
from napari_ae_denoise._qt.latest_model import LatestModel
from napari_ae_denoise._qt.layers import take, unwrapped
from napari_ae_denoise._qt.preferences import preference, preferred_device, use_threads
from napari_ae_denoise._qt.results import DenoiseChoices, Made, denoise_steps
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job
from napari_ae_denoise.bundled import bundled_names
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.glance import Glance, glance_steps
from napari_ae_denoise.prediction import TileProgress
from napari_ae_denoise.proposal import propose
from napari_ae_denoise.tile_runner import PredictSettings

if TYPE_CHECKING:
    from napari.viewer import ViewerModel

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise.denoiser import Denoiser

_LOOK = 200  # milliseconds between looks at napari's Cancel
_LONG = 7  # looks, after which it is said where the progress is
_running: set[QuickRun] = set()  # held here, for nothing else holds them


def denoise_active_layer() -> None:
    """Denoise the active layer with the model that fits it; a result becomes a new layer."""
    viewer = current_viewer()
    if viewer is None:
        return
    try:
        layer = viewer.layers.selection.active
        if layer is None and any(type(one).__name__ == "Image" for one in viewer.layers):
            raise DenoisingError("No layer is active.", "Click the image layer to denoise.")
        if any(run.is_of(layer) for run in _running):
            show_info(f'"{layer.name}" is being denoised already.')
            return
        QuickRun(viewer, layer, take(layer)).start()
    except DenoisingError as error:
        show_error(str(error))


class QuickRun(QObject):
    """One run, with napari's own progress and messages.

    Parameters
    ----------
    viewer : Viewer
        Where to show it.
    layer : Image
        What to denoise.
    source : Source
        A snapshot of it.
    """

    def __init__(self, viewer: ViewerModel, layer: Any, source: Source) -> None:
        super().__init__()
        self._viewer = weakref.ref(unwrapped(viewer))
        self._source, self._layer = source, unwrapped(layer)
        self._shelf = shelf_of(viewer)
        self._opening = LatestModel(self._shelf, self)
        self._opening.opened.connect(self._denoise)
        self._opening.failed.connect(self._show_problem)
        self.job = Job(self)
        self._filling = FillingLayer(viewer, self, self.job)
        self._progress: Any = None
        self._looks = 0
        self._timer = QTimer(self)  # napari calls nobody when Cancel is pressed
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._look)
        self.job.progressed.connect(self._show_progress)
        self.job.done.connect(self._show_result)
        self.job.failed.connect(self._show_problem)

    def is_of(self, layer: Any) -> bool:
        """Return whether this run denoises a layer."""
        return self._layer is unwrapped(layer)

    def start(self) -> None:
        """Look at the image, choose a model, and denoise."""
        _running.add(self)
        window = getattr(self._viewer(), "window", None)
        if window is not None:
            when_gone(window._qt_window, partial(_give_up, weakref.ref(self)))
        self._progress = cancelable_progress(total=100, desc=f"Denoising {self._source.name}")
        self._timer.start()
        image, axes = self._source.image, self._source.axes
        known = recall(image, axes)
        if known is None:
            self.job.start(lambda stop: glance_steps(image, axes, stop=stop))
        else:
            self._choose(known)

    def _choose(self, glance: Glance) -> None:
        """Open the model that fits."""
        remember(self._source.image, glance)
        names = self._shelf.names()
        fitting = propose(glance, bundled_names(), calibrated=self._source.calibrated)
        if names:
            self._opening.open(names[0] if fitting is None else fitting.name)
        else:
            error = DenoisingError("There is no model yet.", "Train one in the Train panel.")
            self._show_problem(error)

    def _denoise(self, denoiser: Denoiser) -> None:
        """Start the run."""
        use_threads()
        try:
            choices = DenoiseChoices(
                source=self._source,
                denoiser=denoiser,
                settings=PredictSettings(
                    tile=preference("denoise", "tile") or "auto", device=preferred_device()
                ),
                denoised=True,
                code=False,
                noise=False,
            )
            to_disk = self._filling.job(choices, self._layer)
            self.job.start(to_disk or (lambda stop: denoise_steps(choices, stop)))
        except DenoisingError as error:
            self._show_problem(error)

    def _look(self) -> None:
        self._looks += 1
        if self._looks == _LONG:
            show_info(
                f'Denoising "{self._source.name}": press "activity", at the lower right of the '
                "window, to see how far it is, or to cancel."
            )
        if self._progress.is_canceled:
            self.job.cancel()
            if self._opening.busy:  # between its two jobs
                self._opening.drop()
                self._end()

    def _show_progress(self, record: Any) -> None:
        if isinstance(record, Begun):
            show_info(self._filling.begin(record))
        elif isinstance(record, TileProgress):
            self._progress.update(100 * record.done // record.total - self._progress.n)

    def _show_result(self, result: Any) -> None:
        if isinstance(result, Glance):
            self._choose(result)
            return
        self._end()
        viewer = self._viewer()
        if viewer is None or result is None:  # closed, or cancelled before anything was made
            return
        if isinstance(result, Kept):
            self._filling.end(result)
            result = Made(result.layers, result.summary, result.warning, origin=result.origin)
        said = [f'Added "{layer.name}".' for layer in add_results(viewer, result)]
        show_info(" ".join([*said, result.summary]))
        if result.warning:
            show_warning(result.warning)

    def _show_problem(self, error: DenoisingError) -> None:
        self._end()
        show_error(str(error))

    def give_up(self) -> None:
        """Let go of everything, for the window has gone."""
        if self in _running:
            self.job.abandon()
            self._opening.drop()
            QTimer.singleShot(0, self._end)  # napari shows the end of a progress in the window

    def _end(self) -> None:
        self._timer.stop()
        self._progress.close()
        _running.discard(self)


def _give_up(held: weakref.ref[QuickRun]) -> None:
    run = held()
    if run is not None:
        run.give_up()
