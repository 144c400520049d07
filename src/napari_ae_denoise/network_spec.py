"""The numbers that a network is built from, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from napari_ae_denoise.errors import DenoisingError

Style = Literal["plain", "residual"]
Edge = Literal["mirror", "zero"]

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
    edge : {"mirror", "zero"}
        What lies beyond the edge of an image when it is denoised. ``mirror``: the mirrored image,
        as far as the network sees. ``zero``: nothing, every layer pads with zeros; for networks
        that were trained on whole images, as those of Keras are, and know their edges so.

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
    edge: Edge = "mirror"

    def __post_init__(self) -> None:
        """Refuse numbers that no network can be built from."""
        if self.style not in get_args(Style):
            raise _refused("style", self.style, f"one of {', '.join(get_args(Style))}")
        if self.edge not in get_args(Edge):
            raise _refused("edge", self.edge, f"one of {', '.join(get_args(Edge))}")
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
