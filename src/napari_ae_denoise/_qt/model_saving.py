"""The buttons that write a model: as a file of the plugin's own, and for other programs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtWidgets import QFileDialog

from napari_ae_denoise._qt.preferences import memory
from napari_ae_denoise._qt.shelf import keep_used
from napari_ae_denoise._qt.writing_button import WritingButton, placed
from napari_ae_denoise.interop.exports import FORMATS, export_model
from napari_ae_denoise.model_file import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_ae_denoise._qt.shelf import Shelf
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.session_memory import SessionMemory

_MODELS = f"Models (*{SUFFIX})"
_FILTERS = {f"{name} (*{ending})": ending for ending, name in FORMATS.items()}


class Chosen(NamedTuple):
    """A denoiser and the name that it has on the shelf."""

    denoiser: Denoiser
    name: str


class ToSave(NamedTuple):
    """What is saved, and where it is remembered; None where nothing is."""

    denoiser: Denoiser
    name: str
    kept: SessionMemory | None


class SaveModelButton(WritingButton):
    """Saves the model that is chosen.

    Parameters
    ----------
    chosen : callable
        Returns it, or raises a `DenoisingError`.
    shelf : Shelf
        Remembers the files of saved models.
    """

    def __init__(self, chosen: Callable[[], Chosen], shelf: Shelf) -> None:
        super().__init__(
            "&Save model …", "Save the model as a .safetensors file.", write=_save_model
        )
        self._chosen, self._shelf = chosen, shelf

    def chosen(self) -> ToSave:
        """Return the model that is chosen."""
        return ToSave(*self._chosen(), memory())

    def dialog(self, what: ToSave) -> QFileDialog:
        """Return what asks where."""
        dialog = QFileDialog(self, "Save model", placed(file_name(what.name)), _MODELS)
        dialog.setDefaultSuffix(SUFFIX)  # so that it asks before it replaces the real file
        return dialog

    def written(self, what: ToSave, path: Path) -> str:
        """Let the shelf know the file too."""
        self._shelf.in_file(what.name, path)
        return super().written(what, path)


class ExportButton(WritingButton):
    """Writes the model that is chosen for other programs.

    Parameters
    ----------
    chosen : callable
        Returns it, or raises a `DenoisingError`.
    """

    def __init__(self, chosen: Callable[[], Chosen]) -> None:
        super().__init__(
            "E&xport …",
            "Write the model for other programs: a package for bioimage.io, ONNX, or Keras (which "
            "takes networks such as classic).",
            write=_export,
            begins="Exporting to",
            has="Exported",
        )
        self.chosen = chosen

    def dialog(self, what: Chosen) -> QFileDialog:
        """Return what asks where, and for which program."""
        dialog = QFileDialog(self, "Export model", placed(file_name(what.name, "")))
        dialog.setNameFilters(list(_FILTERS))

        def follow(chosen: str) -> None:  # so that it asks before it replaces the real file
            dialog.setDefaultSuffix(_FILTERS[chosen])

        dialog.filterSelected.connect(follow)
        follow(dialog.selectedNameFilter())
        return dialog


def file_name(name: str, ending: str = SUFFIX) -> str:
    """Return a model's name as one that every system takes for a file."""
    return (re.sub(r"[^\w.+ -]+", "_", name).strip(" .") or "model") + ending


def _save_model(what: ToSave, path: Path) -> Path:
    file = what.denoiser.save(path).resolve()
    keep_used(what.kept, what.denoiser, file, what.name)
    return file


def _export(what: Chosen, path: Path) -> Path:
    return export_model(what.denoiser, path).absolute()
