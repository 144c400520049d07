"""From the latent code back to an image: ``r = g(h)``, tile by tile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from napari_ae_denoise.device_probe import trusted_device
from napari_ae_denoise.devices import memory_errors, memory_given_back, spare_a_core
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.normalization import of_plane
from napari_ae_denoise.tile_runner import invalid_in
from napari_ae_denoise.tiling import Tile, tiles

if TYPE_CHECKING:
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.resolving import Resolved

_TILE = 512  # image pixels


def decode(
    network: ConvAutoencoder,
    code: npt.NDArray[np.float32],
    *,
    device: str = "auto",
    like: Any = None,
    seen: Resolved | None = None,
) -> npt.NDArray[Any]:
    """Make an image from a code; see `Denoiser.decode`.

    Parameters
    ----------
    network : ConvAutoencoder
        Without skip connections.
    code : ndarray
        (code channels, stack axes..., Y/stride, X/stride) float32.
    device : str
        See `choose_device`.
    like : array, optional
        The image that the code came from.
    seen : Resolved, optional
        How the denoiser sees ``like``.

    Returns
    -------
    ndarray
        As ``like``; without it (stack axes..., Y, X) float32 in the model's own units, with an
        axis of channels before Y where the network has several.
    """
    stride, width = network.stride, network.spec.code_width
    if code.ndim < 3 or code.shape[0] != width or 0 in code.shape:
        raise DenoisingError(
            f"An array of shape {code.shape} is no code of this model.",
            f"Give what encode returns: ({width}, ..., Y/{stride}, X/{stride}).",
        )
    stack, (rows, columns) = code.shape[1:-2], code.shape[-2:]
    if network.spec.image_size is not None and (rows, columns) != (1, 1):
        raise DenoisingError(
            f"The code of a fully-connected network is one pixel for each image, not {rows} x "
            f"{columns}.",
            f"Give what encode returns: ({width}, ..., 1, 1).",
        )
    layout = None if seen is None else seen.layout
    if layout is not None:
        expected = (*layout.stack_shape, *(-(-n // stride) for n in layout.plane_shape))
        if expected != code.shape[1:]:
            raise DenoisingError(
                f"The code of shape {code.shape} is not that of an image of shape {layout.shape}, "
                f"which has a code of shape {(width, *expected)}.",
                "Give the image that the code was made from.",
            )
    twin = network.copy_on(trusted_device(device))
    every = slice(None)
    made = np.empty(
        (math.prod(stack), network.spec.channels, rows * stride, columns * stride), np.float32
    )
    codes = code.reshape(width, -1, rows, columns)
    halo = network.halo // stride
    full = memory_errors(
        f"Memory ran out on {device} while an image was made from a code, {_TILE} pixels a tile.",
        'Close other programs, or choose another device, such as "cpu".',
    )
    with full, memory_given_back(), spare_a_core(), torch.inference_mode():
        for plane in range(made.shape[0]):
            for tile in tiles((rows, columns), max(_TILE // stride, 1), 1, halo):
                made[plane, :, _pixels(tile.y.write, stride), _pixels(tile.x.write, stride)] = (
                    _decode_tile(twin, codes[:, plane], tile)
                )
    if like is None or seen is None or layout is None:
        channels = () if network.spec.channels == 1 else (network.spec.channels,)
        return made.reshape(*stack, *channels, *made.shape[-2:])
    out = np.array(like)
    height, width = layout.plane_shape
    for plane in range(layout.planes):
        image = made[plane, :, :height, :width]
        if image.shape[0] > layout.plane_channels:  # a gray image, seen by a model for colours
            image = image.mean(axis=0, keepdims=True)
        grey = of_plane(seen.maps, layout, plane).invert(image, out.dtype)
        there = layout.read(out, plane, every, every)
        invalid = invalid_in(there)
        if invalid is not None:
            grey[invalid] = there[invalid]
        layout.write(out, plane, every, every, grey)
    return out


def _decode_tile(
    network: ConvAutoencoder, code: npt.NDArray[np.float32], tile: Tile
) -> npt.NDArray[np.float32]:
    """Return the image (channels, Y, X) of the code pixels that a tile writes."""
    bare = network.spec.edge == "zero"
    y, x = (side.bare if bare else side for side in (tile.y, tile.x))
    window = code[:, tile.y.read, tile.x.read][:, y.gather][:, :, x.gather]
    batch = torch.from_numpy(np.ascontiguousarray(window[np.newaxis]))
    made = network.decode(batch.to(next(network.parameters()).device))
    image: npt.NDArray[np.float32] = made.float().cpu().numpy()[0]
    stride = network.stride
    return image[:, _pixels(y.keep, stride), _pixels(x.keep, stride)]


def _pixels(code_pixels: slice, stride: int) -> slice:
    return slice(code_pixels.start * stride, code_pixels.stop * stride)
