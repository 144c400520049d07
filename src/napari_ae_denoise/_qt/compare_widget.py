"""The panel *Compare*: PSNR and SSIM of layers against a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QApplication, QHeaderView, QPushButton, QTableWidget, QTableWidgetItem

from napari_ae_denoise._qt.forms import field, form, layer_field
from napari_ae_denoise._qt.layers import Source, take
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.metrics import data_range_of, psnr, ssim

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    import napari

    from napari_ae_denoise._qt.worker import MakeSteps

_COLUMNS = ["Layer", "PSNR (dB)", "SSIM"]


@dataclass(frozen=True, slots=True, eq=False)
class CompareChoices:
    """What the form says; ``data_range`` 0 is for the reference's own."""

    reference: Source
    images: tuple[Source, ...]
    data_range: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``problem`` says why there are no figures."""

    name: str
    psnr: float
    ssim: float
    problem: str = ""


class CompareWidget(Panel):
    """Says how near layers are to a reference."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="Compare",
            stop="Stop",
            tooltips=("Fill the table.", "Stop; finished lines stay."),
        )
        self.reference = layer_field(
            viewer, "reference", "Reference", "The clean image that the others should be like."
        )
        self.images = layer_field(
            viewer,
            "images",
            "Layers",
            "One or more layers of the reference's shape: press Ctrl or Shift to choose several.",
            several=True,
        )
        self.data_range = field(
            "data_range",
            0.0,
            "Data range",
            "Grey values from black to white, for both measures. 0 takes 255 for 8-bit images, "
            "else the largest minus the smallest value of the reference.",
            min=0.0,
            max=1e12,
        )
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.setMinimumHeight(160)
        self.copy = QPushButton("Copy table")
        self.copy.setToolTip("Copy the table as text, with tabs between the columns.")
        self.copy.clicked.connect(self.copy_table)
        self.form = form(self.reference, self.images, self.data_range)
        self.lay_out(self.form, self.table, self.copy, layer_fields=(self.reference, self.images))
        self.images.native.setMaximumHeight(120)

    def read(self) -> CompareChoices:
        """Return what the form says."""
        reference = take(self.chosen_layer(self.reference))
        chosen = [layer for layer in self.images.value if layer is not self.reference.value]
        if not chosen:
            raise DenoisingError(
                "No layer is chosen to compare with the reference.",
                "Choose one or more others in the list.",
            )
        return CompareChoices(
            reference, tuple(take(layer) for layer in chosen), self.data_range.value
        )

    def prepare(self) -> MakeSteps:
        """Return the job of comparing."""
        choices = self.read()
        return lambda stop: compare_steps(choices, stop)

    def show_progress(self, progress: float) -> None:
        """Show the finished part."""
        self.bar.show_progress(progress, f"{progress:.0%} of the layers")

    def show_result(self, result: tuple[float, list[Row]]) -> None:
        """Fill the table."""
        data_range, rows = result
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            cells = [row.name, _figure(row.psnr, 2), _figure(row.ssim, 4)]
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(row.problem or text)
                self.table.setItem(number, column, item)
        problems = [f"{r.name}: {r.problem}" for r in rows if r.problem]
        said = f"Data range {data_range:g} grey values."
        self.bar.status.setText(" ".join([said, *problems]))
        for problem in problems:
            self.show_warning(problem)

    def copy_table(self) -> None:
        """Put the table on the clipboard."""
        lines = [_COLUMNS, *self.rows()]
        QApplication.clipboard().setText("\n".join("\t".join(line) for line in lines))
        self.bar.status.setText("Copied.")

    def rows(self) -> list[list[str]]:
        """Return the table as text, line by line."""
        return [
            [self.table.item(row, column).text() for column in range(len(_COLUMNS))]
            for row in range(self.table.rowCount())
        ]


def _figure(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def compare_steps(
    choices: CompareChoices, stop: threading.Event
) -> Generator[float, None, tuple[float, list[Row]]]:
    """Compare layer by layer; return the data range and a line for each.

    A layer that cannot be compared gives a line that says why; the others go on.
    """
    reference, axes = np.asarray(choices.reference.image), choices.reference.axes or None
    data_range = choices.data_range or data_range_of(reference, axes)
    rows: list[Row] = []
    for source in choices.images:
        if stop.is_set():
            break
        image: Any = np.asarray(source.image)
        try:
            near = psnr(reference, image, data_range=data_range, axes=axes)
            alike = ssim(reference, image, data_range=data_range, axes=axes)
            rows.append(Row(source.name, near, alike))
        except DenoisingError as error:
            rows.append(Row(source.name, math.nan, math.nan, str(error)))
        yield len(rows) / len(choices.images)
    return data_range, rows
