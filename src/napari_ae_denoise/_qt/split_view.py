"""Before and after in one picture: a line that is dragged, the original on its left.

A layer over the result shows the part of the original that lies before the line. It is a view of
the original, not a copy, and uses nothing of napari that is not public: clipping planes, which
would do the same, are not drawn for images in two dimensions.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_ae_denoise._qt.drawings import keep_drawings
from napari_ae_denoise._qt.finished import LastResult, finished_of
from napari_ae_denoise._qt.layers import HELPER, unwrapped
from napari_ae_denoise._qt.listening import listen
from napari_ae_denoise._qt.seen import covering
from napari_ae_denoise._qt.selection import selection_kept
from napari_ae_denoise.axes import is_dask
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.strength import lazily

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.viewer import ViewerModel
    from qtpy.QtWidgets import QWidget

KEY = "B"
_PAUSE = 15  # milliseconds that moves of the mouse are gathered
_REACH = 8  # pixels of the screen around the line that it is gripped at
_LOOK = ("contrast_limits", "gamma", "colormap", "visible", "interpolation2d")
_LINKED = (*_LOOK, "scale", "translate", "rotate", "shear", "affine")
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


class SplitView(QObject):
    """Shows the original on the left of a line, and the result on its right.

    Parameters
    ----------
    viewer : Viewer
        Where to show it.
    last : LastResult
        Which result is meant.
    parent : QWidget
        Whose life it shares.
    """

    shown = Signal(bool)
    failed = Signal(object)  # DenoisingError

    def __init__(self, viewer: ViewerModel, last: LastResult, parent: QWidget) -> None:
        super().__init__(parent)
        self._viewer, self._last = weakref.ref(unwrapped(viewer)), last
        self._result: weakref.ref[Any] | None = None
        self._before: weakref.ref[Any] | None = None
        self._axis, self._at, self._split_at = -1, 0, 0
        self._drag = partial(_drag, weakref.ref(self))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._show_part)
        listen(viewer, "layers.events.removing", self, "keep_drawn")
        listen(viewer, "layers.events.removed", self, "look")
        self._hidden: list[weakref.ref[Any]] = []  # what would cover the line
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()  # layers, as the line began
        self._newest = QTimer(self)  # what comes is finished, and selected, a little later
        self._newest.setSingleShot(True)
        self._newest.timeout.connect(self._follow_newest)
        listen(viewer, "layers.events.inserted", self, "wait_for_newest")
        grid = "canvas.grid" if hasattr(unwrapped(viewer), "canvas") else "grid"  # since napari 0.9
        listen(viewer, f"{grid}.events.enabled", self, "look")
        self._bound = _bind(self, viewer)

    @property
    def layer(self) -> Any:
        """The layer that shows the original; None where there is none."""
        layer, viewer = None if self._before is None else self._before(), self._viewer()
        there = layer is not None and viewer is not None and layer in viewer.layers
        return layer if there else None

    @property
    def position(self) -> int:
        """How many pixels of the original are shown, along the axis that is split."""
        return self._at

    def set_shown(self, shown: bool) -> None:
        """Show the line in the middle of the image, or take it away."""
        if not shown:
            self._take_away()
        elif self.layer is None:
            self._start(0.5)
        elif self._at >= self._length():  # the key has shown all of the original
            self._split_at = 0
            self.move(self._length() / 2)
            self.shown.emit(True)

    def leave(self) -> None:
        """Take away the line, and give back the key: the panel is out of the window."""
        self.set_shown(False)
        viewer = self._viewer()
        if viewer is not None and self._bound:
            viewer.bind_key(KEY, None)
        self._bound = False

    def toggle(self) -> None:
        """Show all of the original; the next time, the result again, or the line where it was."""
        if self.layer is None:
            self._start(1.0)
        elif self._at < self._length():
            self._split_at, self._at = self._at, self._length()
            self._show_part()
        elif self._split_at:
            self.move(self._split_at)
        else:
            self._take_away()

    def move(self, position: float) -> None:
        """Put the line somewhere, in pixels of the image."""
        self._at = int(np.clip(round(position), 1, self._length()))
        self._timer.start()

    def keep_drawn(self) -> None:
        """Let the layers be drawn to the end, should they go: see `keep_drawings`."""
        if self.layer is not None and self._result is not None:
            keep_drawings(self._viewer(), [self.layer, self._result()])

    def look(self) -> None:
        """Go, where somebody has removed the layer or the result, or shows each layer apart."""
        viewer, result = self._viewer(), None if self._result is None else self._result()
        gone = viewer is None or result is None or result not in viewer.layers
        if self._before is not None and (self.layer is None or gone or _grid(viewer)):
            self._take_away()

    def wait_for_newest(self) -> None:
        """Look soon at the layers that come now."""
        if self.layer is not None:
            self._newest.start()

    def _follow_newest(self) -> None:
        """Go to a new result; make room for another image that covers the line."""
        viewer, layer = self._viewer(), self.layer
        if viewer is None or layer is None:
            return
        new = {one for one in viewer.layers if one not in self._known}
        self._known.update(new)
        share = self._at / self._length()
        to_result = self._last.get(finished_of) in new and share < 1
        if to_result or new.intersection(covering(viewer, layer)):
            self._take_away()
        if to_result:
            self._start(share)

    def near(self, event: Any) -> float | None:
        """Return where the mouse is along the split axis, if it is at the line; else None."""
        place, result = self.place(event), None if self._result is None else self._result()
        viewer = self._viewer()
        if place is None or viewer is None or result is None or viewer.dims.ndisplay != 2:
            return None
        zoom = getattr(viewer, "scene", viewer).camera.zoom
        away = abs(place - self._at) * abs(result.scale[self._axis]) * zoom  # pixels of the screen
        return place if away <= _REACH else None

    def place(self, event: Any) -> float | None:
        """Return where the mouse is along the split axis, in pixels of the image."""
        result = None if self._result is None else self._result()
        if self.layer is None or result is None:
            return None
        return float(result.world_to_data(event.position)[-result.ndim :][self._axis]) + 0.5

    def _length(self) -> int:
        result = None if self._result is None else self._result()
        if result is None:
            return 1
        return int(_levels(result.data)[0].shape[self._axis])

    def _start(self, fraction: float) -> None:
        viewer = self._viewer()
        try:
            result = self._last.denoised()
            if viewer is None or _grid(viewer):
                raise DenoisingError(
                    "The grid shows each layer apart, so no line can be drawn between two.",
                    "Switch off the grid (Ctrl+G) first.",
                )
        except DenoisingError as error:
            self.shown.emit(False)
            self.failed.emit(error)
            return
        self._result = weakref.ref(result)
        self._axis = viewer.dims.displayed[-1] - viewer.dims.ndim  # of the layer, from its end
        self._axis += result.ndim
        length = self._length()
        self._at, self._split_at = max(1, round(fraction * length)), 0
        self._add(viewer, result)
        self.shown.emit(fraction < 1)

    def _add(self, viewer: Any, result: Any) -> None:
        from napari.layers import Image

        look = {} if result.rgb else {"contrast_limits": result.contrast_limits}
        part = self._part()
        layer = Image(
            part,
            name=f"{result.name}: before",
            rgb=result.rgb,
            multiscale=isinstance(part, list),
            metadata={HELPER: True},
            **{name: getattr(result, name) for name in _PLACE},
            **look,
        )
        for name in _LOOK:
            if not (result.rgb and name in ("contrast_limits", "gamma", "colormap")):
                setattr(layer, name, getattr(result, name))
        for one in covering(viewer, result):
            one.visible = False
            self._hidden.append(weakref.ref(one))
        with selection_kept(viewer):
            viewer.layers.insert(viewer.layers.index(result) + 1, layer)
        viewer.layers.link_layers([result, layer], _LINKED)
        layer.bounding_box.points = False
        layer.bounding_box.line_color = "yellow"
        layer.bounding_box.line_thickness = 2
        layer.bounding_box.visible = True
        viewer.mouse_drag_callbacks.append(self._drag)
        self._before = weakref.ref(layer)
        self._known = weakref.WeakSet(viewer.layers)

    def _part(self) -> Any:
        """Return what lies before the line, of each level of the original."""
        finished = finished_of(None if self._result is None else self._result())
        if finished is None:
            return None
        levels = _levels(finished.before)
        share = self._at / levels[0].shape[self._axis]
        parts = []
        for level in levels:
            stop = max(1, round(share * level.shape[self._axis]))
            index = (*[slice(None)] * self._axis, slice(0, stop))
            here = level if isinstance(level, np.ndarray) or is_dask(level) else lazily(level)
            parts.append(here[index])
        return parts if isinstance(finished.before, list | tuple) else parts[0]

    def _show_part(self) -> None:
        layer = self.layer
        if layer is not None:
            layer.data = self._part()

    def _take_away(self) -> None:
        """Remove the layer and all that listens to the mouse."""
        self._timer.stop()
        layer, viewer = self.layer, self._viewer()
        result = None if self._result is None else self._result()
        self._before = self._result = None
        if viewer is not None and self._drag in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._drag)
        if viewer is not None and layer is not None:
            if result is not None:
                viewer.layers.unlink_layers([result, layer])
            viewer.layers.remove(layer)
        hidden, self._hidden = self._hidden, []
        for known in hidden:
            one = known()
            if one is not None and viewer is not None and one in viewer.layers:
                one.visible = True
        self.shown.emit(False)


def _grid(viewer: Any) -> bool:
    """Return whether a viewer shows each layer apart."""
    return bool(getattr(viewer, "canvas", viewer).grid.enabled)


def _levels(data: Any) -> list[Any]:
    """Return the levels of a layer's data; one where it is not multiscale."""
    return [data] if hasattr(data, "dtype") and hasattr(data, "ndim") else list(data)


def _drag(split: weakref.ref[SplitView], viewer: Any, event: Any) -> Generator[None, None, None]:
    """Follow the mouse from a press at the line to its release; napari's camera waits."""
    alive = split()
    if alive is None or event.button != 1 or alive.near(event) is None:
        return
    camera = getattr(viewer, "scene", viewer).camera
    panned, camera.mouse_pan = camera.mouse_pan, False
    event.handled = True
    yield
    while event.type == "mouse_move":
        place = alive.place(event)
        if place is not None:
            alive.move(place)
        event.handled = True
        yield
    camera.mouse_pan = panned


def _bind(split: SplitView, viewer: ViewerModel) -> bool:
    """Let a key of the viewer toggle; one that is taken stays so."""
    known = weakref.ref(split)

    def toggle(_viewer: Any) -> None:
        alive = known()
        if alive is not None:
            alive.toggle()

    try:
        unwrapped(viewer).bind_key(KEY, toggle)
    except ValueError:  # somebody else has it
        return False
    return True
