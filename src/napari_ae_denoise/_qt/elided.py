"""Long names in a closed choice: without their middle, where Qt would cut off their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QStyle, QStyleOptionComboBox, QStylePainter, QToolTip

if TYPE_CHECKING:
    from qtpy.QtWidgets import QComboBox


class Elided(QObject):
    """Draws a combo box whose text fits, at any width.

    Parameters
    ----------
    box : QComboBox
        Which; its life is shared.
    """

    def __init__(self, box: QComboBox) -> None:
        super().__init__(box)
        box.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        box.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Draw it as it draws itself, but for the text; its tooltip begins with all of that."""
        if event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), _told(watched), watched)
            return True
        if event.type() != QEvent.Type.Paint:
            return bool(super().eventFilter(watched, event))
        box: QComboBox = watched
        option = QStyleOptionComboBox()
        box.initStyleOption(option)
        option.currentText = _fitting(box)
        painter = QStylePainter(box)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()
        return True


def _told(box: QComboBox) -> str:
    """Return the tooltip of a box: what is chosen, where its text is cut, and what it is for."""
    cut = _fitting(box) != box.currentText()
    return "\n\n".join(filter(None, [box.currentText() if cut else "", box.toolTip()]))


def _fitting(box: QComboBox) -> str:
    """Return the text of a box, without its middle where it has no room for it."""
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    control, field = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
    room = box.style().subControlRect(control, option, field, box).width()
    middle = Qt.TextElideMode.ElideMiddle
    return str(box.fontMetrics().elidedText(option.currentText, middle, room - _MARGIN))


_MARGIN = 4  # pixels between the text and the edges of its field
