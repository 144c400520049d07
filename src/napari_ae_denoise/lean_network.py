"""Networks of style ``plain``, computed in fewer passes over memory while they are trained.

At full resolution such a network does little arithmetic on much memory. Three ways save half
of its time on a CPU, and change neither the function nor its gradients:

- ``maxpool(relu(x)) == relu(maxpool(x))``, with a quarter of the work for ReLU;
- a convolution after nearest-neighbour upsampling sees every pixel of the small image twice along
  each axis, so it is a convolution of the small image, with an output for each of the four pixels
  that a small one becomes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from napari_ae_denoise.first_level import is_faster, pooled_first_level
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder

if TYPE_CHECKING:
    from torch.nn import Conv2d

    from napari_ae_denoise.cuts import Cuts

# By the place of a pixel in its pair, tap of the kernel, tap on the small image: 1 where the
# pixel sees the small image so. Pixel 2a + place sees 2a + place + tap - 1, which is the small
# pixel a + (place + tap - 1) // 2, before the first of them -1.
_SEEN = [
    [[1, 0, 0], [0, 1, 0], [0, 1, 0]],
    [[0, 1, 0], [0, 1, 0], [0, 0, 1]],
]


def for_training(network: ConvAutoencoder) -> ConvAutoencoder:
    """Return a network that shares the weights of another and trains faster; or that one itself.

    Only plain convolutional networks without skip connections have a faster way.
    """
    if not is_plain_chain(network.spec):
        return network
    with torch.device("meta"):
        lean = LeanAutoencoder(network.spec)
    lean.load_state_dict(network.state_dict(keep_vars=True), assign=True)
    return lean.train(network.training)


def is_plain_chain(spec: NetworkSpec) -> bool:
    """Return whether a network is a chain of plain convolutions, and nothing else."""
    return spec.style == "plain" and spec == NetworkSpec(
        "plain",
        channels=spec.channels,
        widths=spec.widths,
        code_channels=spec.code_channels,
        edge=spec.edge,
    )


class LeanAutoencoder(ConvAutoencoder):
    """A `ConvAutoencoder` of style ``plain`` without skips, computed in another order.

    It is for whole patches: it cuts no context.
    """

    def _down(self, x: Tensor, _cuts: Cuts | None = None) -> tuple[Tensor, list[Tensor]]:
        for level, features in enumerate(self.features):
            conv: Any = features[0]  # type: ignore[index]
            if level == 0 and is_faster(x):
                x = pooled_first_level(x, conv)
                continue
            x = functional.relu(functional.max_pool2d(conv(x), 2))
        return x, []

    def _up(self, code: Tensor, skipped: list[Tensor], _cuts: Cuts | None = None) -> Tensor:
        h = code
        for number, up in enumerate(self.up):
            conv: Any = up[0]  # type: ignore[index]
            h = functional.interpolate(h, scale_factor=2) if number else h
            h = functional.relu(conv(h))
        made = functional.pixel_shuffle(_conv_of_upsampled(h, self.head[0]), 2)  # type: ignore[index]
        return torch.sigmoid(made.float())


def _conv_of_upsampled(small: Tensor, conv: Conv2d) -> Tensor:
    """Return ``conv(upsampled(small))`` with its squares of 2 x 2 pixels as channels.

    Parameters
    ----------
    small : Tensor
        (N, C, H, W).
    conv : Conv2d
        3x3, padded by 1.

    Returns
    -------
    Tensor
        (N, 4 x outputs, H, W), for `pixel_shuffle`.
    """
    seen = torch.tensor(_SEEN, dtype=conv.weight.dtype, device=conv.weight.device)
    weight = torch.einsum("oiyx,pyk,qxl->opqikl", conv.weight, seen, seen)
    weight = weight.flatten(0, 2)  # (outputs x 4, inputs, 3, 3)
    assert conv.bias is not None  # style plain has biases
    return functional.conv2d(small, weight, conv.bias.repeat_interleave(4), padding=1)
