"""Whether a device computes right: asked once in a process, before it is first used.

GPUs with a fault, drivers with a bug and kernels that do not fit their hardware give wrong numbers
without any error. A small network that has all the operations of ours is run there and on the CPU.
"""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from napari_ae_denoise.devices import choose_device, computing_in
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Callable

# Of the largest number: convolutions of NVIDIA's cards round to 10 bits also in float32 (TF32).
_TOLERANCE = {torch.float32: 0.01, torch.bfloat16: 0.1, torch.float16: 0.03}
_trusted: set[tuple[str, torch.dtype]] = set()
_lock = threading.Lock()


def trusted_device(name: str = "auto", dtype: torch.dtype = torch.float32) -> torch.device:
    """Return the device of a name, if it computes what the CPU does.

    Parameters
    ----------
    name : str
        See `choose_device`. Where ``"auto"`` chooses a device that computes wrong numbers, the CPU
        is taken, with a warning.
    dtype : torch.dtype
        The number type that it will compute in.

    Raises
    ------
    DenoisingError
        If there is no such device, or it computes wrong numbers.
    """
    device = choose_device(name)
    if device.type == "cpu":
        return device
    try:
        check_device(device, dtype)
    except DenoisingError as error:
        if name != "auto":
            raise
        warnings.warn(f"{error.cause} The CPU is used, which is slower.", stacklevel=2)
        return torch.device("cpu")
    return device


def trusted(
    name: str, precision_on: Callable[[torch.device], torch.dtype]
) -> tuple[torch.device, torch.dtype]:
    """Return the device of a name and the number type to compute in, if both can be trusted.

    A device may compute right numbers in one type, and wrong ones in another. The first argument is
    that of `trusted_device`, which says what happens then; the second one says which type it is
    to be on a device.
    """
    device = trusted_device(name)
    precision = precision_on(device)
    other = trusted_device(name, precision)
    return (device, precision) if other == device else (other, precision_on(other))


def check_device(device: torch.device, dtype: torch.dtype = torch.float32) -> None:
    """Refuse a device that computes other numbers than the CPU; each is asked once.

    Raises
    ------
    DenoisingError
        If its numbers differ by more than rounding, or it cannot compute at all.
    """
    key = str(device), dtype
    with _lock:
        if key in _trusted:
            return
        expected = probe(torch.device("cpu"), torch.float32)
        remedy = 'Choose device "cpu"; update the driver, or let somebody look at the hardware.'
        try:
            found = probe(device, dtype)
        except RuntimeError as error:
            raise DenoisingError(
                f"The device {device} cannot compute ({' '.join(str(error).split())[:200]}).",
                remedy,
            ) from error
        largest = float(expected.abs().max())
        off = float((found - expected).abs().max()) / largest
        if not off <= _TOLERANCE[dtype]:  # NaN is no number below it
            raise DenoisingError(
                f"The device {device} computes wrong numbers: those of a small network differ "
                f"from the CPU's by {off:.2g} of the largest (rounding: {_TOLERANCE[dtype]:g}).",
                remedy,
            )
        _trusted.add(key)


def probe(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return what a small network computes on a device, as float32 on the CPU.

    All operations of our networks are in it: convolutions with and without stride, padded by
    zeros and by the nearest pixel, ReLU, pooling, upsampling, pixel-shuffle and unshuffle, a
    fully-connected layer, a sigmoid.
    """
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    image, first, second = drawn(1, 1, 64, 64), drawn(32, 4, 3, 3), drawn(32, 32, 3, 3)
    down, up, dense = drawn(64, 32, 2, 2), drawn(64, 64, 1, 1), drawn(16, 64)
    with torch.inference_mode(), computing_in(dtype, device):
        h = functional.pixel_unshuffle(image, 2).contiguous(memory_format=torch.channels_last)
        h = functional.pad(h, (1, 1, 1, 1), mode="replicate")
        h = functional.relu(functional.conv2d(h, first)) / 6
        h = h + functional.conv2d(h, second, padding=1) / 17  # (1, 32, 32, 32)
        low = functional.relu(functional.conv2d(h, down, stride=2)) / 11
        pooled = functional.max_pool2d(h, 2)
        low = functional.conv2d(low, up) / 8  # (1, 64, 16, 16)
        wide = functional.interpolate(pooled, scale_factor=2, mode="nearest")
        shuffled = functional.pixel_shuffle(low, 2)  # (1, 16, 32, 32)
        code = functional.linear(low.mean(dim=(2, 3)), dense)
        parts = [wide.flatten(), shuffled.flatten(), code.flatten(), torch.sigmoid(h).flatten()]
        return torch.cat([part.float() for part in parts]).cpu()
