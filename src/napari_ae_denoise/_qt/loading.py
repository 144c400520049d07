"""Imports that take seconds, while the window is drawn and its timers run."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from typing import TYPE_CHECKING

from napari import current_viewer
from qtpy.QtCore import QEventLoop, Qt, QThread
from qtpy.QtWidgets import QApplication

from napari_ae_denoise.quiet_imports import uncollected

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK = 0.01  # seconds between two looks at the window


def load(*names: str, said: str = "Loading …") -> None:
    """Import modules; what the user does meanwhile is done afterwards, as if it had come later.

    What is opened twice at once would be there twice, and so presses of keys and of the mouse wait.

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
    if not missing:
        return
    app = QApplication.instance()
    if not isinstance(app, QApplication) or QThread.currentThread() is not app.thread():
        _import_all(missing)
        return
    raised: list[BaseException] = []
    loading = threading.Thread(target=_import_all, args=(missing, raised), daemon=True)
    with _shown(said):
        loading.start()
        while loading.is_alive():
            app.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
            loading.join(_LOOK)
    for error in raised:
        raise error


def _import_all(names: list[str], raised: list[BaseException] | None = None) -> None:
    try:
        with uncollected():
            for name in names:
                importlib.import_module(name)
    except BaseException as error:
        if raised is None:
            raise
        raised.append(error)


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
