"""Keeping what napari draws layers with a little longer than the layers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGER = 2000  # milliseconds, in which napari has drawn what is left


def keep_drawings(viewer: Any, layers: Iterable[Any]) -> None:
    """Keep the drawings of layers that go now until napari has drawn without them.

    Two layers that go one soon after the other, one of them with a bounding box, end the program in
    the next drawing (napari 0.9.2 with Mesa's software rendering, without this plugin, too): what
    was on the graphics card for the first is taken away too early. Where napari's insides are
    others, nothing is kept.

    Parameters
    ----------
    viewer : Viewer
        Not behind napari's proxy.
    layers : iterable of Layer
        Which are still in the viewer.
    """
    held: list[Any] = []
    with contextlib.suppress(AttributeError, KeyError, TypeError):
        canvas = viewer.window._qt_viewer.canvas
        for layer in layers:
            drawing = canvas.layer_to_visual[layer]
            held += [drawing, drawing.node]
            held += canvas._layer_overlay_to_visual[layer].values()
    if held:
        QTimer.singleShot(_LONGER, held.clear)
