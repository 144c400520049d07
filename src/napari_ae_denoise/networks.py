"""The network family: one convolutional autoencoder, built from a small frozen spec.

Every layer here looks at a bounded neighbourhood and at nothing else. Batch, instance or group
normalization and global attention would make a pixel depend on the rest of its tile, and tiles
would show; they have no place in this file.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_ae_denoise.errors import DenoisingError

Style = Literal["plain", "residual"]

# Bounds on what a spec may ask for: a model file is untrusted, and its spec is read first.
_LARGEST = {"channels": 64, "stem": 8, "width": 4096, "levels": 6, "blocks": 64}


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """The numbers that a network is built from.

    Parameters
    ----------
    style : {"plain", "residual"}
        ``plain``: convolution, ReLU and max-pooling down, nearest-neighbour upsampling up, biases,
        a sigmoid at the end; the layout of the classic tutorial autoencoder.
        ``residual``: residual blocks without biases and without normalization layers between a
        pixel-unshuffle stem, strided convolutions down and pixel-shuffle up. Without biases the
        network is homogeneous, ``f(a * x) == a * f(x)`` for ``a > 0``, and works at noise levels
        that it has not seen [1]_.
    channels : int
        Channels of the image, in and out.
    widths : tuple of int
        Feature channels of each level, from fine to coarse.
    blocks : int
        Residual blocks at each level, on the way down and again on the way up; the coarsest level
        has them once, before the code (style ``residual`` only).
    code_channels : int, optional
        Channels of the latent code; by default the last width.
    skips : bool
        Whether features of the encoder are added to those of the decoder. In the style
        ``residual`` the network then also predicts the noise, and its output is input minus
        noise. Without skips the decoder makes the image from the code alone.
    stem : int
        Factor of the pixel-unshuffle before the first convolution (style ``residual`` only).

    References
    ----------
    .. [1] S. Mohan, Z. Kadkhodaie, E. P. Simoncelli, C. Fernandez-Granda, "Robust and
       interpretable blind image denoising via bias-free convolutional neural networks",
       ICLR 2020.
    """

    style: Style
    channels: int = 1
    widths: tuple[int, ...] = (32, 32)
    blocks: int = 2
    code_channels: int | None = None
    skips: bool = False
    stem: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that no network can be built from."""
        if self.style not in _BUILDERS:
            raise _refused("style", self.style, f"one of {', '.join(_BUILDERS)}")
        if not 1 <= len(self.widths) <= _LARGEST["levels"]:
            raise _refused("widths", self.widths, f"1 to {_LARGEST['levels']} numbers")
        code = self.widths[-1] if self.code_channels is None else self.code_channels
        for name, value, most in [
            ("channels", self.channels, _LARGEST["channels"]),
            ("stem", self.stem, _LARGEST["stem"]),
            ("blocks", self.blocks, _LARGEST["blocks"]),
            *(("widths", width, _LARGEST["width"]) for width in self.widths),
            ("code_channels", code, _LARGEST["width"]),
        ]:
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise _refused(name, value, f"a whole number from 1 to {most}")

    @property
    def code_width(self) -> int:
        """Channels of the latent code."""
        return self.widths[-1] if self.code_channels is None else self.code_channels


