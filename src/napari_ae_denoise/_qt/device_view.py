"""Free memory of the devices, and a GPU that is not used: found out in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ae_denoise._qt.forms import note
from napari_ae_denoise._qt.latest import Latest
from napari_ae_denoise.devices import available_devices, unused_gpu

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from magicgui.widgets import ComboBox

    from napari_ae_denoise.devices import DeviceInfo


class DeviceHint(QWidget):
    """A line on a GPU that is here and not used; it also adds the free memory to a field.

    Parameters
    ----------
    field : ComboBox
        The choice of a device.
    """

    def __init__(self, field: ComboBox) -> None:
        super().__init__()
        self._field = field
        self.text = note()
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.text)
        self.hide()
        self._asking = Latest(self)
        self._asking.answered.connect(self._show)
        self._asking.ask(_look)

    def _show(self, answer: tuple[list[DeviceInfo], str]) -> None:
        devices, hint = answer
        chosen: Any = self._field.value
        names = [device.name for device in devices]
        with self._field.changed.blocked():
            self._field.choices = [("automatic", "auto"), *((str(d), d.name) for d in devices)]
            self._field.value = chosen if chosen in names else "auto"
        self.text.setText(hint)
        self.setVisible(bool(hint))


def _look(_stop: threading.Event) -> Generator[float, None, tuple[list[DeviceInfo], str]]:
    yield 0.0
    return available_devices(), unused_gpu()
