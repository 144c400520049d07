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
        self._target: weakref.ref[Any] | None = None
        self._strength = 1.0
        self._told: weakref.WeakSet[Any] = weakref.WeakSet()  # of which it was said why not
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._apply_to_meant)
        self._mixing = Latest(parent)
        self._mixing.answered.connect(self._show)
        self._mixing.failed.connect(self.failed)
        on_change([field], self._timer.start)
        self._selection = unwrapped(viewer).layers.selection
        listen(viewer, "layers.selection.events.active", self, "follow")

    def apply(self, layer: Any) -> None:
        """Give a new result the strength of the slider."""
        if mixable(layer) is not None and self._field.value != 100:
            self._apply(layer)

    def follow(self) -> None:
        """Show the strength of the result that was selected."""
        active = self._selection.active
        record = record_of_layer(active)
        if record is not None and mixable(active) is not None:
            target = None if self._target is None else self._target()
            coming = self._mixing.busy and target is unwrapped(active)
            with self._field.changed.blocked():
                self._field.value = 100 * (self._strength if coming else record["strength"])

    def _apply_to_meant(self) -> None:
        layer = self._last.get(mixable)
        if layer is not None:
            self._apply(layer)
        else:
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

    def _apply(self, layer: Any) -> None:
        finished = mixable(layer)
        if finished is None:
            return
        self._strength = self._field.value / 100
        self._target = weakref.ref(unwrapped(layer))
        try:
            made = finished.at(self._strength)
        except DenoisingError as error:  # pragma: no cover (the slider goes from 0 to 100)
            self.failed.emit(error)
            return
        if callable(made):
            self._mixing.ask(lambda stop: _steps(made, stop))
        else:
            self._mixing.drop()
            self._show(made)

    def _show(self, data: Any) -> None:
        layer = None if self._target is None else self._target()
        if layer is None or data is None:
            return
        layer.data = data
        record = record_of_layer(layer)
        if record is not None:
            layer.metadata[KEY] = {**record, "strength": self._strength}


def _steps(make: Callable[[], Any], stop: threading.Event) -> Generator[float, None, Any]:
    yield 0.0
    return None if stop.is_set() else make()
