"""A line in the *Train* panel where an image that is given as clean is noisy."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_ae_denoise._qt.at_once import recall, remember
from napari_ae_denoise._qt.forms import note
from napari_ae_denoise._qt.latest import Latest
from napari_ae_denoise._qt.layers import take
from napari_ae_denoise._qt.status_line import short
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.glance import glance_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_ae_denoise._qt.layers import Source
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
        self._source: Source | None = None
        self.line = note()
        self.line.hide()
        self._looking = Latest(parent)
        self._looking.answered.connect(self._show)

    def look(self) -> None:
        """Look at what is given now."""
        self.leave()
        self.line.hide()
        layer, axes = self._given()
        try:
            self._source = source = None if layer is None else take(layer, axes)
        except DenoisingError:  # said when the training is started
            return
        if source is None:
            return
        known = recall(source.image, source.axes)
        if known is None:
            image, letters = source.image, source.axes
            self._looking.ask(lambda stop: glance_steps(image, letters, stop=stop))
        else:
            self._show(known)

    def leave(self) -> None:
        """Find out nothing more."""
        self._looking.drop()

    def _show(self, glance: Glance | None) -> None:
        if glance is None or self._source is None:
            return
        remember(self._source.image, glance)
        name = html.escape(short(self._source.name))
        self.line.setText(
            f'<b>"{name}" is not clean.</b> {glance.noise_in_words} The model would learn to keep '
            'this noise. Choose "noisy images only" above, if you have no clean image.'
        )
        self.line.setVisible(glance.noisy)
