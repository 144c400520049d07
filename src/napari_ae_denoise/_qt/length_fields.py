"""The fields that say for how long is trained: minutes, at a press, or epochs or steps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from magicgui.widgets import PushButton

from napari_ae_denoise._qt.forms import field, on_change, row

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_A_PRESS = (1, 5, 30)  # minutes
_ROOM = "min-width: 13ex"  # for 1000000 to be seen whole; a style, for napari's has another one
_UNITS: dict[str, Callable[[float], dict[str, Any]]] = {
    "minutes": lambda value: {"minutes": value},
    "epochs": lambda value: {"epochs": value},
    "steps": lambda value: {"steps": max(1, round(value))},
}


class LengthFields:
    """A number, its unit, and buttons for the usual times."""

    def __init__(self) -> None:
        self.length = field(
            "length", 2.0, "Train for", "How long, in the unit beside.", min=0.01, max=1e7
        )
        self.unit = field(
            "length_unit",
            "minutes",
            "",
            "Minutes; or epochs: passes over the images, at least 50 steps each; or steps.",
            choices=list(_UNITS),
        )
        self.presets = [self._preset(minutes) for minutes in _AT_A_PRESS]
        self.rows = (row("Train for", self.length, self.unit), row(" ", *self.presets))
        self.length.native.setStyleSheet(_ROOM)
        self.unit.native.setMinimumContentsLength(max(map(len, _UNITS)))
        on_change([self.unit], self._follow_unit)

    def _follow_unit(self) -> None:
        self.length.native.setDecimals(0 if self.unit.value == "steps" else 2)  # there is no half

    def _preset(self, minutes: int) -> PushButton:
        button = PushButton(
            text="1 minute" if minutes == 1 else f"{minutes} minutes",
            tooltip=f"Train for {minutes} minutes." if minutes > 1 else "Train for a minute.",
        )
        button.native.setMinimumWidth(20)  # or three of them would widen the panel
        button.changed.connect(partial(self.take, minutes))
        return button

    def take(self, minutes: float, *_: Any) -> None:
        """Put a time into the fields."""
        self.unit.value, self.length.value = "minutes", minutes

    def read(self) -> dict[str, Any]:
        """Return the length as `TrainSettings` takes it."""
        return _UNITS[self.unit.value](self.length.value)
