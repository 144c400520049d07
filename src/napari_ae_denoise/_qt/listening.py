"""Listening to a viewer without holding it, or being held by it."""

from __future__ import annotations

import weakref
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from napari_ae_denoise._qt.forms import on_change
from napari_ae_denoise._qt.layers import unwrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import ViewerModel
    from qtpy.QtCore import QObject


def listen(viewer: ViewerModel, event: str, owner: QObject, react: str) -> None:
    """Call a method at an event of a viewer, as long as its object lives.

    Parameters
    ----------
    viewer : Viewer
        Whose event it is.
    event : str
        Such as ``"layers.selection.events.active"``.
    owner : QObject
        Whose method to call.
    react : str
        Name of the method, which is called without arguments.

    Notes
    -----
    The viewer keeps the listener, which does nothing once the object is gone.
    """
    listener = partial(_call, weakref.ref(owner), react)
    attrgetter(event)(unwrapped(viewer)).connect(listener)


def listen_to_chosen(field: Any, events: Sequence[str], owner: object, react: str) -> None:
    """Call a method at events of the layer that is chosen in a field, as long as its object lives.

    Parameters
    ----------
    field : magicgui widget
        Its value is a layer, or None.
    events : sequence of str
        Of the layer, such as ``"data"``.
    owner : object
        Whose method to call.
    react : str
        Name of the method, which is called without arguments.
    """
    listener = partial(_call, weakref.ref(owner), react)
    heard: list[weakref.ref[Any]] = []

    def follow() -> None:
        for layer in filter(None, [known() for known in heard]):
            for event in events:
                getattr(layer.events, event).disconnect(listener)
        heard.clear()
        layer = unwrapped(field.value)
        if layer is not None:
            heard.append(weakref.ref(layer))
            for event in events:
                getattr(layer.events, event).connect(listener)

    on_change([field], follow)
    follow()


def _call(owner: weakref.ref[Any], react: str, *_: Any) -> None:
    alive = owner()
    if alive is not None:
        try:
            getattr(alive, react)()
        except RuntimeError:  # its Qt part is gone
            return
