"""Where things stand in a panel: labels in one column, tick boxes in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHANGES = (
    QEvent.Type.Show,
    QEvent.Type.StyleChange,
    QEvent.Type.FontChange,
    QEvent.Type.LayoutRequest,  # a label has another text: magicgui then sets its own width
)


class AlignedLabels(QObject):
    """Gives the labels of some forms one width, that of the widest; magicgui's own is too narrow.

    How wide a label is depends on napari's style sheet, which holds once the panel is shown.

    Parameters
    ----------
    shown : QWidget
        The widget that is shown with the forms in it; its life is shared.
    forms : iterable of Container
        Made by `forms.form`.
    """

    def __init__(self, shown: QWidget, forms: Iterable[Any]) -> None:
        super().__init__(shown)
        self._natives = [form.native for form in forms]
        shown.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the style."""
        if event.type() in _CHANGES:
            self.align()
        return bool(super().eventFilter(watched, event))

    def align(self) -> None:
        """Measure the labels, and widen all to the widest."""
        labels = [label for native in self._natives for label in _labels(native)]
        for label in labels:
            label.ensurePolished()
        widest = max((label.sizeHint().width() for label in labels), default=0)
        for label in labels:
            if label.minimumWidth() != widest:
                label.setMinimumWidth(widest)


def _labels(form: QWidget) -> list[QLabel]:
    """Return the labels of the rows of a form, and not what is in its fields."""
    direct = Qt.FindChildOption.FindDirectChildrenOnly
    rows = form.findChildren(QWidget, options=direct)
    return [label for row in rows for label in row.findChildren(QLabel, options=direct)]


def two_columns(*ticks: Any) -> QWidget:
    """Return tick boxes side by side, row by row."""
    made = QWidget()
    grid = QGridLayout(made)
    grid.setContentsMargins(0, 0, 0, 0)
    for number, tick in enumerate(ticks):
        grid.addWidget(tick.native, *divmod(number, 2))
    for column in range(2):
        grid.setColumnStretch(column, 1)
    return made
