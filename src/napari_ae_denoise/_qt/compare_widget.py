"""The panel *Compare*: PSNR and SSIM of layers against a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from magicgui.widgets import LineEdit
from qtpy.QtWidgets import QApplication, QHeaderView, QPushButton, QTableWidget, QTableWidgetItem

from napari_ae_denoise._qt.forms import field, form, layer_field
from napari_ae_denoise._qt.layers import Source, full_resolution, take
from napari_ae_denoise._qt.panel import Panel, follow_axes
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.metrics import compare_steps, data_range_steps

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    import napari

    from napari_ae_denoise._qt.worker import MakeSteps

_COLUMNS = ["Layer", "PSNR (dB)", "SSIM"]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class CompareChoices:
    """What the form says; ``data_range`` 0 is for the reference's own.

    The images are names and arrays. The reference's axes are those of all.
    """

    reference: Source
    images: tuple[tuple[str, Any], ...]
    data_range: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``problem`` says why a figure is missing (NaN)."""

    name: str
    psnr: float
    ssim: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What came out: the lines that were finished, and the data range that they hold in."""

    data_range: float
    rows: tuple[Row, ...]
    stopped: bool


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
        self.axes = LineEdit(name="axes", label="Axes")
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
        self.form = form(self.reference, self.axes, self.images, self.data_range)
        self.lay_out(self.form, self.table, self.copy, layer_fields=(self.reference, self.images))
        follow_axes(self.reference, self.axes)
        self.images.native.setMaximumHeight(120)

    def read(self) -> CompareChoices:
        """Return what the form says."""
        reference = take(self.chosen_layer(self.reference), self.axes.value)
        chosen = [layer for layer in self.images.value if layer is not self.reference.value]
        if not chosen:
            raise DenoisingError(
                "No layer is chosen to compare with the reference.",
                "Choose one or more others in the list.",
            )
        images = tuple((layer.name, full_resolution(layer)) for layer in chosen)
        return CompareChoices(reference, images, self.data_range.value)

    def prepare(self) -> MakeSteps:
        """Return the job of comparing."""
        choices = self.read()
        return lambda stop: table_steps(choices, stop)

    def show_progress(self, progress: float) -> None:
        """Show the finished part."""
        self.bar.show_progress(progress, f"{progress:.0%} of the planes")

    def show_result(self, result: Table) -> None:
        """Fill the table."""
        self.table.setRowCount(len(result.rows))
        for number, row in enumerate(result.rows):
            cells = [row.name, _figure(row.psnr, 2), _figure(row.ssim, 4)]
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(row.problem or text)
                self.table.setItem(number, column, item)
        problems = [f"{r.name}: {r.problem}" for r in result.rows if r.problem]
        said = ["Stopped; finished lines stay."] if result.stopped else []
        if result.rows:
            said.append(f"Data range {result.data_range:g} grey values.")
        self.bar.status.setText(" ".join([*said, *problems]))
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


def table_steps(choices: CompareChoices, stop: threading.Event) -> Generator[float, None, Table]:
    """Compare layer by layer and plane by plane; `stop` is looked at after every plane.

    A layer that cannot be compared gives a line that says why; the others go on.
    """
    reference, axes = choices.reference.image, choices.reference.axes
    data_range = choices.data_range or None
    passes = len(choices.images) + (data_range is None)
    if data_range is None:
        data_range = yield from _pass(data_range_steps(reference, axes), stop, 0, passes)
    rows: list[Row] = []
    for name, image in choices.images:
        if data_range is None or stop.is_set():
            break
        steps = compare_steps(reference, image, data_range=data_range, axes=axes)
        done = passes - len(choices.images) + len(rows)
        try:
            near = yield from _pass(steps, stop, done, passes)
        except DenoisingError as error:
            rows.append(Row(name, math.nan, math.nan, str(error)))
            continue
        if near is None:
            break
        rows.append(Row(name, near.psnr, near.ssim, near.problem))
    return Table(data_range or math.nan, tuple(rows), stopped=len(rows) < len(choices.images))


def _pass(
    steps: Generator[float, None, Result], stop: threading.Event, done: int, passes: int
) -> Generator[float, None, Result | None]:
    """Go through planes; yield the finished part of all passes, return None if stopped."""
    while True:
        try:
            part = next(steps)
        except StopIteration as end:
            return end.value
        yield (done + part) / passes
        if part < 1 and stop.is_set():
            return None