def _refused(name: str, value: object, allowed: str) -> DenoisingError:
    return DenoisingError(
        f"A network cannot be built with {name} = {value!r}.", f"Give {name} as {allowed}."
    )


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))``, both convolutions 3x3 and without bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width), nn.ReLU(inplace=True), _conv(width, width, gain=0.1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return x + self.body(x)  # type: ignore[no-any-return]


def _conv(
    inputs: int, outputs: int, *, size: int = 3, stride: int = 1, gain: float = 1.0
) -> nn.Conv2d:
    """Return a convolution without bias, initialized for ReLU; a small gain starts near identity."""
    conv = nn.Conv2d(
        inputs, outputs, size, stride, padding=0 if stride > 1 else size // 2, bias=False
    )
    if not conv.weight.is_meta:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        with torch.no_grad():
            conv.weight.mul_(gain)
    return conv


@dataclass(frozen=True, slots=True)
class _Parts:
    """The layers of a network; levels run from fine to coarse in ``features`` and ``down``."""

    stem: nn.Module
    features: list[nn.Module]
    down: list[nn.Module]
    to_code: nn.Module
    from_code: nn.Module
    up: list[nn.Module]  # from coarse to fine
    refine: list[nn.Module]  # from coarse to fine
    head: nn.Module


def _plain(spec: NetworkSpec) -> _Parts:
    widths = [*spec.widths[:-1], spec.code_width]

    def conv_relu(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]

    inputs = [spec.channels, *widths[:-1]]
    up_in = [spec.code_width, *reversed(widths[1:])]
    return _Parts(
        stem=nn.Identity(),
        features=[nn.Sequential(*conv_relu(i, o)) for i, o in zip(inputs, widths, strict=True)],
        down=[nn.MaxPool2d(2) for _ in widths],
        to_code=nn.Identity(),
        from_code=nn.Identity(),
        up=[
            nn.Sequential(*conv_relu(i, o), nn.Upsample(scale_factor=2, mode="nearest"))
            for i, o in zip(up_in, reversed(widths), strict=True)
        ],
        refine=[nn.Identity() for _ in widths],
        head=nn.Sequential(nn.Conv2d(widths[0], spec.channels, 3, padding=1), nn.Sigmoid()),
    )


def _residual(spec: NetworkSpec) -> _Parts:
    widths, code, stem = spec.widths, spec.code_width, spec.stem

    def blocks(width: int) -> nn.Module:
        return nn.Sequential(*(ResidualBlock(width) for _ in range(spec.blocks)))

    steps = list(zip(widths[:-1], widths[1:], strict=True))  # (fine, coarse)
    inner = spec.channels * stem**2
    own_code = [] if code == widths[-1] else [(widths[-1], code)]
    return _Parts(
        stem=nn.Sequential(nn.PixelUnshuffle(stem), _conv(inner, widths[0])),
        features=[blocks(fine) for fine, _ in steps],
        down=[_conv(fine, coarse, size=2, stride=2) for fine, coarse in steps],
        to_code=nn.Sequential(blocks(widths[-1]), *(_conv(i, o, size=1) for i, o in own_code)),
        from_code=nn.Sequential(*(_conv(o, i, size=1) for i, o in own_code)),
        up=[
            nn.Sequential(_conv(coarse, 4 * fine, size=1), nn.PixelShuffle(2))
            for fine, coarse in reversed(steps)
        ],
        refine=[blocks(fine) for fine, _ in reversed(steps)],
        head=nn.Sequential(_conv(widths[0], inner, gain=0.1), nn.PixelShuffle(stem)),
    )


_BUILDERS: dict[str, Callable[[NetworkSpec], _Parts]] = {"plain": _plain, "residual": _residual}


class ConvAutoencoder(nn.Module):
    """A convolutional autoencoder: ``code = encode(x)``, ``image = decode(code)``.

    Parameters
    ----------
    spec : NetworkSpec
        What to build.

    Attributes
    ----------
    spec : NetworkSpec
        What it was built from.
    stride : int
        Input pixels per code pixel along Y and X. Inputs must be multiples of it.
    reach : int
        How many pixels beyond a code pixel's own square of ``stride`` pixels the output on that
        square can depend on. Follows from the layers.
    halo : int
        ``reach`` rounded up to a multiple of the stride: the context that a tile needs on each
        side.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        parts = _BUILDERS[spec.style](spec)
        self.stem = parts.stem
        self.features = nn.ModuleList(parts.features)
        self.down = nn.ModuleList(parts.down)
        self.to_code = parts.to_code
        self.from_code = parts.from_code
        self.up = nn.ModuleList(parts.up)
        self.refine = nn.ModuleList(parts.refine)
        self.head = parts.head

        first, second = self._encoder_needs((0, 0)), self._encoder_needs((1, 1))
        self.stride = second[0] - first[0]
        low, high = self._needs((0, self.stride - 1))
        self.reach = max(-low, high - (self.stride - 1))
        self.halo = math.ceil(self.reach / self.stride) * self.stride

    def forward(self, x: Tensor) -> Tensor:
        """Denoise (N, channels, H, W); H and W are multiples of the stride."""
        return self.image_and_code(x)[0]

    def encode(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the code (N, code_width, H/stride, W/stride)."""
        return self._down(x)[0]

    def decode(self, code: Tensor) -> Tensor:
        """Map the code to the image; needs a network without skips."""
        if self.spec.skips:
            raise DenoisingError(
                "This network has skip connections, so its image cannot be made from the code "
                "alone.",
                "Use a network trained with skips off.",
            )
        return self._up(code, [])

    def image_and_code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the denoised image and the code of (N, channels, H, W) from one pass."""
        code, skipped = self._down(x)
        if not self.spec.skips:
            return self._up(code, []), code
        made = self._up(code, skipped)
        return (x - made if self.spec.style == "residual" else made), code

    def _down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        h, skipped = self.stem(x), []
        for features, down in zip(self.features, self.down, strict=True):
            h = features(h)
            skipped.append(h)
            h = down(h)
        return self.to_code(h), skipped

    def _up(self, code: Tensor, skipped: list[Tensor]) -> Tensor:
        h = self.from_code(code)
        for up, refine in zip(self.up, self.refine, strict=True):
            h = up(h)
            if skipped:
                h = h + skipped.pop()
            h = refine(h)
        return self.head(h)  # type: ignore[no-any-return]

    def _encoder_needs(self, code: Interval, skipped: list[Interval] | None = None) -> Interval:
        """Return the input pixels that the code (and the skipped features) depend on."""
        need = _input_needed(self.to_code, code)
        for features, down in zip(reversed(self.features), reversed(self.down), strict=True):
            need = _input_needed(down, need)
            if skipped:
                need = _union(need, skipped.pop())
            need = _input_needed(features, need)
        return _input_needed(self.stem, need)

    def _needs(self, output: Interval) -> Interval:
        """Return the input pixels that the output pixels depend on."""
        need, skipped = _input_needed(self.head, output), []
        for up, refine in zip(reversed(self.up), reversed(self.refine), strict=True):
            need = _input_needed(refine, need)
            if self.spec.skips:
                skipped.append(need)
            need = _input_needed(up, need)
        return _union(output, self._encoder_needs(_input_needed(self.from_code, need), skipped))

    @property
    def code_ratio(self) -> float:
        """Code values per input value: below 1 under-complete, above 1 over-complete."""
        return self.spec.code_width / (self.spec.channels * self.stride**2)

    @property
    def code_in_words(self) -> str:
        """Whether the code holds fewer or more values than the image, for people."""
        ratio = self.code_ratio
        kind = "under-complete" if ratio < 1 else "over-complete" if ratio > 1 else "complete"
        return f"code {ratio:g} x the image's values ({kind})"

    @property
    def parameter_count(self) -> int:
        """Number of trained numbers."""
        return sum(p.numel() for p in self.parameters())

    def copy_on(self, device: torch.device) -> ConvAutoencoder:
        """Return a copy for inference on a device, laid out as convolutions run fastest."""
        twin = copy.deepcopy(self).eval().requires_grad_(False)
        return twin.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    @property
    def bytes_per_pixel(self) -> float:
        """About the most memory that a pass takes per input pixel, in bytes (float32).

        The features of the finest level are the largest, and about six such tensors live at once
        (input and output of a convolution, its workspace, the skipped features).
        """
        return 4 * 6 * self.spec.widths[0] / self.spec.stem**2

    @property
    def multiply_adds(self) -> float:
        """Multiply-adds of the convolutions per input pixel."""
        side = 8 * self.stride
        total = 0.0
        twin = build_empty(self.spec)

        def count(conv: nn.Module, _inputs: object, output: Tensor) -> None:
            nonlocal total
            assert isinstance(conv, nn.Conv2d)
            total += conv.weight.numel() * output.shape[-2] * output.shape[-1]

        for module in twin.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(count)
        twin(torch.empty(1, self.spec.channels, side, side, device="meta"))
        return total / side**2


def build_empty(spec: NetworkSpec) -> ConvAutoencoder:
    """Build a network whose weights take no memory (torch's meta device)."""
    with torch.device("meta"):
        return ConvAutoencoder(spec)


# ---- what a layer needs of its input, in pixels along one axis: inclusive intervals of integers

Interval = tuple[int, int]


def _union(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])


def _input_needed(layer: nn.Module, output: Interval) -> Interval:
    """Return the interval of inputs that an interval of a layer's outputs depends on."""
    low, high = output
    if isinstance(layer, nn.Sequential):
        return _chain(layer, output)
    if isinstance(layer, ResidualBlock):
        return _union(output, _chain(layer.body, output))
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
        output = _input_needed(layer, output)
    return output


def _one(value: Any) -> int:
    """Return the number that a layer's square setting stands for."""
    numbers = {int(v) for v in (value if isinstance(value, tuple) else (value,))}
    if len(numbers) != 1:
        raise TypeError(f"only square layers have one reach, not {value}")
    return numbers.pop()


PRESETS: MappingProxyType[str, NetworkSpec] = MappingProxyType(
    {
        "classic": NetworkSpec("plain", widths=(32, 32)),
        "residual": NetworkSpec("residual", widths=(48, 96, 192), blocks=2, skips=True, stem=2),
    }
)
"""Named starting points: ``classic`` is the tutorial's network, ``residual`` the modern default."""
