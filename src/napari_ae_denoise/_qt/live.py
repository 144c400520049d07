"""Live mode: a layer that shows, denoised, just what is looked at."""

from __future__ import annotations

import atexit
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_ae_denoise import report
from napari_ae_denoise._qt.forms import field
from napari_ae_denoise._qt.layers import HELPER, add_image, unwrapped
from napari_ae_denoise._qt.live_view import Live
from napari_ae_denoise._qt.seen import placed, same, seen_region, standing
from napari_ae_denoise._qt.selection import selection_kept
from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import in_words, join_within
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.resolving import layout_for
from napari_ae_denoise.steps import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import ViewerModel

    from napari_ae_denoise._qt.results import DenoiseChoices
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.region import Region

_LOOK = 100  # milliseconds between looks at what is seen
_SECONDS_AT_EXIT = 3.0
_running: dict[threading.Thread, threading.Event] = {}  # and what stops each


class LiveLayer(QObject):
    """Follows the view: what is seen is denoised in a thread, and late answers are dropped.

    Parameters
    ----------
    viewer : Viewer
        Where to show it.
    parent : QObject
        Whose life it shares.
    read : callable
        Returns what the form says, and the layer, or raises a `DenoisingError`.
    ready : callable
        Returns whether the model has been opened; if not, `use` comes later.
    """

    failed = Signal(object)  # DenoisingError
    _answered = Signal(object, object, object)  # Live, Region, image; from the thread

    def __init__(
        self,
        viewer: ViewerModel,
        parent: QObject,
        read: Callable[[], tuple[DenoiseChoices, Any]],
        ready: Callable[[], bool],
    ) -> None:
        super().__init__(parent)
        self._viewer = unwrapped(viewer)  # behind a proxy layers are gone at once
        self._read, self._ready = read, ready
        self.switch = field(
            "live",
            False,
            "Live preview",
            "Show, denoised, what you look at, and follow the view. Nothing else is computed: of a "
            "view of more than 512 x 512 pixels its middle.",
        )
        self.switch.changed.connect(self._switch)
        self._live: Live | None = None
        self._used: Denoiser | None = None
        self._layer: weakref.ref[Any] | None = None
        self._wanted: Region | None = None
        self._busy = False
        self._shown: Region | None = None
        self._seen: Region | None = None  # of which something at least was asked for
        self._answered.connect(self._show)
        self._stops: list[threading.Event] = []  # of what is shown now
        when_gone(self, partial(_give_up, self._stops))
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._look)

    def _switch(self, on: bool) -> None:
        """Begin or stop; what cannot begin is switched off again."""
        self.restart()
        if on and self._live is None and self._ready():
            self.switch.value = False

    def restart(self, *_: Any) -> None:
        """Begin anew with what the form says; what is refused waits for the next change of it.

        A model that is being opened is waited for: see `use`.
        """
        if not self.switch.value:
            self.stop()
            return
        if not self._ready():
            self.wait()
            return
        try:
            choices, layer = self._read()
            source, spec = choices.source, choices.denoiser.card.network
            layout = layout_for(spec, source.image.shape, source.axes)
        except DenoisingError as error:
            self.stop()
            self.failed.emit(error)
            return
        layer = unwrapped(layer)
        live = Live(weakref.ref(layer), choices, layout, standing(layer))
        if self._live is not None and self._live.is_of(live):
            self._pause()  # the layer shows what it does until the new answer comes
        else:
            self.stop()
        self._live = live
        self._shown = self._seen = None
        self._stops.append(live.stop)
        self._timer.start()
        self._look()

    def use(self, denoiser: Denoiser) -> None:
        """Begin anew with another model than before, which the form says by now."""
        if denoiser is not self._used:
            self._used = denoiser
            if self.switch.value:
                self.restart()

    def wait(self) -> None:
        """Show nothing until it is known which model to `use`."""
        self.stop()
        self._used = None

    def stop(self) -> None:
        """Stop following; the layer goes, for it would show the past."""
        self._pause()
        layer = self._alive()
        if layer is not None:
            with selection_kept(self._viewer):
                self._viewer.layers.remove(layer)
        self._live = self._layer = None

    def _pause(self) -> None:
        """Ask for nothing any more, and wait for nothing."""
        self._timer.stop()
        _give_up(self._stops)
        self._wanted = None

    def _alive(self) -> Any:
        layer = None if self._layer is None else self._layer()
        return layer if layer is not None and layer in self._viewer.layers else None

    def _look(self) -> None:
        """Ask for what is seen now, unless it is shown or an answer is on its way."""
        if self._live is None or self._busy:
            return
        original = self._live.layer()
        removed = self._layer is not None and self._alive() is None
        if removed or original is None or original not in self._viewer.layers:
            self.switch.value = False
            return
        if not same(standing(original), self._live.standing):  # edited or moved
            self.restart()
            return
        region = seen_region(self._viewer, original, self._live.source, self._live.layout)
        if region is None or region == self._shown:
            return
        wanted = region if region == self._seen else self._live.soon(region)
        self._seen, self._wanted, self._busy = region, wanted, True
        answer = partial(_compute, self._live, wanted, weakref.ref(self))
        thread = threading.Thread(target=answer, name="napari-ae-denoise live", daemon=True)
        _running[thread] = self._live.stop
        thread.start()

    def _show(self, live: Live, region: Region, image: Any) -> None:
        self._busy = False
        if self._live is None or region != self._wanted or self._live is not live:
            return  # an answer to a question that nobody asks any more
        if isinstance(image, DenoisingError):
            self._end_with(image)
            return
        try:
            self._put(self._live, region, image)
        except Exception as error:  # noqa: BLE001 (logged, and said in the window)
            report.log(error)
            self._end_with(in_words(error))
            return
        self._look()

    def _put(self, live: Live, region: Region, image: Any) -> None:
        """Put an answer where it was looked at."""
        self._shown = region
        source, layer = live.source, self._alive()
        place = placed(source, live.layout, region)
        told = {HELPER: True, "normalization": live.normalization}
        if layer is None:
            made = source.denoised_layer(image, f"{source.name} live", told)
            with selection_kept(self._viewer):  # or napari's tools would act on this one
                self._layer = weakref.ref(add_image(self._viewer, **(made | place)))
        else:
            layer.data = image
            layer.translate = place["translate"]
            layer.metadata = told

    def _end_with(self, error: DenoisingError) -> None:
        """Switch off, and say why."""
        self.switch.value = False
        self.failed.emit(error)


def _give_up(stops: list[threading.Event]) -> None:
    """Let nobody wait for what is no longer wanted."""
    while stops:
        stops.pop().set()


def _compute(live: Live, region: Region, owner: weakref.ref[LiveLayer]) -> None:
    """Denoise a region and say so; runs in a thread of its own."""
    answer: Any = None
    try:
        answer = live.denoised(region)
    except Stopped:
        pass
    except DenoisingError as error:
        answer = error
    except Exception as error:  # noqa: BLE001 (said in the window)
        answer = in_words(error)
    _running.pop(threading.current_thread(), None)
    alive = owner()
    if alive is not None:
        try:
            alive._answered.emit(live, region, answer)
        except RuntimeError:  # its Qt part is gone
            return


@atexit.register
def _wait_for_the_last() -> None:
    """Let the running thread end before Python takes torch away from under it."""
    running = dict(_running)
    for stop in running.values():
        stop.set()
    join_within(_SECONDS_AT_EXIT, running)
