"""Listening to a viewer without holding it, or being held by it."""

from __future__ import annotations

import weakref
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from napari_ae_denoise._qt.layers import unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import ViewerModel
    from qtpy.QtCore import QObject


def listen(viewer: ViewerModel, event: str, owner: QObject, react: str) -> Callable[[], None]:
    """Call a method at an event of a viewer, as long as the object lives.

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

    Returns
    -------
    callable
        Ends it.
    """
    viewer = unwrapped(viewer)
    listener = partial(_call, weakref.ref(owner), react)
    attrgetter(event)(viewer).connect(listener)
    end = partial(_end, weakref.ref(viewer), event, listener)
    owner.destroyed.connect(end)
    return end


def _call(owner: weakref.ref[Any], react: str, *_: Any) -> None:
    alive = owner()
    if alive is not None:
        getattr(alive, react)()


def _end(
    viewer: weakref.ref[ViewerModel], event: str, listener: Callable[..., None], *_: Any
) -> None:
    alive = viewer()
    if alive is not None:
        attrgetter(event)(alive).disconnect(listener)
