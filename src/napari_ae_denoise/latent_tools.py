"""Looking at codes: principal components, coordinates for a scatter, names of units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAMPLE = 200_000  # code pixels that the directions are found from
_PERCENTILES = (1.0, 99.0)
_FEW_POINTS = 3000  # in a scatter; of more the points are smaller


def unit_names(count: int, *, variational: bool = False) -> list[str]:
    """Return names of the code's units: ``unit 0``, or ``mean 0`` of a variational code."""
    return [f"{'mean' if variational else 'unit'} {number}" for number in range(count)]


def principal_components(
    code: npt.ArrayLike, count: int = 3
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return the first principal components of a code, over all its places.

    Parameters
    ----------
    code : array
        (units, ...), as `Denoiser.encode` returns it. Places where a unit is NaN (tiles that were
        not reached) stay NaN.
    count : int
        How many components; those that a code of fewer units does not have are 0.

    Returns
    -------
    components : ndarray
        (count, ...) float32, centred. The sign is the one by which the largest weight is positive.
    explained : ndarray
        (count,): the fraction of the variance that each holds.

    Raises
    ------
    DenoisingError
        If the code has no places, or none with finite values.
    """
    values = np.asarray(code, np.float32)
    if values.ndim < 2 or 0 in values.shape:
        raise DenoisingError(
            f"An array of shape {values.shape} is no code.", "Give what encode returns."
        )
    flat = values.reshape(len(values), -1)  # (units, places)
    step = max(1, flat.shape[1] // _SAMPLE)
    few = flat[:, ::step]
    few = few[:, np.isfinite(few).all(axis=0)].astype(np.float64)
    if not few.shape[1]:
        raise DenoisingError(
            "The code has no place with finite values.", "Let the tiles be made first."
        )
    middle = few.mean(axis=1, keepdims=True)
    centred = few - middle
    variances, directions = np.linalg.eigh(centred @ centred.T / centred.shape[1])
    order = np.argsort(variances)[::-1][:count]
    axes = directions[:, order].T  # (components, units)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = axes * np.where(largest < 0, -1, 1)
    explained = np.zeros(count)
    total = max(float(variances.clip(0).sum()), np.finfo(float).tiny)
    explained[: len(order)] = variances[order].clip(0) / total
    made = np.zeros((count, flat.shape[1]), np.float32)
    made[: len(order)] = axes.astype(np.float32) @ (flat - middle.astype(np.float32))
    return made.reshape(count, *values.shape[1:]), explained


def as_colours(components: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return three components as colours, (..., 3) float32 from 0 to 1.

    Each is spread over the range from its 1st to its 99th percentile; where it is NaN, black.
    """
    shown = []
    for one in components:
        finite = one[np.isfinite(one)]
        low, high = np.percentile(finite, _PERCENTILES) if finite.size else (0.0, 0.0)
        spread = (one - low) / (high - low) if high > low else np.full_like(one, 0.5)
        shown.append(np.nan_to_num(np.clip(spread, 0, 1)))
    return np.stack(shown, axis=-1).astype(np.float32)


def scatter_coordinates(code: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return where each image of a stack lies in the plane that shows their codes best.

    Parameters
    ----------
    code : array
        (units, N..., Y, X): the code of a stack; its mean over Y and X stands for an image.

    Returns
    -------
    ndarray
        (images, 2) float32: the code itself where it has two units, else its first two principal
        components.

    Raises
    ------
    DenoisingError
        If there are fewer than two images.
    """
    values = np.asarray(code, np.float32)
    images = int(np.prod(values.shape[1:-2])) if values.ndim > 3 else 1
    if images < 2:
        raise DenoisingError(
            f"A code of shape {values.shape} is that of one image, which makes no scatter.",
            "Encode a stack of images.",
        )
    points = values.mean(axis=(-2, -1)).reshape(len(values), images)  # (units, images)
    if len(points) == 2:
        return np.ascontiguousarray(points.T)
    return np.ascontiguousarray(principal_components(points, 2)[0].T)


def scatter_figure(
    coordinates: npt.NDArray[Any],
    labels: npt.ArrayLike | None = None,
    *,
    title: str = "",
    ink: str = "black",
    paper: str = "white",
) -> Figure:
    """Draw a scatter of codes, coloured by label where labels are given.

    The points of all labels are mixed before they are drawn: none lies on top by its name.

    Parameters
    ----------
    coordinates : ndarray
        (images, 2), see `scatter_coordinates`.
    labels : array, optional
        (images,) of whole numbers or words.
    title : str
        Above it.
    ink, paper : str
        Colours of lines and text, and of the background.

    Raises
    ------
    DenoisingError
        If the labels are not as many as the images.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(5.6, 4.2), layout="constrained", facecolor=paper)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=paper)
    axes.set_xlabel("first component", color=ink)
    axes.set_ylabel("second component", color=ink)
    axes.set_title(title, fontsize=10, color=ink)
    axes.tick_params(colors=ink)
    axes.spines[:].set_color(ink)
    look: dict[str, Any] = {"s": 6 if len(coordinates) <= _FEW_POINTS else 3, "linewidths": 0}
    if labels is None:
        axes.scatter(coordinates[:, 0], coordinates[:, 1], color=ink, alpha=0.6, **look)
        return figure
    given = np.asarray(labels).ravel()
    if len(given) != len(coordinates):
        raise DenoisingError(
            f"There are {len(given)} labels and {len(coordinates)} images.",
            "Give one label for each image.",
        )
    names, which = np.unique(given, return_inverse=True)
    names, which = _by_letter(names, which)
    table = colormaps["tab10" if len(names) <= 10 else "tab20"]
    colours = table(np.arange(len(names)) % table.N)  # (names, 4)
    mixed = np.random.default_rng(0).permutation(len(given))
    x, y = coordinates[mixed].T
    axes.scatter(x, y, color=colours[which[mixed]], **look)
    if len(names) <= 20:
        dots = [Line2D([], [], marker="o", linestyle="", markersize=5, color=c) for c in colours]
        axes.legend(
            dots,
            [str(name) for name in names],
            fontsize=8,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            frameon=False,
            labelcolor=ink,
        )
    return figure


def _by_letter(
    names: npt.NDArray[Any], which: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Sort words without regard to capitals; numbers are sorted already."""
    if names.dtype.kind not in "UO":
        return names, which
    order = np.array(sorted(range(len(names)), key=lambda n: str(names[n]).lower()), np.intp)
    return names[order], np.argsort(order)[which]
