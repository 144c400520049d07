"""The user's named axes, seen as planes of channels.

An image with axes such as ``"TZYX"`` or ``"YXC"`` is a stack of planes; each plane is
``(channels, Y, X)``. Nothing is copied here: a layout only knows how to index.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Sequence

AXIS_LETTERS = "NTZCYX"
Index = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """How an image of named axes is seen as planes.

    Parameters
    ----------
    axes : str
        One letter per axis of the image.
    shape : tuple of int
        The image's shape.
    joint : bool
        Whether the channels of a plane go through the network together. If not, C is one more
        axis of the stack.
    channels : int
        How many channels of C are denoised: all of them, but not the alpha of an RGBA image.
        1 where there is no axis C.
    """

    axes: str
    shape: tuple[int, ...]
    joint: bool
    channels: int

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width of a plane, in pixels."""
        return self.shape[self.axes.index("Y")], self.shape[self.axes.index("X")]

    @property
    def plane_channels(self) -> int:
        """Channels of one plane as the network sees it."""
        return self.channels if self.joint else 1

    @property
    def stack_axes(self) -> str:
        """The axes that planes are stacked along, in the image's order."""
        return "".join(a for a in self.axes if a not in ("CYX" if self.joint else "YX"))

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Number of planes along each of ``stack_axes``."""
        return tuple(
            self.channels if a == "C" else self.shape[self.axes.index(a)] for a in self.stack_axes
        )

    @property
    def planes(self) -> int:
        """Number of planes."""
        return math.prod(self.stack_shape)

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is an alpha channel, which is never denoised."""
        return "C" in self.axes and self.channels < self.shape[self.axes.index("C")]

    def stack_index(self, plane: int) -> tuple[int, ...]:
        """Return where a plane lies in the stack, one number per stack axis."""
        return tuple(int(i) for i in np.unravel_index(plane, self.stack_shape))

    def index(self, plane: int, y: slice, x: slice) -> Index:
        """Return the index into the image of a window of one plane."""
        place = dict(zip(self.stack_axes, self.stack_index(plane), strict=True))
        place |= {"Y": y, "X": x}  # type: ignore[dict-item]
        if self.joint and "C" in self.axes:
            place["C"] = slice(0, self.channels)  # type: ignore[assignment]
        return tuple(place[a] for a in self.axes)

    def read(self, image: Any, plane: int, y: slice, x: slice) -> npt.NDArray[Any]:
        """Return a window of one plane, (channels, Y, X), of a numpy, dask or zarr array."""
        return self.to_plane(np.asarray(image[self.index(plane, y, x)]))

    def write(self, image: Any, plane: int, y: slice, x: slice, window: npt.NDArray[Any]) -> None:
        """Write a window (channels, Y, X) of one plane."""
        image[self.index(plane, y, x)] = self.from_plane(window)

    def to_plane(self, window: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a window as it was indexed, in the image's axis order, as (channels, Y, X)."""
        kept = [a for a in self.axes if a not in self.stack_axes]
        order = [kept.index(a) for a in "CYX" if a in kept]
        plane = window.transpose(order)
        return plane if plane.ndim == 3 else plane[np.newaxis]  # (channels, Y, X)

    def from_plane(self, window: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return (channels, Y, X) in the image's axis order; the inverse of `to_plane`."""
        kept = [a for a in self.axes if a not in self.stack_axes]
        if "C" not in kept:
            window = window[0]  # (Y, X)
        order = [a for a in "CYX" if a in kept]
        return window.transpose([order.index(a) for a in kept])


def in_order(array: Any, axes: str | None, wanted: str | None) -> Any:
    """Return an image with its axes in the order of another one, where both are known.

    Raises
    ------
    DenoisingError
        If the two have different axes.
    """
    if axes is None or wanted is None or axes == wanted:
        return array
    if sorted(axes) != sorted(wanted):
        raise DenoisingError(
            f"The images have different axes: {wanted} and {axes}.",
            "Give images of the same axes; their order may differ.",
        )
    return array.transpose([axes.index(axis) for axis in wanted])


def as_array(image: Any) -> Any:
    """Return an image as an array of numpy, or of what reads like one (dask, zarr, memory maps).

    Lists, tensors and matrices become plain arrays of numpy; so do masked arrays of floats, whose
    masked pixels are NaN then.

    Raises
    ------
    DenoisingError
        If its rows have different lengths, or if pixels of whole numbers are masked.
    """
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        if image.dtype.kind != "f":
            raise DenoisingError(
                f"Pixels of the image are masked, and its type {image.dtype} has no number for "
                "them.",
                'Give image.astype("float32").filled(numpy.nan): NaN is masked, and kept.',
            )
        return image.filled(np.nan)
    if isinstance(getattr(image, "dtype", None), np.dtype) and not isinstance(
        image, np.matrix | np.ma.MaskedArray | np.generic
    ):
        return image
    try:
        return np.asarray(image)
    except ValueError as error:
        raise DenoisingError(
            f"The image is no array of numbers: {error}",
            "Give an array, or rows of the same length.",
        ) from error


def no_pixels(shape: Sequence[int]) -> DenoisingError:
    """Return the refusal of an image that holds nothing."""
    return DenoisingError(
        f"The image of shape {tuple(shape)} holds no pixels.", "Choose an image without empty axes."
    )


def is_dask(array: object) -> bool:
    """Return whether an array is a dask one, without importing dask."""
    return type(array).__module__.split(".")[0] == "dask"


def chunk_sizes(image: Any, axis: int) -> Sequence[int]:
    """Return how long the chunks of a dask, zarr or other array are along an axis."""
    length = image.shape[axis]
    chunks = getattr(image, "chunks", None)
    step = 1 if chunks is None else chunks[axis]
    if isinstance(step, tuple):  # of dask: they may differ
        return step
    return [min(step, length - start) for start in range(0, length, step)]


def guess_axes(shape: Sequence[int], *, rgb: bool | None = None) -> str:
    """Name the axes of an array that came without names.

    Parameters
    ----------
    shape : sequence of int
        The array's shape.
    rgb : bool, optional
        Whether the last axis holds colours. By default it does if it is 3 or 4 long and both axes
        before it are longer than 4.

    Returns
    -------
    str
        ``"YX"``, ``"ZYX"``, ``"TZYX"`` or ``"NTZYX"``, with a ``"C"`` at the end for colours.

    Raises
    ------
    DenoisingError
        If the array has less than two axes or more than five beside the colours.
    """
    if rgb is None:
        rgb = len(shape) >= 3 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4
    rest = len(shape) - (1 if rgb else 0)
    if not 2 <= rest <= 5:
        raise DenoisingError(
            f"An array of shape {tuple(shape)} has {len(shape)} axes, and which of them are Y and "
            "X cannot be guessed.",
            'Name every axis with one letter, for example axes="ZYX".',
        )
    return "NTZYX"[-rest:] + ("C" if rgb else "")


def check_axes(axes: str, shape: Sequence[int]) -> str:
    """Return the axes in capitals, or say what is wrong with them.

    Raises
    ------
    DenoisingError
        If they are no text, a letter is unknown or doubled, Y or X is missing, or the number of
        letters is not the number of axes.
    """
    example = guess_axes(shape) if 2 <= len(shape) <= 5 else "ZYX"
    remedy = f'Give one letter of {", ".join(AXIS_LETTERS)} per axis, for example "{example}".'
    given: Any = axes
    if not isinstance(given, str):
        raise DenoisingError(f"The axes {given!r} are no text.", remedy)
    axes = axes.strip().upper()
    unknown = sorted(set(axes) - set(AXIS_LETTERS))
    doubled = sorted(a for a, n in Counter(axes).items() if n > 1)
    if unknown:
        raise DenoisingError(
            f'The axes "{axes}" hold unknown letters: {", ".join(map(repr, unknown))}.', remedy
        )
    if doubled:
        raise DenoisingError(f'The axes "{axes}" name {", ".join(doubled)} twice.', remedy)
    if not {"Y", "X"} <= set(axes):
        raise DenoisingError(f'The axes "{axes}" lack Y or X.', remedy)
    if len(axes) != len(shape):
        raise DenoisingError(
            f'The axes "{axes}" name {len(axes)} axes, but the image of shape {tuple(shape)} has '
            f"{len(shape)}.",
            remedy,
        )
    return axes


def is_rgb(axes: str, shape: Sequence[int]) -> bool:
    """Return whether the last axis holds the colours of a photograph (RGB or RGBA)."""
    return axes.endswith("C") and shape[-1] in (3, 4)


def plane_layout(
    shape: Sequence[int], axes: str | None, *, network_channels: int | None = None
) -> PlaneLayout:
    """Resolve axes against a shape and a network.

    Parameters
    ----------
    shape : sequence of int
        The image's shape.
    axes : str or None
        One letter per axis; None to guess.
    network_channels : int, optional
        Channels that the network takes. A network of one channel sees each channel as a plane of
        its own. None is for a network that is yet to be made: RGB together, all else apart.

    Returns
    -------
    PlaneLayout

    Raises
    ------
    DenoisingError
        If the axes do not fit the shape, the image holds no pixels or has no known shape, or the
        image's channels do not fit the network.
    """
    if any(math.isnan(n) for n in shape):
        raise DenoisingError(
            f"The image is a dask array whose shape is not known yet: {tuple(shape)}.",
            "Call compute_chunk_sizes() on it first.",
        )
    shape = tuple(int(n) for n in shape)
    axes = guess_axes(shape) if axes is None else check_axes(axes, shape)
    if 0 in shape:
        raise no_pixels(shape)
    found = shape[axes.index("C")] if "C" in axes else 1
    colours = min(found, 3) if is_rgb(axes, shape) else found
    if network_channels is None:
        network_channels = colours if is_rgb(axes, shape) else 1
    if network_channels == found:
        return PlaneLayout(axes, shape, joint=True, channels=found)
    if network_channels == colours:
        return PlaneLayout(axes, shape, joint=True, channels=colours)
    if network_channels == 1:
        return PlaneLayout(axes, shape, joint=False, channels=colours)
    raise DenoisingError(
        f"The model was made for images of {network_channels} channels, but this image (shape "
        f'{shape}, axes "{axes}") has {found}.',
        "Choose a model of one channel, which takes any image channel by channel, or one made for "
        f"{found} channels.",
    )
