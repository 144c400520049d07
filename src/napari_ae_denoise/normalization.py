"""One affine map of grey values per image, never per tile.

Tiles that were each stretched by their own range would show. The map is measured once on the
whole image (or a bounded sample of it), and always on what the network sees: the noisy image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import PlaneLayout, is_rgb
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import GreyMap
from napari_ae_denoise.plain_numbers import as_given, is_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_ae_denoise.grey_map import ValueMap

Thing = TypeVar("Thing")

_SAMPLE_PIXELS = 1_000_000
_SAMPLE_WINDOW = 64  # pixels along Y and X of one sampled window: small, so that there are many
_BLOCK_BYTES = 16 * 1024**2  # of an image, that are looked at in one go


def check_real(image: Any) -> None:
    """Refuse arrays whose elements are no real numbers.

    Raises
    ------
    DenoisingError
        If they are complex, text, records or objects.
    """
    if np.iscomplexobj(image):
        raise DenoisingError(
            f"The image holds complex numbers ({image.dtype}).",
            "Take its real and imaginary parts, or its magnitude, one by one.",
        )
    if image.dtype.kind not in "biuf":
        raise DenoisingError(
            f"The image holds no numbers but {image.dtype}.", "Choose an image of numbers."
        )


@dataclass(frozen=True, slots=True)
class Normalization:
    """How a denoiser maps grey values; kept in its model file.

    Parameters
    ----------
    kind : {"percentile", "fixed"}
        ``percentile``: each image's own percentiles become 0 and 1. ``fixed``: the same map for
        every image, ``(grey - offset) / scale``.
    low, high : float
        The percentiles, in percent.
    offset, scale : float
        The fixed map, in grey values.
    """

    kind: Literal["percentile", "fixed"] = "percentile"
    low: float = 0.1
    high: float = 99.9
    offset: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse maps that cannot be inverted."""
        if self.kind not in ("percentile", "fixed"):
            raise DenoisingError(
                f'The normalization "{self.kind}" is not known.', 'Use "percentile" or "fixed".'
            )
        for name in ("low", "high", "offset", "scale"):
            if not is_number(getattr(self, name)):
                raise DenoisingError(
                    f"Grey values cannot be mapped with {name} = {as_given(getattr(self, name))}.",
                    f"Give {name} as a number.",
                )
            object.__setattr__(self, name, float(getattr(self, name)))  # json holds none of numpy
        if not (0 <= self.low < self.high <= 100):
            raise DenoisingError(
                f"The percentiles {self.low} and {self.high} are no range.",
                "Give two percentages, low below high.",
            )
        if not (np.isfinite([self.offset, self.scale]).all() and self.scale > 0):
            raise DenoisingError(
                f"Grey values cannot be mapped with offset {self.offset} and scale {self.scale}.",
                "Give finite numbers and a scale above zero.",
            )

    @property
    def whole_range(self) -> bool:
        """Whether it maps from the darkest to the brightest pixel: one hot pixel moves it."""
        return self.kind == "percentile" and (self.low, self.high) == (0, 100)

    def of_values(self, values: npt.NDArray[Any]) -> GreyMap:
        """Return the map of an image, measured on a sample of its grey values.

        Raises
        ------
        DenoisingError
            If no value is finite, or all are the same.
        """
        values = np.asarray(values).ravel()
        finite = values[np.isfinite(values)].astype(np.float64)  # differences have room in it
        if finite.size == 0:
            raise DenoisingError(
                "The image holds no finite grey values: all of them are NaN or infinite.",
                "Choose another image, or replace its invalid pixels.",
            )
        lowest, low, middle, high, highest = (
            float(v) for v in np.percentile(finite, [0, self.low, 50, self.high, 100])
        )
        if lowest == highest and finite.size > 1:
            raise DenoisingError(
                f"The image is constant: every pixel is {lowest:g}.",
                "Choose an image that shows something.",
            )
        if self.kind == "fixed":
            found = GreyMap(self.offset, self.scale, fill=middle)
        else:
            if high <= low:  # nearly constant, but for a few pixels
                low, high = lowest, highest
            scale = high - low
            found = GreyMap(low, scale if scale > 0 else max(abs(low), 1.0), fill=middle)
        found.check(lowest)
        found.check(highest)
        return found

    def of_image(self, image: Any, layout: PlaneLayout) -> list[GreyMap]:
        """Return the maps of an image's channels, one per plane channel or stack channel.

        Colours share one map. Channels that the network sees one by one (fluorescence) have a map
        each, for their ranges have nothing to do with each other.

        Parameters
        ----------
        image : array
            numpy, dask or zarr. At most about a million pixels are read of it.
        layout : PlaneLayout
            How to read it.

        Returns
        -------
        list of GreyMap
            One per plane of ``layout``'s axis C where channels are apart, else a single one.
        """
        maps, flat = [], []
        for channel in channel_groups(layout):
            values = sample_values(image, layout, channel)
            flat.append(level_of(values) is not None and limits_known(image, layout, channel))
            maps.append(self.of_group(values))
        check_varied(maps, flat)
        return maps

    def of_group(self, sample: npt.NDArray[Any]) -> GreyMap:
        """Return the map of the channels of an image that a sample was taken of.

        They may be constant: see `check_varied`. All of a lazy image is too much to read, and it
        may differ outside the sample; and one blank channel does not spoil the others.
        """
        level = level_of(sample)
        if level is None:
            return self.of_values(sample)
        return GreyMap(level, max(abs(level), 1.0), fill=level)


