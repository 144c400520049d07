"""The denoisers at hand in a viewer: bundled, trained or opened; shared by its panels."""

from __future__ import annotations

import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_ae_denoise._qt.layers import unwrapped
from napari_ae_denoise._qt.opened_models import OpenedModels, there
from napari_ae_denoise._qt.preferences import memory
from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.session_memory import UsedModel

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator
    from concurrent.futures import Future

    from napari.viewer import ViewerModel

    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.session_memory import SessionMemory

_shelves: weakref.WeakKeyDictionary[ViewerModel, Shelf] = weakref.WeakKeyDictionary()


class Shelf(QObject):
    """Denoisers by name, the newest last."""

    changed = Signal(str)  # the name of the newest
    listed = Signal()  # names have come or gone, of which none is to be chosen
    offered = Signal(object)  # a denoiser; may be emitted in any thread

    def __init__(self) -> None:
        super().__init__()
        self._denoisers: dict[str, Denoiser] = {}
        self._files: dict[str, str] = {}
        self._opened = OpenedModels()  # of the bundled and the earlier ones
        self._earlier: dict[str, UsedModel] = {}
        self.offered.connect(self.add)
        kept = memory()
        for model in [] if kept is None else kept.models():
            self._earlier[self._free_name(model.name)] = model
        # a share that does not answer may take minutes to say so
        self._looking = Job(self)
        self._looking.done.connect(self._forget)
        when_gone(self, self._looking.abandon)
        paths = {name: model.path for name, model in self._earlier.items()}
        if paths:
            self._looking.start(lambda stop: _missing(paths, stop))

    def names(self) -> list[str]:
        """Return the names: the newest first, then bundled models, then those of old sessions."""
        from napari_ae_denoise.bundled import bundled_names

        here = set(self._files.values())
        earlier = [name for name, model in self._earlier.items() if model.path not in here]
        return [*reversed(self._denoisers), *bundled_names(), *earlier]

    def choices(self) -> list[tuple[str, str]]:
        """Return what to show and the name, of each; what is shown of old ones tells more."""
        return [(str(self._earlier.get(name, name)), name) for name in self.names()]

    def at_hand(self, name: str) -> Denoiser | None:
        """Return a denoiser for which no file has to be read; None for any other."""
        return self._denoisers.get(name) or self._opened.at_hand(name)

    def here(self, name: str) -> Denoiser:
        """Return a denoiser that is at hand: no file is read for this.

        Raises
        ------
        DenoisingError
            If it is not (yet).
        """
        found = self.at_hand(name)
        if found is None:
            raise DenoisingError(
                f'The model "{name}" is not open.',
                "Wait until it is; if it cannot be opened, the line under it says why.",
            )
        return found

    def reading(self, name: str) -> Future[Denoiser]:
        """Return a denoiser that may have to be read first, which is done in a thread.

        It ends in a `DenoisingError` if its file cannot be used (any more).
        """
        here = self.at_hand(name)
        if here is not None:
            return there(here)
        earlier = self._earlier.get(name)
        kept = None if earlier is None else memory()
        return self._opened.reading(name, partial(_load, name, earlier, kept))

    def name_of(self, denoiser: Denoiser) -> str:
        """Return the name that a denoiser of this shelf has."""
        return next(name for name, one in self._denoisers.items() if one is denoiser)

    def add(self, denoiser: Denoiser) -> str:
        """Take a denoiser under its own name, or that with a number; return the name."""
        name = self._take(denoiser)
        self.changed.emit(name)
        return name

    def take_opened(self, denoiser: Denoiser, path: Path, *, asked: bool = True) -> str:
        """Take a denoiser that was opened from a file, under its own name; return the name.

        It is only listed where another one was ``asked`` for since. The path is as for `in_file`.
        """
        for name in [name for name, one in self._earlier.items() if one.path == str(path)]:
            del self._earlier[name]  # it is here now
        name = self._take(denoiser)
        self.in_file(name, path)
        if asked:
            self.changed.emit(name)
        else:
            self.listed.emit()
        return name

    def _take(self, denoiser: Denoiser) -> str:
        name = self._free_name(denoiser.card.name or "model")
        self._denoisers[name] = denoiser
        return name

    def in_file(self, name: str, path: Path) -> None:
        """Say which file a denoiser is in: a path as `Path.resolve` has it.

        Sessions to come hear of it from the thread that read or wrote the file: `keep_used`.
        """
        self._files[name] = str(path)

    def file_of(self, name: str) -> str:
        """Return the file that a denoiser is in; empty for one in no file, and bundled ones."""
        earlier = self._earlier.get(name)
        return self._files.get(name, "" if earlier is None else earlier.path)

    def _forget(self, names: list[str]) -> None:
        """Offer models no longer whose files are gone."""
        for name in names:
            self._earlier.pop(name, None)
        if names:
            self.listed.emit()

    def _free_name(self, base: str) -> str:
        """Return a name, or that with a number."""
        name, number = base, 1
        while name in self._earlier or name in self.names():
            number += 1
            name = f"{base} {number}"
        return name


def _load(name: str, earlier: UsedModel | None, kept: SessionMemory | None) -> Denoiser:
    """Read a bundled model, or one of an earlier session, which is remembered as used last."""
    from napari_ae_denoise.denoiser import Denoiser

    if earlier is None:
        return Denoiser.load(name)
    denoiser = Denoiser.load(Path(earlier.path)).renamed(name)
    if kept is not None:
        kept.keep_model(earlier)
    return denoiser


def keep_used(kept: SessionMemory | None, denoiser: Denoiser, file: Path, name: str) -> None:
    """Remember a model file for sessions to come, which writes to the disk: not in the window."""
    if kept is not None:
        kept.keep_model(UsedModel.of_card(str(file), name, denoiser.card))


def _missing(paths: dict[str, str], stop: threading.Event) -> Generator[float, None, list[str]]:
    """Return the names of those whose files are gone."""
    names = []
    for name, path in paths.items():
        yield 0.0
        if stop.is_set():
            break
        if not _is_there(path):
            names.append(name)
    return names


def _is_there(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:
        return False


def shelf_of(viewer: ViewerModel) -> Shelf:
    """Return the shelf of a viewer, the same for all its panels."""
    owner = unwrapped(viewer)
    if owner not in _shelves:
        _shelves[owner] = Shelf()
    return _shelves[owner]
