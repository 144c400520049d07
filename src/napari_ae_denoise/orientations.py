"""The orientations of an image: what a network makes of all of them, turned back and averaged.

A network makes other mistakes in a turned or mirrored image. Turned back, their mean is nearer the
truth than any of them: the geometric self-ensemble [1]_, or test-time augmentation.

References
----------
.. [1] R. Timofte, R. Rothe, L. Van Gool, "Seven ways to improve example-based single image super
   resolution", CVPR 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_ae_denoise.networks import ConvAutoencoder

COUNTS = (1, 8)
_MIRRORED: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight.

    Parameters
    ----------
    transposed : bool
        Whether Y and X are exchanged, after mirroring.
    mirrored : tuple of int
        Axes of (N, C, Y, X) that are mirrored.
    """

    transposed: bool = False
    mirrored: tuple[int, ...] = ()

    def apply(self, x: Tensor) -> Tensor:
        """Return (N, C, Y, X) in this orientation."""
        x = x.flip(self.mirrored) if self.mirrored else x
        return x.transpose(2, 3) if self.transposed else x

    def undo(self, x: Tensor) -> Tensor:
        """Return what `apply` was given."""
        x = x.transpose(2, 3) if self.transposed else x
        return x.flip(self.mirrored) if self.mirrored else x


def check_count(count: int) -> None:
    """Refuse numbers of orientations that there are not."""
    if count not in COUNTS:
        raise DenoisingError(
            f"An image cannot be denoised in {count!r} orientations.",
            "Give 1 (as it is) or 8 (turned and mirrored as well, and averaged).",
        )


def orientations_for(network: ConvAutoencoder, count: int) -> list[Orientation]:
    """Return the orientations that a network sees, the image as it is first.

    Where Y and X are not alike to it, they are not exchanged: there are four of eight then.

    Raises
    ------
    DenoisingError
        If there are several for a network that takes images of one size: such ones know what
        stands upright.
    """
    if count == 1:
        return [Orientation()]
    if network.spec.image_size is not None:
        raise DenoisingError(
            f"{network.spec.style.capitalize()} networks know images of one size and one "
            "orientation only.",
            "Denoise it in 1 orientation, or use a convolutional network.",
        )
    exchanged = (False, True) if network.steps[0] == network.steps[1] else (False,)
    return [Orientation(also, mirrored) for also in exchanged for mirrored in _MIRRORED]


def passes_of(network: ConvAutoencoder, count: int) -> int:
    """Return how many times a network runs over an image that is seen in some orientations."""
    return 1 if network.spec.image_size is not None else len(orientations_for(network, count))


def averaged(
    run: Callable[[Tensor], Tensor], x: Tensor, seen: list[Orientation], grid: int
) -> Tensor:
    """Return the mean of what a network makes of an image in several orientations, as it lies.

    Parameters
    ----------
    run : callable
        The network: (N, C, Y, X) in, an image without its context out.
    x : Tensor
        (N, C, Y, X).
    seen : list of Orientation
        At least one.
    grid : int
        Pixels: of such blocks the network makes the same wherever they lie. An image is filled up
        to a multiple of it, so that they lie alike in every orientation, and in every tile.
    """
    below, beside = -x.shape[2] % grid, -x.shape[3] % grid
    if below or beside:
        x = functional.pad(x, (0, beside, 0, below), mode="replicate")
    made = [
        one.undo(run(one.apply(x).contiguous(memory_format=torch.channels_last))).float()
        for one in seen
    ]
    mean = torch.stack(made).mean(dim=0)
    return mean[..., : mean.shape[2] - below, : mean.shape[3] - beside]
