"""The strength slider: it acts on a finished result at once, and no network is run again."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_ae_denoise._qt.finished import LastResult, mixable, record_of_layer
from napari_ae_denoise._qt.forms import on_change
from napari_ae_denoise._qt.latest import Latest
from napari_ae_denoise._qt.layers import unwrapped
from napari_ae_denoise._qt.listening import listen
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.provenance import DENOISED, KEY

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator

    from napari.viewer import ViewerModel
    from qtpy.QtWidgets import QWidget

_PAUSE = 15  # milliseconds that moves of the slider are gathered


class ResultStrength(QObject):
    """Connects a slider with the result that is selected, or was made last.

    Parameters
    ----------
    viewer : Viewer
        Where the results are.
    field : FloatSlider
        Percent.
    last : LastResult
        Which result is meant.
    parent : QWidget
        Whose life it shares.
    """

    failed = Signal(object)  # DenoisingError
    said = Signal(str)  # why the strength of the selected result cannot be changed

    def __init__(self, viewer: ViewerModel, field: Any, last: LastResult, parent: QWidget) -> None:
        super().__init__(parent)
        self._field, self._last = field, last
        self._next = 1.0  # the strength of the result that comes
        self._mixing: weakref.WeakKeyDictionary[Any, _Mixing] = weakref.WeakKeyDictionary()
        self._told: weakref.WeakSet[Any] = weakref.WeakSet()  # of which it was said why not
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._apply_to_meant)
        on_change([field], self._timer.start)
        self._selection = unwrapped(viewer).layers.selection
        listen(viewer, "layers.selection.events.active", self, "follow")

    def begin(self) -> None:
        """Take the slider for the result that a run is to make, whatever it shows meanwhile."""
        self._next = self._field.value / 100

    def apply(self, layer: Any) -> None:
        """Give a new result the strength that its run began with, and show that."""
        if mixable(layer) is None:
            return
        if self._next != 1:
            self._apply(layer, self._next)
        with self._field.changed.blocked():
            self._field.value = 100 * self._next

    def follow(self) -> None:
        """Show the strength of the result that was selected."""
        active = self._selection.active
        record = record_of_layer(active)
        if record is not None and mixable(active) is not None:
            mixing = self._mixing.get(unwrapped(active))
            coming = mixing is not None and mixing.busy
            strength = mixing.strength if mixing is not None and coming else record["strength"]
            with self._field.changed.blocked():
                self._field.value = 100 * strength

    def _apply_to_meant(self) -> None:
        layer = self._last.get(mixable)
        if layer is not None:
            self._apply(layer, self._field.value / 100)
        else:
            self.begin()
            self._say_why_not()

    def _say_why_not(self) -> None:
        """Say once of each selected result that its strength cannot be changed."""
        active = unwrapped(self._selection.active)
        record = record_of_layer(active)
        if record is None or active in self._told:
            return
        self._told.add(active)
        why = "and only denoised images made here have one"
        if record["what"] == DENOISED and record.get("folder"):
            why = "for it is written to disk"
        self.said.emit(
            f'The strength of "{active.name}" cannot be changed, {why}. The slider counts for the '
            "next Denoise."
        )

    def _apply(self, layer: Any, strength: float) -> None:
        finished, target = mixable(layer), unwrapped(layer)
        if finished is None:
            return
        try:
            made = finished.at(strength)
        except DenoisingError as error:  # pragma: no cover (the slider goes from 0 to 100)
            self.failed.emit(error)
            return
        mixing = self._mixing.get(target)
        if callable(made):
            if mixing is None:
                mixing = self._mixing[target] = _Mixing(target, self)
                mixing.failed.connect(self.failed)
            mixing.ask(made, strength)
        else:
            if mixing is not None:
                mixing.drop()
            _show(target, made, strength)


class _Mixing(QObject):
    """A large result, which gets its strengths in a thread: of several at once, each its own.

    Parameters
    ----------
    layer : Image
        The result.
    parent : QObject
        Whose life it shares.
    """

    failed = Signal(object)  # DenoisingError

    def __init__(self, layer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._layer = weakref.ref(layer)
        self.strength = 1.0  # that was asked for last
        self._latest = Latest(self)
        self._latest.answered.connect(self._put)
        self._latest.failed.connect(self.failed)

    @property
    def busy(self) -> bool:
        """Whether the strength that was asked for last is on its way."""
        return self._latest.busy

    def ask(self, make: Callable[[], Any], strength: float) -> None:
        """Give the result another strength."""
        self.strength = strength
        self._latest.ask(lambda stop: _steps(make, stop))

    def drop(self) -> None:
        """Let the last question be."""
        self._latest.drop()

    def _put(self, data: Any) -> None:
        layer = self._layer()
        if layer is not None and data is not None:
            _show(layer, data, self.strength)


def _show(layer: Any, data: Any, strength: float) -> None:
    """Put what was mixed into a result, and say how strong it is."""
    layer.data = data
    record = record_of_layer(layer)
    if record is not None:
        layer.metadata[KEY] = {**record, "strength": strength}


def _steps(make: Callable[[], Any], stop: threading.Event) -> Generator[float, None, Any]:
    yield 0.0
    return None if stop.is_set() else make()
