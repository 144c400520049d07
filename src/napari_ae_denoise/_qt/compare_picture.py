"""The picture of the *Compare* panel: chosen, drawn in a worker thread, saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_ae_denoise._qt.writing_button import ask_where, placed
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.comparison import pictures_of
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.figures import comparison_grid, pair_grid, save_figure

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from matplotlib.figure import Figure

    from napari_ae_denoise.comparison import Comparison, Doing, Table

SIDE_BY_SIDE, PAIRS = "side by side", "pairs of a stack"
_PAIRS = 20  # as the tutorial shows them
_FILES = "Pictures (*.png *.svg *.pdf)"
_WHOLE = slice(None)


@dataclass(frozen=True, slots=True)
class Saved:
    """A picture that was saved."""

    path: Path


def ask_for_file(parent: QWidget) -> str:
    """Ask where to save a picture; empty if it is not to be."""
    dialog = QFileDialog(parent, "Save picture", placed("comparison.png"), _FILES)
    dialog.setDefaultSuffix("png")
    return ask_where(dialog)


def picture_steps(
    kind: str, what: Comparison, table: Table, path: str | Path, _stop: threading.Event
) -> Generator[Doing, None, Saved]:
    """Draw a picture and save it."""
    yield from ()
    figure = _side_by_side(what, table) if kind == SIDE_BY_SIDE else _pairs(what)
    save_figure(figure, path)
    return Saved(Path(path))


def _side_by_side(what: Comparison, table: Table) -> Figure:
    rows = {row.name: row for row in table.rows}
    titled = {}
    for name, picture in pictures_of(what, table).items():
        row = rows.get(name)
        figures = "" if row is None or row.problem else f"\n{row.psnr:.2f} dB, SSIM {row.ssim:.4f}"
        titled[_short(name) + figures] = _shown(picture, table.data_range)
    return comparison_grid(titled)


def _pairs(what: Comparison) -> Figure:
    """Draw the first two images of a stack in pairs."""
    layout = plane_layout(what.reference.shape, what.axes)
    images = [image for _, image in what.images if image.shape == what.reference.shape]
    if len(images) < 2 or layout.planes < 2 or layout.plane_channels != 1:
        raise DenoisingError(
            "Pairs need two gray stacks among the chosen layers.",
            f'Choose a noisy and a denoised stack, or the picture "{SIDE_BY_SIDE}".',
        )
    sides: list[Any] = [
        np.stack([layout.read(image, plane, _WHOLE, _WHOLE)[0] for plane in range(_count(layout))])
        for image in images[:2]
    ]
    return pair_grid(*sides)


def _count(layout: Any) -> int:
    return min(_PAIRS, int(layout.planes))


def _shown(picture: Any, data_range: float) -> Any:
    """Return a plane as figures draw it: colours as floats from 0 to 1."""
    if picture.ndim == 2 or picture.dtype == np.uint8:
        return picture
    return np.clip(np.asarray(picture, np.float32) / data_range, 0, 1)


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:20]} … {name[-17:]}"
