"""Form fields: magicgui widgets made one by one, and the parts that panels share."""

from __future__ import annotations

import math
import weakref
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from magicgui.widgets import ComboBox, Container, LineEdit, create_widget
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_ae_denoise._qt.alignment import AlignedLabels
from napari_ae_denoise._qt.elided import Elided
from napari_ae_denoise._qt.preferences import prefer
from napari_ae_denoise._qt.status_line import StatusLine
from napari_ae_denoise._qt.worker import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GREY, _PERCENT = "grey values", "% of the data range"


def field(name: str, value: Any, label: str, tooltip: str, **options: Any) -> Any:
    """Return a widget for a value: a number, a text, a flag, or one of ``choices``.

    What a float shows in place of its least value is ``automatic``; superqt's box of integers
    cannot show another text.

    magicgui's form of a whole dataclass drops the defaults, so fields are made one by one.
    """
    annotation = options.pop("annotation", type(value))
    automatic = options.pop("automatic", "")
    made = create_widget(
        value=value,
        annotation=Annotated[annotation, {"tooltip": tooltip, **options}],
        name=name,
        label=label,
    )
    if automatic:
        made.native.setSpecialValueText(automatic)
    return made


def unit_field(tooltip: str) -> ComboBox:
    """Return a choice between grey values and percent of the data range."""
    return field("unit", _GREY, "Unit", tooltip, choices=[_GREY, _PERCENT])


def read_unit(unit: ComboBox) -> tuple[bool, float]:
    """Return whether numbers in a chosen unit are relative to the data range, and their factor.

    The factor makes fractions of percent and leaves grey values as they are.
    """
    return (True, 0.01) if unit.value == _PERCENT else (False, 1.0)


def suggest_noise(dtype: Any, unit: ComboBox, *fields: Any, grey: Any, percent: Any) -> None:
    """Fill in the usual noise of a dtype, if nobody has changed that of the other kind.

    Parameters
    ----------
    dtype : dtype
        Of the image. Grey values say something of 8-bit images only.
    unit : ComboBox
        See `unit_field`.
    *fields
        What is filled in.
    grey, percent : tuple
        Their usual values in the two units.
    """
    eight_bit = np.dtype(dtype) == np.uint8
    suggest((unit, *fields), (_PERCENT, *percent), (_GREY, *grey), second=eight_bit)


def suggest(
    fields: Sequence[Any], one: Sequence[Any], other: Sequence[Any], *, second: bool
) -> None:
    """Fill in one of two sets of usual values, if the fields hold the other set."""
    held, wanted = (one, other) if second else (other, one)
    if [field.value for field in fields] == [*held]:
        for field, value in zip(fields, wanted, strict=True):
            field.value = value


def form(*fields: Any) -> Container:
    """Return labelled rows of fields."""
    made = Container(widgets=fields, labels=True)
    made.margins = (0, 0, 0, 0)
    for widget in fields:
        _let_shrink(widget)
    return made


def row(label: str, *fields: Any) -> Container:
    """Return several fields that share one labelled row."""
    made = Container(widgets=fields, labels=False, layout="horizontal", label=label)
    made.margins = (0, 0, 0, 0)
    for widget in fields:
        _let_shrink(widget)
    return made


def note() -> QLabel:
    """Return a line of explanation that is wrapped, never cut."""
    label = QLabel()
    label.setWordWrap(True)
    label.setContentsMargins(6, 0, 6, 4)
    label.setMinimumWidth(1)  # a long word widens no panel
    return label


def _let_shrink(widget: Any) -> None:
    """Let long layer and model names be shortened, rather than the panel widened."""
    native = widget.native
    if isinstance(native, QComboBox):
        native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        native.setMinimumContentsLength(10)
        Elided(native)


def fold(title: str, *contents: Any) -> QCollapsible:
    """Return a section that is folded away until it is pressed."""
    # the arrow is a part of the text: as an icon it would be dark on napari's dark theme
    pixel = QPixmap(1, 1)  # an empty QIcon is false in PySide6, and superqt takes it for none
    pixel.fill(Qt.GlobalColor.transparent)
    section = QCollapsible(f"▸ {title}", collapsedIcon=QIcon(pixel), expandedIcon=QIcon(pixel))
    section.toggleButton().setIconSize(QSize(0, 0))
    section.setDuration(0)
    section.layout().setContentsMargins(0, 0, 0, 0)
    section.toggled.connect(partial(_turn_arrow, weakref.ref(section), title))
    for content in contents:
        section.addWidget(getattr(content, "native", content))
    AlignedLabels(section, [content for content in contents if isinstance(content, Container)])
    section.content().hide()  # what has no height only is still reached by the Tab key
    return section


