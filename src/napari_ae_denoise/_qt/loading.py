"""Imports and the like that take seconds, while the window is drawn and its timers run."""

from __future__ import annotations

import contextlib
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING

from napari import current_viewer
from qtpy.QtCore import QEventLoop, Qt, QThread
from qtpy.QtWidgets import QApplication

from napari_ae_denoise.quiet_imports import uncollected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK = 0.01  # seconds between two looks at the window


def load(*names: str, said: str = "Loading …") -> None:
    """Import modules, while the window is drawn.

    Parameters
    ----------
    *names : str
        Of the modules.
    said : str
        Stands in the window's status bar meanwhile.

    Raises
    ------
    Exception
        What the import of one of them raises.
    """
    missing = [name for name in names if name not in sys.modules]
    if missing:
        meanwhile(lambda: [import_module(name) for name in missing], said=said)


def meanwhile(work: Callable[[], object], *, said: str) -> None:
    """Do work that no user can stop in a thread, and return when it is done.

    What the user does meanwhile is done afterwards, as if it had come later: what is opened twice
    at once would be there twice, and so presses of keys and of the mouse wait.

    Parameters
    ----------
    work : callable
        What to do; it makes no objects of Qt.
    said : str
        Stands in the window's status bar meanwhile.

    Raises
    ------
    Exception
        What the work raises.
    """
    app = QApplication.instance()
    if not isinstance(app, QApplication) or QThread.currentThread() is not app.thread():
        with uncollected():
            work()
        return
    raised: list[BaseException] = []

    def do() -> None:
        try:
            with uncollected():
                work()
        except BaseException as error:  # noqa: BLE001 (raised where the work is awaited)
            raised.append(error)

    working = threading.Thread(target=do, daemon=True)
    with _shown(said):
        working.start()
        while working.is_alive():
            app.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
            working.join(_LOOK)
    for error in raised:
        raise error


@contextlib.contextmanager
def _shown(said: str) -> Iterator[None]:
    viewer = current_viewer()
    before = viewer and viewer.status
    QApplication.setOverrideCursor(Qt.CursorShape.BusyCursor)
    try:
        if viewer is not None:
            viewer.status = said
        yield
    finally:
        QApplication.restoreOverrideCursor()
        if viewer is not None:
            viewer.status = before
