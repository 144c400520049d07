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
    coordinates: npt.NDArray[Any], labels: npt.ArrayLike | None = None, *, title: str = ""
) -> Figure:
    """Draw a scatter of codes, coloured by label where labels are given.

    Parameters
    ----------
    coordinates : ndarray
        (images, 2), see `scatter_coordinates`.
    labels : array, optional
        (images,) of whole numbers or words.
    title : str
        Above it.

    Raises
    ------
    DenoisingError
        If the labels are not as many as the images.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel("first component")
    axes.set_ylabel("second component")
    axes.set_title(title, fontsize=10)
    if labels is None:
        axes.scatter(coordinates[:, 0], coordinates[:, 1], s=6, color="0.3", linewidths=0)
        return figure
    given = np.asarray(labels).ravel()
    if len(given) != len(coordinates):
        raise DenoisingError(
            f"There are {len(given)} labels and {len(coordinates)} images.",
            "Give one label for each image.",
        )
    names = np.unique(given)
    for number, name in enumerate(names):
        where = given == name
        colour = f"C{number % 10}"
        here = coordinates[where]
        axes.scatter(here[:, 0], here[:, 1], s=6, color=colour, linewidths=0, label=str(name))
    if len(names) <= 20:
        axes.legend(fontsize=7, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
