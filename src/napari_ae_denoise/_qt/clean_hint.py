"""A line in the *Train* panel where an image that is given as clean is noisy."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_ae_denoise._qt.finished import record_of_layer
from napari_ae_denoise._qt.forms import note
from napari_ae_denoise._qt.glances import LatestGlance
from napari_ae_denoise._qt.layers import take
from napari_ae_denoise._qt.status_line import short
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_ae_denoise.glance import Glance


class CleanHint(QObject):
    """Looks at an image in a thread, and says what a noisy one does to a training.

    Parameters
    ----------
    parent : QWidget
        Whose life it shares.
    given : callable
        Returns the layer that is given as clean, or None, and its axes.
    """

    def __init__(self, parent: QWidget, given: Callable[[], tuple[Any, str]]) -> None:
        super().__init__(parent)
        self._given = given
        self._name = ""
        self.line = note()
        self.line.hide()
        self._looking = LatestGlance(parent)
        self._looking.seen.connect(self._show)

    def look(self) -> None:
        """Look at what is given now."""
        self.leave()
        self.line.hide()
        layer, axes = self._given()
        if layer is None:
            return
        if record_of_layer(layer) is not None:
            self._say(layer.name, "was made by a model.", "Another one would learn its faults.")
            return
        try:
            source = take(layer, axes)
        except DenoisingError:  # said when the training is started
            return
        self._name = source.name
        self._looking.look(source)

    def leave(self) -> None:
        """Find out nothing more."""
        self._looking.drop()

    def _show(self, glance: Glance) -> None:
        if glance.noisy:
            learned = f"{glance.noise_in_words} The model would learn to keep this noise."
            self._say(self._name, "is not clean.", learned)

    def _say(self, name: str, what: str, learned: str) -> None:
        self.line.setText(
            f'<b>"{html.escape(short(name))}" {what}</b> {learned} Choose "noisy images only" '
            "above, if you have no clean image."
        )
        self.line.show()
