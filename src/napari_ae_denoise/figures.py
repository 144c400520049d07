"""The pictures: rows of images, grids of pairs, loss curves, latent codes.

They are drawn with matplotlib's objects and never with its global state, so that they can be made
in any thread and beside any window.
"""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE = 3.0  # inches of an image in a row
_ABOVE = 0.18  # inches above and below its title
_LETTER = 0.65  # width of a letter by its height, rather too much than too little
_LINE = 1.25  # height of a line by that of a letter
_PERCENTILES = (0.1, 99.9)  # grey limits leave out the few darkest and brightest pixels


def before_after(
    images: Mapping[str, npt.NDArray[Any]],
    *,
    own_limits: Collection[str] = (),
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw images side by side, titled.

    Parameters
    ----------
    images : mapping of str to ndarray
        Title to image: (Y, X), or colours (Y, X, 3 or 4), uint8 or floats from 0 to 1.
    own_limits : collection of str
        Titles of grey images that have grey limits of their own, such as a latent code. All
        others in the row share the limits of the first one, so that they can be compared.
    limits : tuple of float, optional
        Other shared grey limits.

    Returns
    -------
    Figure

    Raises
    ------
    DenoisingError
        If there are no images, or one is no picture.
    """
    drawn = _pictures(images)
    greys = [i for title, i in drawn.items() if i.ndim == 2 and title not in own_limits]
    shared = limits or (_limits(greys[0]) if greys else None)
    widths = [image.shape[1] / image.shape[0] for image in drawn.values()]
    titles = [
        _wrapped(title, 10, _SIDE * width) for title, width in zip(drawn, widths, strict=True)
    ]
    figure = _figure(_SIDE * sum(widths), _SIDE + _room(titles, 10))
    grid = figure.add_gridspec(1, len(drawn), width_ratios=widths)
    for place, (title, image) in enumerate(drawn.items()):
        axes = figure.add_subplot(grid[0, place])
        _show(axes, image, _limits(image) if title in own_limits else shared)
        axes.set_title(titles[place], fontsize=10)
    return figure


def comparison_grid(
    images: Mapping[str, npt.NDArray[Any]],
    *,
    columns: int = 4,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw images of one size side by side, titled, in as many rows as it takes.

    Parameters
    ----------
    images : mapping of str to ndarray
        Title to image: (Y, X), or colours (Y, X, 3), uint8 or floats from 0 to 1.
    columns : int
        Images a row.
    limits : tuple of float, optional
        Grey limits of all images; by default those of the first one.

    Returns
    -------
    Figure

    Raises
    ------
    DenoisingError
        If there are no images, or one is no picture.
    """
    drawn = _pictures(images)
    first = next(iter(drawn.values()))
    shared = limits or (_limits(first) if first.ndim == 2 else None)
    columns = min(columns, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    titles = [_wrapped(title, 9, _SIDE) for title in drawn]
    height = _SIDE * first.shape[0] / first.shape[1] + _room(titles, 9)
    figure = _figure(_SIDE * columns, height * rows)
    for place, image in enumerate(drawn.values()):
        axes = figure.add_subplot(rows, columns, place + 1)
        _show(axes, image, shared)
        axes.set_title(titles[place], fontsize=9)
    return figure


def image_row(images: npt.NDArray[Any], *, limits: tuple[float, float] | None = None) -> Figure:
    """Draw a row of small grey images, (N, Y, X), which share the grey limits of all of them."""
    _check_stack(images)
    return _grid([list(images)], limits or _limits(images))


def pair_grid(
    noisy: npt.NDArray[Any],
    denoised: npt.NDArray[Any],
    *,
    columns: int = 10,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw noisy images with the denoised ones under them, in as many rows of pairs as it takes.

    Parameters
    ----------
    noisy, denoised : ndarray
        (N, Y, X); 20 of each in 10 columns are the 4 x 10 grid of the classic tutorial.
    columns : int
        Images a row.
    limits : tuple of float, optional
        Grey limits of all images; by default those of the noisy ones.

    Returns
    -------
    Figure

    Raises
    ------
    DenoisingError
        If the shapes differ or are no stacks of images.
    """
    _check_stack(noisy)
    if noisy.shape != denoised.shape:
        raise DenoisingError(
            f"The noisy images {noisy.shape} and the denoised ones {denoised.shape} are no pairs.",
            "Give as many of one as of the other, of the same size.",
        )
    rows = []
    for first in range(0, len(noisy), columns):
        rows += [list(side[first : first + columns]) for side in (noisy, denoised)]
    return _grid(rows, limits or _limits(noisy))


def loss_curve(
    steps: Sequence[float],
    losses: Sequence[float],
    validation: Mapping[int, float] | None = None,
) -> Figure:
    """Draw the loss of a training by step, and on the right its validation PSNR.

    Parameters
    ----------
    steps : sequence of int
        Numbers of the steps.
    losses : sequence of float
        Loss of each, in normalized units; the axis is logarithmic.
    validation : mapping of int to float, optional
        Step to PSNR in dB.

    Returns
    -------
    Figure
    """
    figure = _figure(6.0, 3.6)
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="0.45", linewidth=0.8, label="training loss")
    if any(loss > 0 for loss in losses):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("training loss (normalized)")
    axes.margins(x=0.01)
    if validation:
        right = axes.twinx()
        right.plot(
            list(validation), list(validation.values()), "o-", color="tab:blue", markersize=4
        )
        right.set_ylabel("validation PSNR (dB)", color="tab:blue")
        right.tick_params(axis="y", labelcolor="tab:blue")
    return figure


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 150) -> None:
    """Save a figure, whole or not at all.

    Parameters
    ----------
    figure : Figure
        What to save.
    path : path-like
        Its ending decides the format: ``.png``, ``.svg`` or ``.pdf``.
    dpi : int
        Pixels an inch, for ``.png``.

    Raises
    ------
    DenoisingError
        If the ending is not known, or the file cannot be written.
    """
    path = Path(path)
    kind = picture_kind(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=dpi)


def picture_kind(path: Path) -> str:
    """Return the kind of picture that a name ends in: to be asked before any work is done.

    Raises
    ------
    DenoisingError
        If it is none that can be saved.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise DenoisingError(
            f'A picture cannot be saved with the ending "{path.suffix}".',
            "Use .png, .svg or .pdf.",
        )
    return kind


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _grid(rows: list[list[npt.NDArray[Any]]], limits: tuple[float, float]) -> Figure:
    """Draw rows of small grey images without titles; without limits each has its own."""
    columns = max(len(row) for row in rows)
    figure = _figure(columns, len(rows) * rows[0][0].shape[0] / rows[0][0].shape[1])
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for number, row in enumerate(rows):
        for place, image in enumerate(row):
            axes = figure.add_subplot(len(rows), columns, number * columns + place + 1)
            _show(axes, _picture(image), limits)
    return figure


def _show(axes: Axes, image: npt.NDArray[Any], limits: tuple[float, float] | None) -> None:
    low, high = limits or (None, None)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axes.set_axis_off()
    axes.set_anchor("S")  # in the middle of what is free, the layout would cut off long titles


def _wrapped(title: str, size: int, width: float) -> str:
    """Return a title in lines that are no wider than its image of ``width`` inches."""
    letters = max(int(width * 72 / (_LETTER * size)), 1)
    return "\n".join(part for line in title.splitlines() for part in textwrap.wrap(line, letters))


def _room(titles: list[str], size: int) -> float:
    """Return the inches that the tallest of some titles takes above its image."""
    lines = 1 + max(title.count("\n") for title in titles)
    return _ABOVE + lines * _LINE * size / 72


def _pictures(images: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return titled images as `_picture` does; refuse none at all."""
    if not images:
        raise DenoisingError("There are no images to draw.", "Give at least one.")
    return {title: _picture(image) for title, image in images.items()}


def _picture(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an image as matplotlib draws it, or say why it cannot."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] in (3, 4):
        return image if image.dtype == np.uint8 else np.clip(image.astype(np.float32), 0, 1)
    if image.ndim != 2:
        raise DenoisingError(
            f"An array of shape {image.shape} is no picture.",
            "Give one plane (Y, X) or colours (Y, X, 3).",
        )
    return image.astype(np.float32)


def _check_stack(images: npt.NDArray[Any]) -> None:
    if images.ndim != 3 or 0 in images.shape:
        raise DenoisingError(
            f"An array of shape {images.shape} is no stack of images.",
            "Give at least one image, (N, Y, X).",
        )


def _limits(image: npt.NDArray[Any]) -> tuple[float, float]:
    finite = image[np.isfinite(image)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, _PERCENTILES))
    return low, high if high > low else low + 1.0
