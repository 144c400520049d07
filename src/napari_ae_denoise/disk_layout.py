"""How a result lies in an OME-Zarr image: its axes there, and where each part of it goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.ome_zarr import ome_order

if TYPE_CHECKING:
    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.tiling import Tile

Place = dict[str, int | slice]  # an index for each axis
_CODE_CHUNK = 4 * 1024**2  # bytes: all units of a place are read together, if they are not more


@dataclass(frozen=True, slots=True)
class ImageOnDisk:
    """A denoised image, with the image's axes in the order of OME-Zarr.

    Parameters
    ----------
    layout : PlaneLayout
        Of the image.
    """

    layout: PlaneLayout

    @property
    def order(self) -> str:
        """The axes of the arrays, one letter each."""
        return ome_order(self.layout.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the finest level."""
        sizes = dict(zip(self.layout.axes, self.layout.shape, strict=True))
        return tuple(sizes[a] for a in self.order)

    @property
    def stride(self) -> int:
        """Pixels of the image to one of the result, along Y and X."""
        return 1

    def channels_in_a_chunk(self, side: int) -> int:
        """Return how long chunks of some side are along C."""
        return 1

    def extents(self, tile: Tile) -> tuple[slice, slice]:
        """Return where a tile lies along Y and X, in the finest level."""
        return tile.y.write, tile.x.write

    def place(self, plane: int) -> Place:
        """Return where a plane lies along all other axes."""
        layout = self.layout
        at: Place = dict(zip(layout.stack_axes, layout.stack_index(plane), strict=True))
        if layout.joint and "C" in layout.axes:
            at["C"] = slice(0, layout.channels)
        return at

    def given(self, array: Any) -> Any:
        """Return an array of a level with the axes in the image's order."""
        return array.transpose([self.order.index(a) for a in self.layout.axes])


@dataclass(frozen=True, slots=True)
class CodeOnDisk:
    """A latent code: its units are the channels of the OME-Zarr image.

    Channels of the image that the network saw one by one come one after the other along C, each
    with all its units: OME-Zarr has one axis for both. Planes without a meaning (N) lie along T,
    or along Z where there is a T.

    Parameters
    ----------
    layout : PlaneLayout
        Of the image.
    width : int
        Units of the code.
    side : int
        Input pixels per code pixel along Y and X.
    """

    layout: PlaneLayout
    width: int
    side: int

    @property
    def _stack(self) -> str:
        """The letter of each stack axis on disk."""
        stack = self.layout.stack_axes
        for letter in "TZ":
            if "N" in stack and letter not in stack:
                stack = stack.replace("N", letter)
        if "N" in stack:
            raise DenoisingError(
                f'The code of an image of axes "{self.layout.axes}" has more axes than an OME-Zarr '
                "image can have.",
                "Encode a part of it along N at a time.",
            )
        return stack

    @property
    def order(self) -> str:
        """The axes of the arrays, one letter each."""
        return ome_order("".join({*self._stack, "C", "Y", "X"}))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the finest level."""
        layout = self.layout
        sizes = dict(zip(self._stack, layout.stack_shape, strict=True))
        sizes["C"] = sizes.get("C", 1) * self.width
        down = [-(-n // self.side) for n in layout.plane_shape]
        sizes |= dict(zip("YX", down, strict=True))
        return tuple(sizes[a] for a in self.order)

    @property
    def stride(self) -> int:
        """Pixels of the image to one of the result, along Y and X."""
        return self.side

    def channels_in_a_chunk(self, side: int) -> int:
        """Return how long chunks are along C: a part of the units of a channel of the image."""
        most = max(1, _CODE_CHUNK // (4 * side**2))
        return max(n for n in range(1, self.width + 1) if self.width % n == 0 and n <= most)

    def extents(self, tile: Tile) -> tuple[slice, slice]:
        """Return where a tile lies along Y and X, in the finest level."""
        return tile.y.write_code, tile.x.write_code

    def place(self, plane: int) -> Place:
        """Return where a plane lies along all other axes."""
        at: Place = dict(zip(self._stack, self.layout.stack_index(plane), strict=True))
        channel = at.get("C", 0)
        first = self.width * (channel if isinstance(channel, int) else 0)
        at["C"] = slice(first, first + self.width)
        return at

    def given(self, array: Any) -> Any:
        """Return an array of a level as `Denoiser.encode` does: (units, stack axes..., Y, X)."""
        at = self.order.index("C")
        blocks = array.shape[at] // self.width
        split = array.reshape((*array.shape[:at], blocks, self.width, *array.shape[at + 1 :]))
        letters = f"{self.order[:at]}CU{self.order[at + 1 :]}"
        wanted = f"U{self._stack}YX"
        if "C" not in wanted:
            split = np.take(split, 0, axis=at)
            letters = letters.replace("C", "")
        return split.transpose([letters.index(a) for a in wanted])


OnDisk = ImageOnDisk | CodeOnDisk


def bytes_needed(lies: OnDisk, dtype: np.dtype[Any]) -> int:
    """Return what a result takes on disk at most, with its coarser levels."""
    return math.prod(lies.shape) * dtype.itemsize * 4 // 3
