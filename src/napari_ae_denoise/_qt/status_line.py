"""The line of a panel that says what is going on."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocumentFragment
from qtpy.QtWidgets import QLabel

_LONGEST = 40  # characters of a name


class StatusLine(QLabel):
    """Is wrapped, can be copied, and never widens the panel: what is cut stands in its tooltip."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setMinimumWidth(1)  # or the longest word of a text would be the panel's least width
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def setText(self, text: str) -> None:
        """Show a text, and all of it in the tooltip where it has a long word."""
        super().setText(text)
        plain = QTextDocumentFragment.fromHtml(text).toPlainText() if "<b>" in text else text
        long = any(len(word) > _LONGEST for word in plain.split())
        self.setToolTip(plain if long else "")


def unfinished(part: float, *, broken: bool = False) -> str:
    """Return the end of the name of a layer of which a part, 0 to 1, is made; empty for all."""
    how = "broken off" if broken else "cancelled"
    return "" if part == 1 else f" ({how} at {part:.0%})"


def short(name: str) -> str:
    """Return a name that fits into a sentence: a long one without its middle."""
    half = (_LONGEST - 1) // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"