def _turn_arrow(section: weakref.ref[QCollapsible], title: str, unfolded: bool) -> None:
    alive = section()
    if alive is not None:
        alive.setText(f"{'▾' if unfolded else '▸'} {title}")
        alive.content().setVisible(unfolded)


def duration(seconds: float) -> str:
    """Return a time in words: "8 s", "3 min 20 s", "2 h 5 min"."""
    if not math.isfinite(seconds):
        return "an unknown time"
    if seconds < 1:
        return "less than a second"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        exact = whole < 600 and whole % 60
        return f"{whole // 60} min {whole % 60} s" if exact else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


_STOPPING = {"Stop": "Stopping …", "Cancel": "Cancelling …"}  # what each button is answered by


class JobBar(QWidget):
    """Start and stop buttons, progress, and one line that says what is going on."""

    def __init__(self, start: str, stop: str, tooltips: Sequence[str]) -> None:
        super().__init__()
        self.start_button, self.stop_button = QPushButton(start), QPushButton(stop)
        self._stopping = _STOPPING[stop]
        for button, tooltip in zip((self.start_button, self.stop_button), tooltips, strict=True):
            button.setToolTip(tooltip)
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(10)
        self.status = StatusLine()
        self._buttons = buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.start_button, 2)
        buttons.addWidget(self.stop_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.status)
        self.show_state(JobState.IDLE)

    def add_button(self, text: str, tooltip: str) -> QPushButton:
        """Put another button between the one that starts and the one that stops."""
        button = QPushButton(text)
        button.setToolTip(tooltip)
        self._buttons.insertWidget(1, button, 1)
        return button

    def show_state(self, state: JobState) -> None:
        """Enable what can be pressed now."""
        idle, running = state is JobState.IDLE, state is JobState.RUNNING
        focused = any(w.hasFocus() for w in (self.start_button, self.stop_button, self.status))
        self.start_button.setEnabled(idle or focused)
        self.stop_button.setEnabled(running or focused)
        if focused:  # or it would go to the first field, and the panel would scroll there
            (self.start_button if idle else self.stop_button if running else self.status).setFocus()
        self.start_button.setEnabled(idle)
        self.stop_button.setEnabled(running)
        self.progress.setRange(0, 1000)
        if idle:
            self.progress.setValue(0)
        if state is JobState.CANCELLING:
            self.status.setText(self._stopping)

    def show_progress(self, fraction: float, text: str) -> None:
        """Show how far the job is (0 to 1) and a line of text."""
        # a bar draws itself at once, and with it the whole window that holds napari's canvas, ten
        # times a second; so it is drawn with whatever else is drawn next
        self.progress.setUpdatesEnabled(False)
        self.progress.setValue(round(1000 * min(max(fraction, 0.0), 1.0)))
        self.progress.setUpdatesEnabled(True)
        self.status.setText(text)


def on_change(widgets: Sequence[Any], react: Callable[[], None]) -> None:
    """Call a function without arguments whenever one of some magicgui widgets changes.

    A method is not kept alive by this, a function is; so a closed panel is let go by PySide6, too.
    """
    for widget in widgets:
        widget.changed.connect(react, max_args=0)


def device_field() -> ComboBox:
    """Return a choice among the devices that there are, with their free memory."""
    from napari_ae_denoise.devices import available_devices

    choices = [
        ("automatic", "auto"),
        *((str(d), d.name) for d in available_devices(measured=False)),
    ]
    made = ComboBox(
        name="device",
        label="Device",
        tooltip="Where to compute. Automatic takes a GPU if there is one.",
        choices=choices,
        value="auto",
    )
    prefer(made, "computing", "device")
    return made


def disk_fields() -> tuple[Any, Any]:
    """Return above which size images are denoised to disk, and into which folder."""
    limit = field(
        "limit",
        2.0,
        "To disk above (GB)",
        "Larger images, and those that do not fit well into memory, are written to a zarr folder "
        "tile by tile, what you look at first. Cancel keeps what is done; the same again goes on.",
        min=0.0,
        max=1e6,
        step=0.5,
    )
    folder = LineEdit(
        name="folder",
        label="In folder",
        tooltip="Where to write large images. Empty: beside the image, or in a temporary folder "
        "where that is not possible.",
    )
    folder.native.setPlaceholderText("beside the image")
    for made in (limit, folder):
        prefer(made, "denoise", made.name)
    return limit, folder
