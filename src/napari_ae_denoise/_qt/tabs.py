"""Panels of one window as tabs: napari puts them below each other, where they would be cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


class Tabs(QTimer):
    """Joins a panel that was just docked with others of its kind at the same side; once.

    Where somebody moves it afterwards, it stays.

    Parameters
    ----------
    panel : QWidget
        Whose life it shares; to be started when the panel is docked.
    kind : type
        Whose docks it joins.
    """

    def __init__(self, panel: QWidget, kind: type[QWidget]) -> None:
        super().__init__(panel)
        self._panel, self._kind = panel, kind
        self.setSingleShot(True)
        self.setInterval(0)  # by then the dock has its place
        self.timeout.connect(self._join)

    def _join(self) -> None:
        dock, window = dock_of(self._panel), self._panel.window()
        if dock is None or not isinstance(window, QMainWindow) or dock.isFloating():
            return
        side = window.dockWidgetArea(dock)
        others = [dock_of(one) for one in window.findChildren(self._kind) if one is not self._panel]
        for other in others:
            if other is None or other.isFloating() or other.isHidden():
                continue
            if other is not dock and window.dockWidgetArea(other) == side:
                window.tabifyDockWidget(other, dock)
                dock.raise_()
                return


def dock_of(panel: QWidget) -> QDockWidget | None:
    """Return the dock that a panel is in."""
    parent = panel.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent
