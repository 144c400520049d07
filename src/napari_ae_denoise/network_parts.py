"""The layers of each style of network, made from a spec."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from napari_ae_denoise.blocks import DifferenceConv, ResidualBlock, conv

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_ae_denoise.network_spec import NetworkSpec

# Of a few units all may be dead: nothing passes a ReLU whose input is always below zero, and no
# gradient either. Of codes of one and two channels 23 and 5 of 60 began so, and stayed one grey.
# With a positive bias all begin alive (Goodfellow et al., "Deep Learning", 6.3.1).
_NARROW = 4  # channels
_ALIVE = 0.5


@dataclass(frozen=True, slots=True)
class Parts:
    """The layers of a network; levels run from fine to coarse in ``features`` and ``down``."""

    stem: nn.Module
    features: list[nn.Module]
    down: list[nn.Module]
    to_code: nn.Module
    from_code: nn.Module
    up: list[nn.Module]  # from coarse to fine
    refine: list[nn.Module]  # from coarse to fine
    head: nn.Module


def _plain(spec: NetworkSpec) -> Parts:
    widths = list(spec.widths) if spec.own_code_layer else [*spec.widths[:-1], spec.code_width]

    def conv_relu(inputs: int, outputs: int) -> list[nn.Module]:
        made = nn.Conv2d(inputs, outputs, 3, padding=1)
        if outputs <= _NARROW and made.bias is not None:
            nn.init.constant_(made.bias, _ALIVE)
        return [made, nn.ReLU(inplace=True)]

    inputs = [spec.channels, *widths[:-1]]
    up_in = [spec.code_width, *reversed(widths[1:])]
    own_code = _code_layer(spec, widths[-1])
    return Parts(
        stem=nn.Identity(),
        features=[nn.Sequential(*conv_relu(i, o)) for i, o in zip(inputs, widths, strict=True)],
        down=[nn.MaxPool2d(2) for _ in widths],
        to_code=nn.Sequential(*own_code) if own_code else nn.Identity(),
        from_code=nn.Identity(),
        up=[
            nn.Sequential(*conv_relu(i, o), nn.Upsample(scale_factor=2, mode="nearest"))
            for i, o in zip(up_in, reversed(widths), strict=True)
        ],
        refine=[nn.Identity() for _ in widths],
        head=nn.Sequential(nn.Conv2d(widths[0], spec.channels, 3, padding=1), nn.Sigmoid()),
    )


def _residual(spec: NetworkSpec) -> Parts:
    widths, code, stem = spec.widths, spec.code_width, spec.stem

    def blocks(width: int) -> nn.Module:
        return nn.Sequential(*(ResidualBlock(width) for _ in range(spec.blocks)))

    steps = list(itertools.pairwise(widths))  # (fine, coarse)
    inner = spec.channels * stem**2
    narrowed = [] if code == widths[-1] else [conv(widths[-1], code, size=1)]
    own_code = _code_layer(spec, widths[-1]) or narrowed
    first: nn.Module = conv(inner, widths[0])
    if spec.differences:
        first = DifferenceConv(spec.channels, inner, widths[0])
    return Parts(
        stem=nn.Sequential(nn.PixelUnshuffle(stem), first),
        features=[blocks(fine) for fine, _ in steps],
        down=[conv(fine, coarse, size=2, stride=2) for fine, coarse in steps],
        to_code=nn.Sequential(blocks(widths[-1]), *own_code),
        from_code=nn.Sequential(*([conv(code, widths[-1], size=1)] if own_code else [])),
        up=[
            nn.Sequential(conv(coarse, 4 * fine, size=1), nn.PixelShuffle(2))
            for fine, coarse in reversed(steps)
        ],
        refine=[blocks(fine) for fine, _ in reversed(steps)],
        head=nn.Sequential(conv(widths[0], inner, gain=0.1), nn.PixelShuffle(stem)),
    )


def _dense(spec: NetworkSpec) -> Parts:
    """Return fully-connected layers over a square.

    Pixel-unshuffle by the square's side makes one code pixel of it, whose channels are its pixels:
    a 1x1 convolution is then a fully-connected layer. So the network has a stride (the side), a
    reach (none) and tiles (one for each image) like any other.
    """
    side = max(spec.image_size or (1, 1))
    pixels = spec.channels * side**2
    relu = [] if spec.linear else [nn.ReLU(inplace=True)]

    def layer(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=spec.bias), *relu)

    sizes = [pixels, *spec.widths]
    own_code = _code_layer(spec, sizes[-1], bias=spec.bias)
    if not own_code:
        own_code = [nn.Conv2d(sizes[-1], spec.code_width, 1, bias=spec.bias)]
    back = [spec.code_width, *reversed(spec.widths)]
    return Parts(
        stem=nn.PixelUnshuffle(side),
        features=[layer(i, o) for i, o in itertools.pairwise(sizes)],
        down=[nn.Identity() for _ in spec.widths],
        to_code=nn.Sequential(*own_code),
        from_code=nn.Identity(),
        up=[layer(i, o) for i, o in itertools.pairwise(back)],
        refine=[nn.Identity() for _ in spec.widths],
        head=nn.Sequential(
            nn.Conv2d(back[-1], pixels, 1, bias=spec.bias),
            nn.PixelShuffle(side),
            *([] if spec.linear else [nn.Sigmoid()]),
        ),
    )


def _code_layer(spec: NetworkSpec, inputs: int, *, bias: bool = True) -> list[nn.Module]:
    """Return what makes the code from the last features, where the spec asks for a layer."""
    if not spec.own_code_layer:
        return []
    outputs = spec.code_width * (2 if spec.variational else 1)  # mean, log-variance
    own = nn.Conv2d(inputs, outputs, 1, bias=bias)
    return [own, nn.Sigmoid()] if spec.code_activation == "sigmoid" else [own]


BUILDERS: dict[str, Callable[[NetworkSpec], Parts]] = {
    "plain": _plain,
    "residual": _residual,
    "dense": _dense,
}
"""What makes the layers of each style: a closed table, for a spec may come from a file."""
