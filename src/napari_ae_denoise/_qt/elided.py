"""Long names in a closed choice: without their middle, where Qt would cut off their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QStyle, QStyleOptionComboBox, QStylePainter

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
        """Draw it as it draws itself, but for the text."""
        if event.type() != QEvent.Type.Paint:
            return bool(super().eventFilter(watched, event))
        box: QComboBox = watched
        option = QStyleOptionComboBox()
        box.initStyleOption(option)
        control, field = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = box.style().subControlRect(control, option, field, box).width()
        option.currentText = box.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideMiddle, room - _MARGIN
        )
        painter = QStylePainter(box)
        painter.drawComplexControl(control, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()
        return True


_MARGIN = 4  # pixels between the text and the edges of its field
