"""Networks for noise that neighbouring pixels share: every second pixel apart, then the whole.

A network that learned white noise takes noise that is alike in neighbouring pixels for structure.
Of every second pixel the noise is nearly white. So the image is taken apart into its every second
pixels, each of these smaller images denoised, and put together again: pixel-shuffle down-sampling
[1]_. A second pass over the whole takes away what differs between them.

References
----------
.. [1] Y. Zhou, J. Jiao, H. Huang, Y. Wang, J. Wang, H. Shi, T. Huang, "When AWGN-based denoiser
   meets real noises", AAAI 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.networks import ConvAutoencoder

if TYPE_CHECKING:
    from torch import Tensor


def subsampled(network: ConvAutoencoder, steps: tuple[int, int]) -> ConvAutoencoder:
    """Return a network for noise that neighbours share, with the weights of one for white noise.

    Parameters
    ----------
    network : ConvAutoencoder
        For white noise.
    steps : (int, int)
        Along Y and X: pixels whose distance is a multiple of it are denoised together. 1 where the
        noise of neighbours is independent; (1, 1) gives the network itself.

    Raises
    ------
    DenoisingError
        If the network takes images of one size only.
    """
    if steps == (1, 1):
        return network
    if network.spec.image_size is not None:
        raise DenoisingError(
            f"{network.spec.style.capitalize()} networks take images of one size only, and cannot "
            "see every second pixel apart.",
            "Say that the noise of neighbouring pixels is independent, or use a convolutional "
            "network.",
        )
    with torch.device("meta"):
        twin = SubsampledAutoencoder(network, steps)
    twin.load_state_dict(network.state_dict(keep_vars=True), assign=True)
    return twin.train(network.training)


class SubsampledAutoencoder(ConvAutoencoder):
    """A `ConvAutoencoder` whose image is made in two passes, the first over every second pixel.

    It is for images of any size that is a multiple of the stride; what is taken apart of them is
    filled up by their last pixels. Its code is that of the second pass.
    """

    def __init__(self, network: ConvAutoencoder, steps: tuple[int, int]) -> None:
        super().__init__(network.spec)
        self.shows_variance = network.shows_variance
        self.steps = steps
        self.grid = self.stride * max(steps)
        self._first = self.halo  # of the pixels that the first pass sees, and of the second's
        self._second = -(-self.halo // self.grid) * self.grid
        self.reach += self.reach * max(steps)
        self.halo = self._first * max(steps) + self._second

    def image_and_code(self, x: Tensor, context: int = 0) -> tuple[Tensor, Tensor]:
        """See `ConvAutoencoder.image_and_code`; ``context`` is the halo, or 0."""
        return super().image_and_code(self._apart(x, context), context and self._second)

    def encode(self, x: Tensor, context: int = 0) -> Tensor:
        """See `ConvAutoencoder.encode`."""
        return super().encode(self._apart(x, context), context and self._second)

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `ConvAutoencoder.distribution`."""
        return super().distribution(self._apart(x, 0))

    def _apart(self, x: Tensor, context: int) -> Tensor:
        """Return what the first pass makes of (N, C, H, W), with the context of the second."""
        images, channels, height, width = x.shape
        down, across = self.steps
        below, beside = -height % (down * self.stride), -width % (across * self.stride)
        if below or beside:  # at the image's lower and right edge alone
            x = functional.pad(x, (0, beside, 0, below), mode="replicate")
        rows, columns = x.shape[2] // down, x.shape[3] // across
        small = x.reshape(images, channels, rows, down, columns, across)
        small = small.permute(0, 3, 5, 1, 2, 4).reshape(-1, channels, rows, columns)
        small = small.contiguous(memory_format=torch.channels_last)
        seen_twice = self._first if context else 0
        made = super().image_and_code(small, seen_twice)[0].float()
        rows, columns = made.shape[2:]
        made = made.reshape(images, down, across, channels, rows, columns)
        made = made.permute(0, 3, 4, 1, 5, 2).reshape(images, channels, rows * down, -1)
        off = context - self._second if context else 0  # that the second pass does not see
        top, left = (off - seen_twice * step for step in self.steps)
        kept = made[..., top : top + height - 2 * off, left : left + width - 2 * off]
        return kept.contiguous(memory_format=torch.channels_last)