def level_of(sample: npt.NDArray[Any]) -> float | None:
    """Return the grey value of a sample that is constant; None if it is not, or is one pixel."""
    finite = sample[np.isfinite(sample)]
    if finite.size < 2 or finite.min() != finite.max():
        return None
    return float(finite[0])


def check_varied(maps: Sequence[ValueMap], flat: Sequence[bool]) -> None:
    """Refuse an image that shows nothing.

    Parameters
    ----------
    maps : sequence of ValueMap
        Of its channels.
    flat : sequence of bool
        Of each, whether it is known to be constant.

    Raises
    ------
    DenoisingError
        If all are.
    """
    if all(flat):
        levels = sorted({grey_map.fill for grey_map in maps})
        each = f"every pixel is {levels[0]:g}" if len(levels) == 1 else "each channel is one value"
        raise DenoisingError(
            f"The image is constant: {each}.", "Choose an image that shows something."
        )


def channel_groups(layout: PlaneLayout) -> list[int | None]:
    """Return the channels that have a grey map each; ``[None]`` where all share one."""
    apart = "C" in layout.stack_axes and not is_rgb(layout.axes, layout.shape)
    return [*range(layout.channels)] if apart else [None]


def of_plane(things: Sequence[Thing], layout: PlaneLayout, plane: int) -> Thing:
    """Return what belongs to a plane: the only thing, or that of its channel."""
    if len(things) == 1:
        return things[0]
    return things[layout.stack_index(plane)[layout.stack_axes.index("C")]]


def read_sample(
    image: Any, layout: PlaneLayout, channel: int | None = None
) -> list[npt.NDArray[Any]]:
    """Return the windows (channels, Y, X) of `sample_windows`, read."""
    return [layout.read(image, *window) for window in sample_windows(image, layout, channel)]


def sample_values(
    image: Any,
    layout: PlaneLayout,
    channel: int | None = None,
    windows: Sequence[npt.NDArray[Any]] | None = None,
) -> npt.NDArray[Any]:
    """Return a bounded, evenly spread sample of an image's grey values, the same each time.

    The smallest and the largest finite value of an image in memory are always among them: small
    bright things may lie outside the sample.

    Parameters
    ----------
    image : array
        numpy, dask or zarr.
    layout : PlaneLayout
        How to read it.
    channel : int, optional
        Only this channel of an axis C that the planes are stacked along.
    windows : sequence of ndarray, optional
        What `read_sample` gives, where it was read already.

    Returns
    -------
    ndarray
        (at most about a million,) values in the image's dtype.
    """
    windows = read_sample(image, layout, channel) if windows is None else windows
    values = [window.ravel() for window in windows]
    if isinstance(image, np.ndarray) and not _seen_whole(image, layout, channel):
        values.append(_finite_limits(image, layout, channel))
    return np.concatenate(values)


def limits_known(image: Any, layout: PlaneLayout, channel: int | None = None) -> bool:
    """Return whether the smallest and the largest value of an image are in its sample."""
    return isinstance(image, np.ndarray) or _seen_whole(image, layout, channel)


def _seen_whole(image: Any, layout: PlaneLayout, channel: int | None) -> bool:
    return sample_windows(image, layout, channel)[0][1] == slice(None)


def _finite_limits(
    image: npt.NDArray[Any], layout: PlaneLayout, channel: int | None
) -> npt.NDArray[Any]:
    """Return the smallest and the largest finite value, without alpha; empty if there are none."""
    if "C" in layout.axes:
        at = layout.axes.index("C")
        which = slice(layout.channels) if channel is None else slice(channel, channel + 1)
        image = image[(slice(None),) * at + (which,)]
    limits = []
    for block in _blocks(image):
        if np.issubdtype(block.dtype, np.floating):
            block = block[np.isfinite(block)]
        if block.size:
            limits += [block.min(), block.max()]
    return np.array([min(limits), max(limits)] if limits else [], image.dtype)


def _blocks(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Cut an array into views of a bounded size: along its first axis, as far as that does."""
    if array.nbytes <= _BLOCK_BYTES:
        yield array
        return
    step = _BLOCK_BYTES * len(array) // array.nbytes
    if not step:  # not even one of them is small enough
        for one in array:
            yield from _blocks(one)
        return
    for first in range(0, len(array), step):
        yield array[first : first + step]


def sample_windows(
    image: Any, layout: PlaneLayout, channel: int | None = None
) -> list[tuple[int, slice, slice]]:
    """Return windows (plane, rows, columns) of an image that stand for all of it.

    All of a small image; else many small windows spread over all planes by a fixed seed, about a
    million pixels in all. The parameters are those of `sample_values`.
    """
    planes = np.arange(layout.planes)
    if channel is not None:
        at = layout.stack_axes.index("C")
        planes = planes[np.unravel_index(planes, layout.stack_shape)[at] == channel]
    (height, width), channels = layout.plane_shape, layout.plane_channels
    if planes.size * height * width * channels <= _SAMPLE_PIXELS:
        return [(int(p), slice(None), slice(None)) for p in planes]
    rng = np.random.default_rng(0)
    side_y, side_x = min(_SAMPLE_WINDOW, height), min(_SAMPLE_WINDOW, width)
    count = max(1, _SAMPLE_PIXELS // (side_y * side_x * channels))
    windows = []
    for plane in planes[np.linspace(0, planes.size - 1, count).round().astype(int)]:
        y, x = int(rng.integers(height - side_y + 1)), int(rng.integers(width - side_x + 1))
        windows.append((int(plane), slice(y, y + side_y), slice(x, x + side_x)))
    return windows
