"""The button that saves a result as an image file, with axes and pixel size, in a thread."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog

from napari_ae_denoise._qt.disk_places import placement_of, too_large
from napari_ae_denoise._qt.filling import is_filling
from napari_ae_denoise._qt.layers import take
from napari_ae_denoise._qt.model_saving import file_name
from napari_ae_denoise._qt.status_line import unfinished
from napari_ae_denoise._qt.writing_button import WritingButton, placed
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import (
    FORMATS,
    ZARR,
    format_of,
    read_image,
    write_image,
)
from napari_ae_denoise.image_record import ImageFile
from napari_ae_denoise.provenance import CODE, COLOURED, REMOVED
from napari_ae_denoise.removed_noise import from_colours
from napari_ae_denoise.result_view import ResultView
from napari_ae_denoise.storage import Precious, same_file
from napari_ae_denoise.strength import lazily
from napari_ae_denoise.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ae_denoise._qt.finished import LastResult
    from napari_ae_denoise._qt.layers import Source

_IMAGES = f"Images ({' '.join(f'*{ending}' for ending in FORMATS)})"
_SAME = {".png", ".jpg", ".jpeg"}  # formats that photographs are saved in again


@dataclass(frozen=True, slots=True, eq=False)
class ToSave:
    """A snapshot of a result, the file that its image came from, and its own folder, if any.

    Its values are grey values of that image, or ``differences`` of them; ``coloured_to`` says of
    which such colours are, as `as_colours` made them.
    """

    source: Source
    origin: Path | None
    folder: Path | None
    differences: bool
    coloured_to: float | None = None

    @property
    def name(self) -> str:
        """A path for it: beside its image, in a format that can hold it."""
        ending, image = ".tif", self.source.image
        if self.origin is not None and image.dtype == "uint8" and self.source.axes in ("YX", "YXC"):
            ending = self.origin.suffix if self.origin.suffix.lower() in _SAME else ending
        name = file_name(self.source.name, ending)
        return name if self.origin is None else str(self.origin.parent / name)


class SaveResultButton(WritingButton):
    """Asks for a file, and writes the result that is meant.

    Parameters
    ----------
    last : LastResult
        Which result is meant.
    """

    def __init__(self, last: LastResult) -> None:
        super().__init__(
            "Save &result …",
            "Save the selected result, or the last one, as TIFF, PNG, JPEG, .npy or OME-Zarr "
            "(.ome.zarr), with its axes and pixel size.",
            write=_write,
        )
        self._last = last

    def dialog(self, what: ToSave) -> QFileDialog:
        """Return what asks where."""
        dialog = QFileDialog(self, "Save result", placed(what.name), _IMAGES)
        dialog.setDefaultSuffix(Path(what.name).suffix)
        return dialog

    def chosen(self) -> ToSave:
        """Return the result that is meant, as it is now."""
        layer, record = self._last.result("a file")
        origin, folder = (Path(record[k]) if record.get(k) else None for k in ("path", "folder"))
        if record.get("finished", 1) < 1 and is_filling(folder):
            raise DenoisingError(
                f'"{layer.name}" is still being made.',
                "Wait until it is finished, or press Cancel first.",
            )
        source = _as_on_disk(take(layer, _axes_of(layer, record)))
        differences = record["what"] == REMOVED
        return ToSave(source, origin, folder, differences, record.get(COLOURED))


def _as_on_disk(source: Source) -> Source:
    """Return a result that was cancelled on disk as it lies there, and not as it is shown."""
    shown = source.image
    if not isinstance(shown, ResultView):
        return source
    marked = source.name.endswith("%)")  # a copy made while it filled is not
    name = source.name if marked else source.name + unfinished(shown.finished)
    return replace(source, name=name, image=shown.stored)


def _axes_of(layer: Any, record: Mapping[str, Any]) -> str:
    """Return the axes of a result's layer: a code has its units first, as channels if it can."""
    axes = str(record.get("axes", ""))
    if record["what"] != CODE:
        return axes
    units = 0 if layer.rgb else 1  # else they are colours, the last axis
    letters = axes if layer.ndim - units >= len(axes) else axes.replace("C", "")
    free = [letter for letter in ("NTZ" if layer.rgb else "CNTZ") if letter not in letters]
    return letters.replace("C", free[0]) + "C" if layer.rgb else free[0] + letters


def _write(what: ToSave, path: Path) -> Path:
    """Write the image: with what its file told, and the pixel size of its layer."""
    source, lazy = what.source, format_of(path) == ZARR
    if what.coloured_to is not None:
        source = replace(source, image=from_colours(source.image, what.coloured_to))
    if what.origin is not None and same_file(path, what.origin):
        raise DenoisingError(f"{path} is what the result was made of.", "Choose another name.")
    if what.origin is not None and Precious([what.origin]).lost_with(path) is not None:
        raise DenoisingError(
            f"{path} holds {what.origin}, which the result was made of.", "Choose another name."
        )
    if what.folder is not None and same_file(path, what.folder):
        raise DenoisingError(f"{path} is where the result lies already.", "Choose another name.")
    large = too_large(source.image, math.inf)
    if large and not lazy:
        raise DenoisingError(
            f'"{source.name}" is too large for a {path.suffix} file, which is made in memory.',
            "Save it as .ome.zarr, which is written part by part.",
        )
    like = ImageFile(path, None)
    if what.origin is not None and not large:
        with contextlib.suppress(DenoisingError):  # gone, or what another plugin reads
            read = read_image(what.origin)
            read = read.with_differences() if what.differences else read
            like = read if tuple(read.array.shape) == tuple(source.image.shape) else like
    placed = placement_of(source)
    if placed["spacing"]:
        fits = "TZYX" if like.unit == placed["unit"] else "T"  # the rest is in other units
        spacing = {a: d for a, d in like.spacing.items() if a in fits} | placed["spacing"]
        origin = {a: d for a, d in like.origin.items() if a in fits} | placed["origin"]
        like = replace(
            like,
            spacing=MappingProxyType(spacing),
            unit=placed["unit"],
            time_unit=SECOND if "T" in placed["spacing"] else like.time_unit,
            origin=MappingProxyType(origin),
        )
    write_image(path, lazily(source.image) if lazy else source.image, like, source.axes)
    return path.absolute()
