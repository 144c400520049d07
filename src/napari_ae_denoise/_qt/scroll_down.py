"""The scrolled area of a panel: up and down only, and it can keep a part of it in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QPoint, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea
from superqt import QCollapsible

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent
    from qtpy.QtWidgets import QWidget

_SETTLED = 50  # milliseconds without a change of the layout
_CHANGES = (QEvent.Type.LayoutRequest, QEvent.Type.Resize)


class ScrollDown(QScrollArea):
    """Is never narrower than what is in it.

    Parameters
    ----------
    inside : QWidget
        What it shows a part of.
    """

    def __init__(self, inside: QWidget) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it has the focus
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._followed: QWidget | None = None
        self._settling = QTimer(self)
        self._settling.setSingleShot(True)
        self._settling.setInterval(_SETTLED)
        self._settling.timeout.connect(self._show_followed)
        self.setWidget(inside)
        inside.installEventFilter(self)
        self.verticalScrollBar().actionTriggered.connect(self.let_go)  # by the user, not by us
        for section in inside.findChildren(QCollapsible):
            section.toggled.connect(self.let_go)

    def follow(self, part: QWidget) -> None:
        """Scroll to a part, and again whenever the layout changes, until the user scrolls.

        What is above a part that is shown for the first time gets its height later, and a status
        of one line more makes the area smaller.
        """
        self._followed = part
        self._settling.start()

    def let_go(self, *_: Any) -> None:
        """Stay where it is."""
        self._followed = None

    def _show_followed(self) -> None:
        if self._followed is None:
            return
        # not ensureWidgetVisible: of a plot, which takes input, that shows the cursor's place only
        top = self._followed.mapTo(self.widget(), QPoint(0, 0)).y()
        for line in (top + self._followed.height(), top):
            self.ensureVisible(0, line, 0, 0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the least width of what is inside, and its changes."""
        if event.type() == QEvent.Type.LayoutRequest:
            bar = self.verticalScrollBar().sizeHint().width()
            self.setMinimumWidth(self.widget().minimumSizeHint().width() + bar)
        if event.type() in _CHANGES and self._followed is not None:
            self._settling.start()
        return bool(super().eventFilter(watched, event))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep what is followed in sight."""
        super().resizeEvent(event)
        if self._followed is not None:
            self._settling.start()
