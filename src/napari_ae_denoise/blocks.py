"""The building blocks of the networks: they look at a bounded neighbourhood and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
