"""The denoisers at hand in a viewer: bundled, trained or opened; shared by its panels."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_ae_denoise._qt.layers import unwrapped

if TYPE_CHECKING:
    from napari.viewer import ViewerModel

    from napari_ae_denoise.denoiser import Denoiser

_shelves: weakref.WeakKeyDictionary[ViewerModel, Shelf] = weakref.WeakKeyDictionary()


class Shelf(QObject):
    """Denoisers by name, the newest last."""

    changed = Signal(str)  # the name of the newest
    offered = Signal(object)  # a denoiser; may be emitted in any thread

    def __init__(self) -> None:
        super().__init__()
        self._denoisers: dict[str, Denoiser] = {}
        self._files: dict[str, str] = {}
        self._bundled: dict[str, Denoiser] = {}  # those that were opened
        self.offered.connect(self.add)

    def names(self) -> list[str]:
        """Return the names, the newest first, bundled models last."""
        from napari_ae_denoise.bundled import bundled_names

        return [*reversed(self._denoisers), *bundled_names()]

    def get(self, name: str) -> Denoiser:
        """Return a denoiser; a bundled one is opened."""
        from napari_ae_denoise.denoiser import Denoiser

        if name in self._denoisers:
            return self._denoisers[name]
        if name not in self._bundled:
            self._bundled[name] = Denoiser.load(name)
        return self._bundled[name]

    def name_of(self, denoiser: Denoiser) -> str:
        """Return the name that a denoiser of this shelf has."""
        return next(name for name, one in self._denoisers.items() if one is denoiser)

    def add(self, denoiser: Denoiser) -> str:
        """Take a denoiser under its own name, or that with a number; return the name."""
        base = name = denoiser.card.name or "model"
        taken, number = set(self.names()), 1
        while name in taken:
            number += 1
            name = f"{base} {number}"
        self._denoisers[name] = denoiser
        self.changed.emit(name)
        return name

    def open(self, path: str | Path) -> str:
        """Open a model file and take it under the file's name."""
        from napari_ae_denoise.denoiser import Denoiser

        name = self.add(Denoiser.load(Path(path)).renamed(Path(path).stem))
        self.in_file(name, path)
        return name

    def in_file(self, name: str, path: str | Path) -> None:
        """Remember which file a denoiser is in."""
        self._files[name] = str(Path(path).resolve())

    def file_of(self, name: str) -> str:
        """Return the file that a denoiser is in; empty for one in no file, and bundled ones."""
        return self._files.get(name, "")


def shelf_of(viewer: ViewerModel) -> Shelf:
    """Return the shelf of a viewer, the same for all its panels."""
    return _shelves.setdefault(unwrapped(viewer), Shelf())
