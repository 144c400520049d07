"""The table of the *Compare* panel, and the buttons that take it along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ae_denoise.comparison import COLUMNS

if TYPE_CHECKING:
    from napari_ae_denoise.comparison import Table

_LEAST_HEIGHT = 160
_ROOM = 8  # above and below the text of a line
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class CompareTable(QWidget):
    """Shows a `Table`, the best figures in bold; copies it as text or as Markdown."""

    said = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.shown: Table | None = None
        self.grid = grid = QTableWidget(0, len(COLUMNS))
        grid.setHorizontalHeaderLabels(COLUMNS)
        grid.verticalHeader().hide()
        grid.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        grid.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        grid.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        grid.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        grid.setWordWrap(False)
        grid.setTabKeyNavigation(False)  # or the key Tab would never leave the table
        grid.verticalHeader().setDefaultSectionSize(grid.fontMetrics().height() + _ROOM)
        grid.setMinimumHeight(_LEAST_HEIGHT)
        self.copy = _button(
            "Cop&y", "Copy the table with tabs between the columns, as spreadsheets take it."
        )
        self.copy_markdown = _button("Copy Mar&kdown", "Copy the table as Markdown.")
        self.save = _button(
            "Save p&icture …",
            "Save a picture: one plane of each side by side, or pairs of a stack, as chosen above.",
        )
        self.copy.clicked.connect(self._copy_text)
        self.copy_markdown.clicked.connect(self._copy_markdown)
        buttons = QHBoxLayout()
        for button in (self.copy, self.copy_markdown, self.save):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(grid)
        layout.addLayout(buttons)

    def show_table(self, table: Table) -> None:
        """Fill the grid."""
        self.shown = table
        self.grid.setRowCount(len(table.rows))
        best = [_best([r.psnr for r in table.rows]), _best([r.ssim for r in table.rows])]
        for number, row in enumerate(table.rows):
            for column, text in enumerate(row.cells()):
                item = QTableWidgetItem(text)
                item.setToolTip(row.problem or text)
                if column:
                    item.setTextAlignment(_RIGHT)
                    font = item.font()
                    font.setBold(number == best[column - 1])
                    item.setFont(font)
                self.grid.setItem(number, column, item)
        for button in (self.copy, self.copy_markdown, self.save):
            button.setEnabled(bool(table.rows))

    def rows(self) -> list[list[str]]:
        """Return the table as text, line by line."""
        columns = range(len(COLUMNS))
        return [
            [self.grid.item(row, column).text() for column in columns]
            for row in range(self.grid.rowCount())
        ]

    def _copy_text(self) -> None:
        self._put("" if self.shown is None else self.shown.as_text())

    def _copy_markdown(self) -> None:
        self._put("" if self.shown is None else self.shown.as_markdown())

    def _put(self, text: str) -> None:
        QApplication.clipboard().setText(text)
        self.said.emit("Copied.")


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.setEnabled(False)
    return button


def _best(values: list[float]) -> int | None:
    """Return the place of the largest number; None where there is nothing to compare."""
    known = np.array(values, float)
    return int(np.nanargmax(known)) if np.isfinite(known).sum() > 1 else None
