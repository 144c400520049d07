"""Doing something when a widget is gone, whoever takes it away."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject

_kept: set[Callable[..., None]] = set()


def when_gone(thing: QObject, call: Callable[[], None]) -> None:
    """Call something, once, when a Qt object is destroyed; it must not hold the object.

    Its parent may destroy it: then its signal ``destroyed`` says so. Or Python's garbage collector
    does. That empties what is garbage together with the object first, in any order: Qt then calls
    an emptied `functools.partial`, which ends the program, or nobody, for the connection was
    emptied too. So what is called is kept out of its reach, and the collector says it itself.
    """

    def gone(*_: Any) -> None:
        if gone in _kept:
            _kept.discard(gone)
            call()

    _kept.add(gone)
    thing.destroyed.connect(gone)
    weakref.finalize(thing, gone).atexit = False
