"""The network family: one convolutional autoencoder, built from a small frozen spec.

Every layer here looks at a bounded neighbourhood and at nothing else. Batch, instance or group
normalization and global attention would make a pixel depend on the rest of its tile, and tiles
would show; they have no place in this file.
"""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_ae_denoise.blocks import ResidualBlock, conv
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.reach import Interval, input_needed, union

if TYPE_CHECKING:
    from collections.abc import Callable


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

    steps = list(itertools.pairwise(widths))  # (fine, coarse)
    inner = spec.channels * stem**2
    own_code = [] if code == widths[-1] else [(widths[-1], code)]
    return _Parts(
        stem=nn.Sequential(nn.PixelUnshuffle(stem), conv(inner, widths[0])),
        features=[blocks(fine) for fine, _ in steps],
        down=[conv(fine, coarse, size=2, stride=2) for fine, coarse in steps],
        to_code=nn.Sequential(blocks(widths[-1]), *(conv(i, o, size=1) for i, o in own_code)),
        from_code=nn.Sequential(*(conv(o, i, size=1) for i, o in own_code)),
        up=[
            nn.Sequential(conv(coarse, 4 * fine, size=1), nn.PixelShuffle(2))
            for fine, coarse in reversed(steps)
        ],
        refine=[blocks(fine) for fine, _ in reversed(steps)],
        head=nn.Sequential(conv(widths[0], inner, gain=0.1), nn.PixelShuffle(stem)),
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
        if self.spec.skips or h.dtype not in (torch.bfloat16, torch.float16):
            return self.head(h)  # type: ignore[no-any-return]
        # bfloat16 has 8 bits: an image that is made by it, not only corrected, shows steps
        with torch.autocast(h.device.type, enabled=False):
            return self.head(h.float())  # type: ignore[no-any-return]

    def _encoder_needs(self, code: Interval, skipped: list[Interval] | None = None) -> Interval:
        """Return the input pixels that the code (and the skipped features) depend on."""
        need = input_needed(self.to_code, code)
        for features, down in zip(reversed(self.features), reversed(self.down), strict=True):
            need = input_needed(down, need)
            if skipped:
                need = union(need, skipped.pop())
            need = input_needed(features, need)
        return input_needed(self.stem, need)

    def _needs(self, output: Interval) -> Interval:
        """Return the input pixels that the output pixels depend on."""
        need, skipped = input_needed(self.head, output), []
        for up, refine in zip(reversed(self.up), reversed(self.refine), strict=True):
            need = input_needed(refine, need)
            if self.spec.skips:
                skipped.append(need)
            need = input_needed(up, need)
        return union(output, self._encoder_needs(input_needed(self.from_code, need), skipped))

    @property
    def code_ratio(self) -> float:
        """Code values per input value: below 1 under-complete, above 1 over-complete."""
        return self.spec.code_width / (self.spec.channels * self.stride**2)

    @property
    def code_in_words(self) -> str:
        """Whether the code holds fewer or more values than the image, for people."""
        ratio = self.code_ratio
        kind = "under-complete" if ratio < 1 else "over-complete" if ratio > 1 else "complete"
        return f"{ratio:.3g} code values per image value ({kind})"

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


PRESETS: MappingProxyType[str, NetworkSpec] = MappingProxyType(
    {
        "classic": NetworkSpec("plain", widths=(32, 32)),
        "residual": NetworkSpec("residual", widths=(32, 64), blocks=2, skips=True, stem=2),
        "residual-large": NetworkSpec("residual", widths=(64, 128), blocks=2, skips=True, stem=2),
    }
)
"""Named starting points.

``classic`` is the tutorial's network. ``residual`` is the modern default, small enough to learn an
image in half a minute on a CPU, where networks ten times its size are more than a decibel behind.
``residual-large`` is for many images and hours; a third level was no better in
them, and slower (training/README.md).
"""
