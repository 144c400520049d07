"""The field that says how an image is read, one letter per axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_ae_denoise._qt.layers import full_resolution, layer_axes

if TYPE_CHECKING:
    from collections.abc import Callable


def follow_axes(layer_field: Any, axes_field: Any) -> Callable[[], None]:
    """Fill a field of axes from the layer chosen in another, whenever that changes."""

    def fill(*_: Any) -> None:
        layer = layer_field.value
        axes_field.value = "" if layer is None else layer_axes(layer)
        if layer is not None:
            shape = " x ".join(map(str, full_resolution(layer).shape))
            axes_field.tooltip = (
                f"One letter per axis of the image ({shape}): Y and X are the plane, C are "
                "colours or channels, and Z, T, N are stacks of planes."
            )

    layer_field.changed.connect(fill)
    fill()
    return fill
