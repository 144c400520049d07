"""The first level of a plain network in training: convolution, pooling and ReLU in one pass.

It makes the largest features of the network, only to keep a quarter of them. Here they are made a
part at a time, so small that it stays in the processor's cache, and forgotten: what is remembered
for the gradient is which of four pixels was the largest. No gradient reaches the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from torch.nn import Conv2d

_ROWS = 3136  # squares of 2 x 2 pixels that are made at once; 1.6 MB of 32 features
_SIDE = 4  # pixels that a square of 2 x 2 sees, by a kernel of 3 x 3

# By place in the square, pixel that the square sees, tap of the kernel: 1 where the place sees
# that pixel with that tap. Place p sees pixel p + tap, along each axis.
_SEEN = [[[float(place + tap == pixel) for tap in range(3)] for pixel in range(_SIDE)]
         for place in range(2)]  # fmt: skip


def pooled_first_level(x: Tensor, conv: Conv2d) -> Tensor:
    """Return ``relu(max_pool2d(conv(x), 2))``.

    Parameters
    ----------
    x : Tensor
        (N, C, H, W), H and W even; where no gradient is asked for.
    conv : Conv2d
        3x3, padded by 1, with a bias.
    """
    made: Tensor = _FirstLevel.apply(x, conv.weight, conv.bias)  # type: ignore[no-untyped-call]
    return made


def is_faster(x: Tensor) -> bool:
    """Return whether this way serves for an image: on the CPU, in full precision."""
    return x.device.type == "cpu" and not x.requires_grad and not torch.is_autocast_enabled("cpu")


class _FirstLevel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        squares = _squares(x)  # (rows, C x 16)
        rows, width = len(squares), len(weight)
        kernels = torch.einsum("ocyx,pky,qlx->pqcklo", weight, *_seen(weight))
        kernels = kernels.flatten(2, 4).flatten(0, 1)  # (4, C x 16, width)
        made = x.new_empty(rows, width)
        larger = x.new_empty(3, rows, width)  # 1 where: right of left above, below, below of above
        four = x.new_empty(4, min(_ROWS, rows), width)
        for part in _parts(rows):
            here, masks = squares[part], larger[:, part]
            a, b, c, d = (
                torch.mm(here, kernel, out=of_one[: len(here)])
                for kernel, of_one in zip(kernels, four, strict=True)
            )
            torch.gt(b, a, out=masks[0])
            torch.gt(d, c, out=masks[1])
            above, below = torch.maximum(a, b, out=a), torch.maximum(c, d, out=c)
            torch.gt(below, above, out=masks[2])
            torch.maximum(above, below, out=made[part])
        made.add_(bias).relu_()
        ctx.save_for_backward(squares, made, larger)
        ctx.channels = weight.shape[1]
        height, wide = x.shape[2] // 2, x.shape[3] // 2
        return made.view(len(x), height, wide, width).permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[None, Tensor, Tensor]:
        squares, made, larger = ctx.saved_tensors
        rows, width = made.shape
        slope = slope.permute(0, 2, 3, 1).reshape(rows, width)
        kernels = slope.new_zeros(4, squares.shape[1], width)
        bias = slope.new_zeros(width)
        for part in _parts(rows):
            seen, (right_above, right_below, lower) = squares[part].T, larger[:, part]
            alive = slope[part] * (made[part] > 0)
            bias += alive.sum(0)
            below = alive * lower
            above = alive.sub_(below)
            for first, side, right_wins in ((0, above, right_above), (2, below, right_below)):
                right = side * right_wins
                kernels[first + 1].addmm_(seen, right)
                kernels[first].addmm_(seen, side.sub_(right))
        kernels = kernels.view(2, 2, ctx.channels, _SIDE, _SIDE, width)
        weight = torch.einsum("pqcklo,pky,qlx->ocyx", kernels, *_seen(kernels))
        return None, weight, bias


def _squares(x: Tensor) -> Tensor:
    """Return what each square of 2 x 2 pixels sees, (N x H/2 x W/2, C x 16)."""
    padded = functional.pad(x, (1, 1, 1, 1))
    seen = padded.unfold(2, _SIDE, 2).unfold(3, _SIDE, 2)  # (N, C, H/2, W/2, 4, 4)
    return seen.permute(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * _SIDE**2)


def _seen(like: Tensor) -> tuple[Tensor, Tensor]:
    seen = torch.tensor(_SEEN, dtype=like.dtype)
    return seen, seen


def _parts(rows: int) -> list[slice]:
    return [slice(first, min(first + _ROWS, rows)) for first in range(0, rows, _ROWS)]
