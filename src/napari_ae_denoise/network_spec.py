"""The numbers that a network is built from, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.plain_numbers import is_whole

Style = Literal["plain", "residual", "dense"]
Edge = Literal["mirror", "zero"]
CodeActivation = Literal["linear", "sigmoid"]

# Bounds on what a spec may ask for: a model file is untrusted, and its spec is read first.
_LARGEST = {"channels": 64, "stem": 8, "width": 4096, "levels": 6, "blocks": 64, "side": 4096}
_LARGEST_LAYER = 2**25  # weights of a fully-connected layer
_USUAL_LAYER = 2**23  # the same, where the size of the images decides the units


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """The numbers that a network is built from.

    Parameters
    ----------
    style : {"plain", "residual", "dense"}
        ``plain``: convolution, ReLU and max-pooling down, nearest-neighbour upsampling up, biases,
        a sigmoid at the end; the layout of the classic tutorial autoencoder.
        ``residual``: residual blocks without biases and without normalization layers between a
        pixel-unshuffle stem, strided convolutions down and pixel-shuffle up. Without biases the
        network is homogeneous, ``f(a * x) == a * f(x)`` for ``a > 0``, and works at noise levels
        that it has not seen [1]_.
        ``dense``: fully-connected layers, for images of one fixed size. All of the image is one
        code pixel; see ``image_size``.
    channels : int
        Channels of the image, in and out.
    widths : tuple of int
        Feature channels of each level, from fine to coarse; for ``dense`` the units of each hidden
        layer before the code, none or several.
    blocks : int
        Residual blocks at each level, on the way down and again on the way up; the coarsest level
        has them once, before the code (style ``residual`` only).
    code_channels : int, optional
        Channels of the latent code (units, for ``dense``); by default the last width.
    skips : bool
        Whether features of the encoder are added to those of the decoder. In the style
        ``residual`` the network then also predicts the noise, and its output is input minus
        noise. Without skips the decoder makes the image from the code alone.
    stem : int
        Factor of the pixel-unshuffle before the first convolution (style ``residual`` only).
    differences : bool
        Whether the first layer sees differences of grey values only (style ``residual`` with skips
        only): the network is then blind to the mean brightness, ``f(x + c) == f(x) + c``, and
        learns faster; see `DifferenceConv`.
    edge : {"mirror", "zero"}
        What lies beyond the edge of an image when it is denoised. ``mirror``: the mirrored image,
        as far as the network sees. ``zero``: nothing, every layer pads with zeros. That is how
        patches end in training, and whole images in those of Keras; it is faster, too.
    code_activation : {"linear", "sigmoid"}, optional
        What the code is made with: a 1x1 convolution of its own, and for ``sigmoid`` the sigmoid
        after it, so that each unit is between 0 and 1. By default the code is what the layers of
        the style leave: after ReLU for ``plain``, linear for the others.
    variational : bool
        Whether the encoder gives the mean and the log-variance of a Gaussian instead of a point.
        The code of an image is then the mean; see `NetworkPass`.
    image_size : tuple of int, optional
        (Y, X) of the images of a ``dense`` network, which needs it; no other style takes it. The
        network sees a square of the longer side.
    linear : bool
        Whether a ``dense`` network has neither ReLU nor, at the end, a sigmoid.
    bias : bool
        Whether the layers of a ``dense`` network have biases.

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
    code_activation: CodeActivation | None = None
    variational: bool = False
    image_size: tuple[int, int] | None = None
    linear: bool = False
    bias: bool = True
    differences: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that no network can be built from."""
        if self.style not in get_args(Style):
            raise _refused("style", self.style, f"one of {', '.join(get_args(Style))}")
        if self.edge not in get_args(Edge):
            raise _refused("edge", self.edge, f"one of {', '.join(get_args(Edge))}")
        self._take_plain()
        least = 0 if self.style == "dense" and self.code_channels is not None else 1
        given: Any = self.widths
        if not (isinstance(given, tuple) and least <= len(given) <= _LARGEST["levels"]):
            raise _refused("widths", self.widths, f"{least} to {_LARGEST['levels']} numbers")
        code = self.widths[-1] if self.code_channels is None else self.code_channels
        for name, value, most in [
            ("channels", self.channels, _LARGEST["channels"]),
            ("stem", self.stem, _LARGEST["stem"]),
            ("blocks", self.blocks, _LARGEST["blocks"]),
            *(("widths", width, _LARGEST["width"]) for width in self.widths),
            ("code_channels", code, _LARGEST["width"]),
        ]:
            if not (is_whole(value) and 1 <= value <= most):
                raise _refused(name, value, f"a whole number from 1 to {most}")
        self._check_code()
        if self.differences and not (self.style == "residual" and self.skips):
            raise DenoisingError(
                "A network that sees differences only cannot make an image, only correct one.",
                "Choose the style residual with skips=True, or differences=False.",
            )
        if self.style == "dense":
            self._check_dense()
        elif self.image_size is not None or self.linear or not self.bias:
            raise DenoisingError(
                f"image_size, linear and bias are of the style dense, not of {self.style}.",
                "Leave them out, or choose the style dense.",
            )

    def _take_plain(self) -> None:
        """Take lists as tuples, and whole numbers of numpy as those of Python."""
        for name in ("channels", "widths", "blocks", "code_channels", "stem", "image_size"):
            object.__setattr__(self, name, _plain(getattr(self, name)))

    def _check_code(self) -> None:
        """Refuse codes that contradict themselves."""
        if self.code_activation not in (None, *get_args(CodeActivation)):
            allowed = f"one of {', '.join(get_args(CodeActivation))}, or leave it out"
            raise _refused("code_activation", self.code_activation, allowed)
        for name in ("skips", "variational", "linear", "bias", "differences"):
            if not isinstance(getattr(self, name), bool):
                raise _refused(name, getattr(self, name), "True or False")
        if self.variational and self.code_activation == "sigmoid":
            raise DenoisingError(
                "A variational code is Gaussian, and a sigmoid code is between 0 and 1.",
                "Leave code_activation out, or choose variational=False.",
            )
        if self.variational and self.skips:
            raise DenoisingError(
                "A variational network with skip connections makes its image from more than the "
                "code, and learns to leave the code empty.",
                "Choose skips=False, or variational=False.",
            )

    def _check_dense(self) -> None:
        """Refuse what no fully-connected network can be."""
        size: Any = self.image_size
        if not (isinstance(size, tuple) and len(size) == 2):
            raise _refused("image_size", size, "the height and width of its images")
        for value in size:
            if not is_whole(value):
                raise _refused("image_size", size, "two whole numbers")
            if not 1 <= value <= _LARGEST["side"]:
                raise _refused("image_size", size, f"numbers from 1 to {_LARGEST['side']}")
        if self.skips:
            raise DenoisingError(
                "A fully-connected network has no skip connections.", "Choose skips=False."
            )
        inputs = self.channels * max(size) ** 2
        first = self.widths[0] if self.widths else self.code_width * (2 if self.variational else 1)
        if inputs * first > _LARGEST_LAYER:
            raise DenoisingError(
                f"A fully-connected network for images of {size[0]} x {size[1]} pixels with "
                f"{first} units in its first layer has {inputs * first / 1e6:.0f} million weights "
                "there.",
                f"Choose at most {max(_LARGEST_LAYER // inputs, 1)} units, smaller images, or a "
                "convolutional network.",
            )

    @property
    def own_code_layer(self) -> bool:
        """Whether the code comes from a 1x1 convolution of its own."""
        return self.code_activation is not None or self.variational

    @property
    def ends_in_sigmoid(self) -> bool:
        """Whether the network can make nothing beyond 0 and 1."""
        return self.style == "plain" or (self.style == "dense" and not self.linear)

    @property
    def code_width(self) -> int:
        """Channels of the latent code."""
        return self.widths[-1] if self.code_channels is None else self.code_channels

    def sized(self, size: tuple[int, int], channels: int) -> NetworkSpec:
        """Return the spec for images of a size (Y, X) and so many channels.

        One of the style ``dense`` gets fewer hidden units where the images are large.
        """
        if self.style != "dense":
            return replace(self, channels=channels)
        most = max(_USUAL_LAYER // (channels * max(size) ** 2), 1)
        widths = tuple(min(width, most) for width in self.widths)
        return replace(self, channels=channels, image_size=size, widths=widths)

    def check_plane(self, size: tuple[int, int]) -> None:
        """Refuse images (Y, X) of another size than a fully-connected network's."""
        if self.image_size is None or tuple(size) == self.image_size:
            return
        raise DenoisingError(
            f"This network is fully connected and sees images of {self.image_size[0]} x "
            f"{self.image_size[1]} pixels, and this one has {size[0]} x {size[1]}.",
            "Crop or scale the image to that size, or use a convolutional network.",
        )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(_plain(one) for one in value)
    return int(value) if is_whole(value) else value


def _refused(name: str, value: object, allowed: str) -> DenoisingError:
    return DenoisingError(
        f"A network cannot be built with {name} = {value!r}.", f"Give {name} as {allowed}."
    )
