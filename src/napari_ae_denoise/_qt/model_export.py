"""The button that writes a model for other programs, in a thread."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog

from napari_ae_denoise._qt.writing_button import WritingButton
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.exports import FORMATS, export_model

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator

    from napari_ae_denoise.denoiser import Denoiser

_FILTERS = {f"{name} (*{ending})": ending for ending, name in FORMATS.items()}


class ExportButton(WritingButton):
    """Asks for a file, and writes the model there.

    Parameters
    ----------
    chosen : callable
        Returns the denoiser and a name for its file, or raises a `DenoisingError`.
    named : callable
        Returns a model's name as one that every system takes for a file, with an ending.
    """

    def __init__(
        self, chosen: Callable[[], tuple[Denoiser, str]], named: Callable[[str, str], str]
    ) -> None:
        super().__init__(
            "E&xport …",
            "Write the model for other programs: a package for bioimage.io, ONNX, or Keras (which "
            "takes networks such as classic).",
            begins="Exporting to",
            has="Exported",
        )
        self._chosen, self._named = chosen, named
        self.clicked.connect(self.ask)

    def ask(self) -> None:
        """Ask for a file and the program, and write the model."""
        try:
            denoiser, name = self._chosen()
        except DenoisingError as error:
            self.failed.emit(error)
            return
        dialog = QFileDialog(self, "Export model", self._named(name, ""))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters(list(_FILTERS))

        def follow(chosen: str) -> None:  # so that it asks before it replaces the real file
            dialog.setDefaultSuffix(_FILTERS[chosen])

        dialog.filterSelected.connect(follow)
        follow(dialog.selectedNameFilter())
        if dialog.exec():  # meanwhile another one may have been trained
            self.export(dialog.selectedFiles()[0], denoiser)
        dialog.deleteLater()

    def export(self, path: str | Path, denoiser: Denoiser | None = None) -> None:
        """Write a model; by default the one that is chosen now."""
        self.start(lambda: partial(_steps, denoiser or self._chosen()[0], Path(path)), path)


def _steps(denoiser: Denoiser, path: Path, _stop: threading.Event) -> Generator[None, None, Path]:
    yield
    return export_model(denoiser, path).absolute()
