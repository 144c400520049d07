"""The network family: one convolutional autoencoder, built from a small frozen spec.

Every layer here looks at a bounded neighbourhood and at nothing else. Batch, instance or group
normalization and global attention would make a pixel depend on the rest of its tile, and tiles
would show; they have no place in this file.
"""

from __future__ import annotations

import copy
import functools
import math
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_ae_denoise.cuts import Cuts, cut
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.network_parts import BUILDERS
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.reach import Interval, input_needed, union

_FARTHEST = 2048  # pixels of halo: a tile of one pixel takes a GB then, in the smallest networks
_LOG_VARIANCES = (-14.0, 14.0)  # beyond, their exponential is no use to anybody


class NetworkPass(NamedTuple):
    """What one pass of training gives.

    Parameters
    ----------
    image : Tensor
        (N, channels, H, W), made from ``code``.
    code : Tensor
        (N, code_width, H/stride, W/stride); of a variational network, drawn from its Gaussian.
    mean, log_variance : Tensor
        Of the code's Gaussian, in the shape of the code; ``code`` and None where there is none.
    """

    image: Tensor
    code: Tensor
    mean: Tensor
    log_variance: Tensor | None


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
    grid : int
        Tiles begin at multiples of it along Y and X; a multiple of the stride.
    steps : (int, int)
        Along Y and X: how far apart pixels are that are seen together; see `subsampled`.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.shows_variance = False  # see `variance_encoder`
        parts = BUILDERS[spec.style](spec)
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
        if self.halo > _FARTHEST:
            raise DenoisingError(
                f"The network would see {self.halo} pixels around each; at most {_FARTHEST} fit.",
                "Choose fewer levels, or fewer blocks a level.",
            )
        self.grid = self.stride
        self.steps = (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Denoise (N, channels, H, W); H and W are multiples of the stride."""
        return self.image_and_code(x)[0]

    def encode(self, x: Tensor, context: int = 0) -> Tensor:
        """Map (N, channels, H, W) to the code (N, code_width, H/stride, W/stride) of the inside.

        The code of a variational network is the mean of its Gaussian. ``context``: see
        `image_and_code`.
        """
        cuts = _cuts(self.spec, context)
        return cut(self._code(self._down(x, cuts)[0]), cuts.code)

    def decode(self, code: Tensor) -> Tensor:
        """Map the code to the image; needs a network without skips."""
        if self.spec.skips:
            raise DenoisingError(
                "This network has skip connections, so its image cannot be made from the code "
                "alone.",
                "Use a network trained with skips off.",
            )
        return self._up(code, [])

    def image_and_code(self, x: Tensor, context: int = 0) -> tuple[Tensor, Tensor]:
        """Return the denoised image and the code of (N, channels, H, W) from one pass.

        Parameters
        ----------
        x : Tensor
            The image.
        context : int
            How many pixels on each side are only looked at: image and code are those of the inside,
            and what only the context's own would need is not computed. A multiple of the stride,
            and at least the halo; or 0.
        """
        cuts = _cuts(self.spec, context)
        features, skipped = self._down(x, cuts)
        code = self._code(features)
        made = cut(self._up(cut(code, cuts.code_up), skipped, cuts), cuts.made)
        if self.spec.skips and self.spec.style == "residual":
            made = cut(x, cuts.image) - made
        return made, cut(code, cuts.code)

    def training_pass(self, x: Tensor, generator: torch.Generator | None = None) -> NetworkPass:
        """Return all that penalties look at, from one pass.

        The code of a variational network is drawn by reparametrization [1]_:
        ``code = mean + exp(log_variance / 2) * e``, with ``e`` from the unit Gaussian by the
        generator, so that gradients reach mean and variance.

        References
        ----------
        .. [1] D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014, eq. 10.
        """
        if not self.spec.variational:
            image, code = self.image_and_code(x)
            return NetworkPass(image, code, code, None)
        mean, log_variance = self.distribution(x)
        drawn = torch.randn(mean.shape, generator=generator).to(mean.device)
        code = mean + torch.exp(log_variance / 2) * drawn
        return NetworkPass(self._up(code, []), code, mean, log_variance)

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the code of (N, channels, H, W), float32."""
        if not self.spec.variational:
            raise DenoisingError(
                "This network has a plain code, which has no variance.",
                "Use a variational network.",
            )
        mean, log_variance = self._down(x)[0].float().chunk(2, dim=1)
        return mean, log_variance.clamp(*_LOG_VARIANCES)

    def variance_encoder(self) -> ConvAutoencoder:
        """Return this variational network, its weights shared, with the variance for its code."""
        twin = copy.copy(self)
        twin.shows_variance = True
        return twin

    def _code(self, features: Tensor) -> Tensor:
        """Return the code that the last layer of the encoder says."""
        if not self.spec.variational:
            return features
        mean, log_variance = features.chunk(2, dim=1)
        if self.shows_variance:
            return log_variance.float().clamp(*_LOG_VARIANCES).exp()
        return mean

    def _down(self, x: Tensor, cuts: Cuts | None = None) -> tuple[Tensor, list[Tensor]]:
        cuts = cuts or _cuts(self.spec, 0)
        h, skipped = self.stem(x), []
        for level, (features, down) in enumerate(zip(self.features, self.down, strict=True)):
            h = features(h)
            if self.spec.skips:
                skipped.append(cut(h, cuts.skipped[level]))
            h = down(cut(h, cuts.down[level]))
        return self.to_code(h), skipped

    def _up(self, code: Tensor, skipped: list[Tensor], cuts: Cuts | None = None) -> Tensor:
        cuts = cuts or _cuts(self.spec, 0)
        h = self.from_code(code)
        for up, refine, pixels in zip(self.up, self.refine, reversed(cuts.up), strict=True):
            h = cut(up(h), pixels)
            if skipped:
                h += skipped.pop()  # in place: features of a tile are megabytes
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
        if self.spec.style == "dense":
            return 4 * 6 * self.spec.channels
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


@functools.lru_cache(maxsize=256)
def _cuts(spec: NetworkSpec, context: int) -> Cuts:
    return Cuts.of(build_empty(spec), context)


def build_empty(spec: NetworkSpec) -> ConvAutoencoder:
    """Build a network whose weights take no memory (torch's meta device)."""
    with torch.device("meta"):
        return ConvAutoencoder(spec)


_RESIDUAL = NetworkSpec(
    "residual",
    widths=(32, 64),
    blocks=2,
    skips=True,
    stem=2,
    differences=True,
    edge="zero",  # as its patches end: faster than the mirrored image, and 0.02 dB better
)
PRESETS: MappingProxyType[str, NetworkSpec] = MappingProxyType(
    {
        "classic": NetworkSpec("plain", widths=(32, 32)),
        "residual": _RESIDUAL,
        "residual-large": replace(_RESIDUAL, widths=(64, 128)),
        "dense": NetworkSpec("dense", widths=(256,), code_channels=32, image_size=(28, 28)),
    }
)
"""Named starting points.

``classic`` is the tutorial's network. ``residual`` is the modern default, small enough to learn an
image in half a minute on a CPU, where networks ten times its size are more than a decibel behind.
``residual-large`` is for many images and hours; a third level was no better in
them, and slower (training/README.md). ``dense`` is fully connected, for small images of one size,
which `TrainSettings` takes from the images.
"""
