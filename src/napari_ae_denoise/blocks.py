"""The building blocks of the networks: they look at a bounded neighbourhood and nothing else."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))``, both convolutions 3x3 and without bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width), nn.ReLU(inplace=True), conv(width, width, gain=0.1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return x + self.body(x)  # type: ignore[no-any-return]


class DifferenceConv(nn.Conv2d):
    """A 3x3 convolution that sees differences only: what is added to a channel changes nothing.

    Each of its filters sums to zero over the pixels of each channel of the image, so a network that
    begins with it and predicts the noise obeys ``f(x + c) == f(x) + c`` [1]_. It learns much faster
    too: the mean brightness, which says nothing about the noise, would else decide which units are
    at work. Beyond the edge the nearest pixel is repeated, for zeros would be a difference.

    Parameters
    ----------
    channels : int
        Of the image. The inputs are the pixels of a square of each, channel after channel.
    inputs, outputs : int
        Of the convolution.

    References
    ----------
    .. [1] S. Herbreteau, E. Moebel, C. Kervrann, "Normalization-equivariant neural networks with
       application to image denoising", NeurIPS 2023.
    """

    def __init__(self, channels: int, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, padding_mode="replicate", bias=False)
        self.image_channels = channels
        if not self.weight.is_meta:
            nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W).

        Computed in float32: in bfloat16 grey values are too coarse for their differences.
        """
        kind = x.device.type
        known = torch.amp.is_autocast_available(kind)  # the meta device knows none
        cast = known and torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if cast else x.dtype
        with torch.autocast(kind, enabled=False) if known else contextlib.nullcontext():
            outputs, inputs = self.weight.shape[:2]
            each = inputs // self.image_channels
            apart = self.weight.view(outputs, self.image_channels, each, 3, 3)
            weight = (apart - apart.mean((2, 3, 4), keepdim=True)).flatten(1, 2)
            padded = functional.pad(x.to(weight.dtype), (1, 1, 1, 1), mode="replicate")
            return functional.conv2d(padded, weight).to(dtype)


def conv(
    inputs: int, outputs: int, *, size: int = 3, stride: int = 1, gain: float = 1.0
) -> nn.Conv2d:
    """Return a convolution without bias, initialized for ReLU; a small gain: near identity."""
    conv = nn.Conv2d(
        inputs, outputs, size, stride, padding=0 if stride > 1 else size // 2, bias=False
    )
    if not conv.weight.is_meta:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        with torch.no_grad():
            conv.weight.mul_(gain)
    return conv
