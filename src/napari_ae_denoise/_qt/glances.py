"""What was seen of images: found out in a thread, and remembered as long as they live."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_ae_denoise._qt.latest import Latest
from napari_ae_denoise.glance import Glance, glance_steps

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_ae_denoise._qt.layers import Source

_REMEMBERED = 32  # images
_seen: list[tuple[weakref.ref[Any], str, Glance]] = []  # the newest last


class LatestGlance(QObject):
    """Looks at one image at a time, in a thread; a new one takes its place.

    Parameters
    ----------
    parent : QWidget
        Whose life it shares.
    """

    seen = Signal(object)  # Glance; at once, where the image was looked at before
    failed = Signal(object)  # DenoisingError

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._image: Any = None
        self._latest = Latest(parent)
        self._latest.answered.connect(self._keep)
        self._latest.failed.connect(self.failed)

    @property
    def busy(self) -> bool:
        """Whether an image is being looked at."""
        return self._latest.busy

    def look(self, source: Source) -> None:
        """Look at an image, and at no other one any more."""
        self.drop()
        image, axes = source.image, source.axes
        known = recall(image, axes)
        if known is not None:
            self.seen.emit(known)
            return
        self._image = image
        self._latest.ask(lambda stop: glance_steps(image, axes, stop=stop))

    def drop(self) -> None:
        """Let the last image be."""
        self._latest.drop()
        self._image = None

    def _keep(self, glance: Glance | None) -> None:
        if glance is not None:
            remember(self._image, glance)
            self.seen.emit(glance)


def recall(image: Any, axes: str) -> Glance | None:
    """Return what was seen of an image, where it was looked at before."""
    for known, named, glance in _seen:
        same = image is not None and known() is image
        if same and named == axes and glance.shape == tuple(image.shape):
            return glance
    return None


def remember(image: Any, glance: Glance) -> None:
    """Remember what was seen of an image, as long as it lives."""
    if recall(image, glance.axes) is not None:
        return
    try:
        known = weakref.ref(image)
    except TypeError:  # some arrays cannot be held so
        return
    _seen[:] = [one for one in _seen if one[0]() is not None][1 - _REMEMBERED :]
    _seen.append((known, glance.axes, glance))
