"""What an image layer says of itself: its levels, its axes, and how it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_ae_denoise.axes import AXIS_LETTERS, guess_axes
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from napari.layers import Image

# What people call axes; single letters are taken as they are.
_WORDS = {"time": "T", "channel": "C", "channels": "C", "plane": "Z", "depth": "Z", "frame": "T"}
# Neither blending nor opacity: a result lies over its image, which would be added to it, or show
# through, with all of its noise.
_SHOWN = ("gamma", "interpolation2d", "interpolation3d")


def level_of(layer: Image, level: int) -> Any:
    """Return the data of a layer at some level."""
    if not layer.multiscale:
        return layer.data
    if level >= len(layer.data):
        raise DenoisingError(
            f'"{layer.name}" has {len(layer.data)} levels, and no level {level}.',
            "Choose another one in Level, under More settings.",
        )
    return layer.data[level]


def full_resolution(layer: Image) -> Any:
    """Return the data of a layer; of a multiscale one its finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def plane_size(layer: Image | None) -> tuple[tuple[int, int], int]:
    """Return height and width of a layer's planes, and 3 channels for colours, else 1."""
    if layer is None:
        return (28, 28), 1
    shape = full_resolution(layer).shape
    height, width = shape[-3:-1] if layer.rgb else shape[-2:]
    return (int(height), int(width)), 3 if layer.rgb else 1


def layer_axes(layer: Image) -> str:
    """Return the axes of a layer: its labels where they name axes, else by their number."""
    labels = [str(label).strip() for label in layer.axis_labels]
    letters = [_WORDS.get(label.lower(), label.upper()) for label in labels]
    named = all(len(a) == 1 and a in AXIS_LETTERS for a in letters) and len(set(letters)) == len(
        letters
    )
    if named and {"Y", "X"} <= set(letters) and not (layer.rgb and "C" in letters):
        return "".join(letters) + ("C" if layer.rgb else "")
    shape = full_resolution(layer).shape
    return guess_axes(shape, rgb=bool(layer.rgb)) if 2 <= layer.ndim <= 5 else ""


def look_of(layer: Image) -> dict[str, Any]:
    """Return how a layer is shown, as `Image` takes it; colours have neither map nor limits."""
    look = {name: getattr(layer, name) for name in _SHOWN}
    if layer.rgb:
        return look
    limits = tuple(layer.contrast_limits)
    return {**look, "colormap": layer.colormap.name, "contrast_limits": limits}
