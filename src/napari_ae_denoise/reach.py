"""What a layer needs of its input: the rule that a network's stride and halo follow from.

All intervals are of pixels along one axis, inclusive, as integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from napari_ae_denoise.blocks import ResidualBlock

if TYPE_CHECKING:
    from collections.abc import Iterable

Interval = tuple[int, int]


def union(a: Interval, b: Interval) -> Interval:
    """Return the interval that spans both."""
    return min(a[0], b[0]), max(a[1], b[1])


def input_needed(layer: nn.Module, output: Interval) -> Interval:
    """Return the interval of inputs that an interval of a layer's outputs depends on."""
    low, high = output
    if isinstance(layer, nn.Sequential):
        return _chain(layer, output)
    if isinstance(layer, ResidualBlock):
        return union(output, _chain(layer.body, output))
    if isinstance(layer, nn.Conv2d):
        size, stride, padding = _one(layer.kernel_size), _one(layer.stride), _one(layer.padding)
        return low * stride - padding, high * stride - padding + size - 1
    if isinstance(layer, nn.MaxPool2d):
        size, stride = _one(layer.kernel_size), _one(layer.stride)
        return low * stride, high * stride + size - 1
    if isinstance(layer, nn.PixelUnshuffle):
        factor = layer.downscale_factor
        return low * factor, high * factor + factor - 1
    if isinstance(layer, nn.PixelShuffle):
        return low // layer.upscale_factor, high // layer.upscale_factor
    if isinstance(layer, nn.Upsample):
        factor = _one(layer.scale_factor)
        return low // factor, high // factor
    if isinstance(layer, nn.Identity | nn.ReLU | nn.Sigmoid):
        return output
    raise TypeError(f"the reach of a {type(layer).__name__} is not known")


def _chain(layers: Iterable[nn.Module], output: Interval) -> Interval:
    for layer in reversed(list(layers)):
        output = input_needed(layer, output)
    return output


def _one(value: Any) -> int:
    """Return the number that a layer's square setting stands for."""
    numbers = {int(v) for v in (value if isinstance(value, tuple) else (value,))}
    if len(numbers) != 1:
        raise TypeError(f"only square layers have one reach, not {value}")
    return numbers.pop()
