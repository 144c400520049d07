"""Networks on the CPU in fewer passes over memory: convolutions that do the next step as well.

A convolution of a wide tile leaves the caches, and so does a ReLU or a sum after it, which then
reads and writes all features once more for nearly no arithmetic. oneDNN, which computes torch's
convolutions on CPUs, can do both while the values are still at hand. torch's own compiler uses it
so; the compiler itself takes seconds to load and needs a C++ compiler, so its operators are called
here directly. They are no documented part of torch: where they are missing, changed or wrong,
networks stay as they are.
"""

from __future__ import annotations

import copy
import functools
import logging
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from napari_ae_denoise.blocks import DifferenceConv, ResidualBlock
from napari_ae_denoise.devices import computing_in
from napari_ae_denoise.seeding import seeded

if TYPE_CHECKING:
    from napari_ae_denoise.networks import ConvAutoencoder

Module = TypeVar("Module", bound=nn.Module)

_log = logging.getLogger(__name__)
_TRIAL_ERROR = 0.02  # of the largest value: what two orders of rounding in bfloat16 may differ by


def fused(network: ConvAutoencoder, dtype: torch.dtype) -> ConvAutoencoder:
    """Return a copy of a network for inference on the CPU, or the network itself.

    Parameters
    ----------
    network : ConvAutoencoder
        On the CPU; its images and codes are the copy's to rounding.
    dtype : torch.dtype
        What its convolutions shall compute in.

    Returns
    -------
    ConvAutoencoder
        Its images and codes are float32 or ``dtype``, as those of the network under autocast are.
    """
    if not _fusing_works(dtype):
        return network
    twin = _fuse(copy.deepcopy(network), dtype)
    if not (network.spec.skips or dtype == torch.float32):
        # an image that is made by bfloat16, not only corrected, shows steps: ConvAutoencoder._up
        twin.head = copy.deepcopy(network.head)
    return twin


class _FusedConv(nn.Module):
    """A convolution, and the ReLU after it."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype, *, relu: bool = False) -> None:
        super().__init__()
        weight = conv.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self._geometry = (conv.padding, conv.stride, conv.dilation, conv.groups)
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *self._geometry)
        self._bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self.dtype = dtype
        self._then = "relu" if relu else "none"

    def forward(self, x: Tensor, total: Tensor | None = None) -> Tensor:
        """Map (N, inputs, H, W) to what the convolution and the ReLU make of it.

        With ``total``, what the convolution makes is added to it, in place; it is returned.
        """
        if total is None:
            return torch.ops.mkldnn._convolution_pointwise(  # type: ignore[no-any-return]
                x.to(self.dtype), self._weight, self._bias, *self._geometry, self._then, [], ""
            )
        return torch.ops.mkldnn._convolution_pointwise_.binary(  # type: ignore[no-any-return]
            total, x, self._weight, self._bias, *self._geometry, "add", None, None, [], None
        )


class _FusedBlock(nn.Module):
    """A `ResidualBlock` that overwrites its input, which nobody else looks at."""

    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self._first = _FusedConv(block.body[0], dtype, relu=True)  # type: ignore[arg-type]
        self._second = _FusedConv(block.body[2], dtype)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        x = x.to(self._second.dtype)
        # a call, for the hooks of layers: a stop is looked at in between
        return self._second(self._first(x), total=x)  # type: ignore[no-any-return]


def _fuse(module: Module, dtype: torch.dtype) -> Module:
    """Replace what can be fused within a module, and return it."""
    children = list(module.named_children())
    for number, (name, child) in enumerate(children):
        after = children[number + 1][1] if number + 1 < len(children) else None
        if isinstance(child, ResidualBlock):
            setattr(module, name, _FusedBlock(child, dtype))
        elif isinstance(child, DifferenceConv):
            continue  # in float32
        elif isinstance(child, nn.Conv2d):
            relu = isinstance(module, nn.Sequential) and isinstance(after, nn.ReLU)
            setattr(module, name, _FusedConv(child, dtype, relu=relu))
            if relu:
                setattr(module, children[number + 1][0], nn.Identity())
        else:
            _fuse(child, dtype)
    return module


@functools.cache
def _fusing_works(dtype: torch.dtype) -> bool:
    """Return whether fused layers compute here what the layers themselves do; tried once."""
    with seeded(0):
        plain: Any = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 2, stride=2, bias=False)
        )
        plain.append(ResidualBlock(16)).to(memory_format=torch.channels_last)
        x = torch.rand(1, 3, 18, 22).contiguous(memory_format=torch.channels_last)
    try:
        with torch.inference_mode():
            made = _fuse(copy.deepcopy(plain), dtype)(x).float()
            with computing_in(dtype, torch.device("cpu")):
                expected = plain(x).float()
    except Exception:  # noqa: BLE001 (whatever it is: the plain way works)
        _log.info("convolutions are not fused with what follows them", exc_info=True)
        return False
    allowed = _TRIAL_ERROR if dtype != torch.float32 else 1e-5
    return bool((made - expected).abs().max() <= allowed * expected.abs().max())
