"""The model that is chosen, read in a thread: a file may be large, or its disk slow to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_ae_denoise._qt.latest import Latest
from napari_ae_denoise._qt.opened_models import wait_for

if TYPE_CHECKING:
    from napari_ae_denoise._qt.shelf import Shelf


class LatestModel(QObject):
    """Gets one model of a shelf at a time; a new one takes its place.

    Parameters
    ----------
    shelf : Shelf
        Where the models are.
    parent : QObject
        Whose life it shares.
    """

    opened = Signal(object)  # Denoiser; at once, where no file has to be read
    failed = Signal(object)  # DenoisingError

    def __init__(self, shelf: Shelf, parent: QObject) -> None:
        super().__init__(parent)
        self._shelf = shelf
        self._latest = Latest(self)
        self._latest.answered.connect(self.opened)
        self._latest.failed.connect(self.failed)

    @property
    def busy(self) -> bool:
        """Whether a file is being read."""
        return self._latest.busy

    def open(self, name: str) -> None:
        """Get a model, and no other one any more."""
        self._latest.drop()
        here = self._shelf.at_hand(name)
        if here is not None:
            self.opened.emit(here)
            return
        found = self._shelf.reading(name)
        self._latest.ask(lambda stop: wait_for(found, stop))

    def drop(self) -> None:
        """Let the last one be."""
        self._latest.drop()
