"""The field that says how an image is read, one letter per axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_ae_denoise._qt.layer_facts import full_resolution, layer_axes
from napari_ae_denoise._qt.listening import listen_to_chosen

if TYPE_CHECKING:
    from collections.abc import Callable


class _FollowsLayer:
    """What fills the field."""

    def __init__(self, layer_field: Any, axes_field: Any, when: Callable[[], bool]) -> None:
        self._layer_field, self._axes_field, self._when = layer_field, axes_field, when
        self._proposed = ""

    def choose(self) -> None:
        """Say the axes of the layer that is chosen now."""
        if not self._when():
            return
        layer = self._layer_field.value
        self._proposed = "" if layer is None else layer_axes(layer)
        self._axes_field.value = self._proposed
        self._explain()

    def look_again(self) -> None:
        """Follow other data of the same layer; what somebody wrote stays where it may still fit."""
        layer = self._layer_field.value
        if layer is None or not self._when():
            return
        fits = len(self._axes_field.value.strip()) == full_resolution(layer).ndim
        if fits and layer_axes(layer) == self._proposed:
            self._explain()
        else:
            self.choose()

    def _explain(self) -> None:
        layer = self._layer_field.value
        shape = "" if layer is None else " x ".join(map(str, full_resolution(layer).shape))
        self._axes_field.tooltip = (
            f"One letter per axis of the image{shape and f' ({shape})'}: Y and X are the plane, C "
            "are colours or channels, and Z, T, N are stacks of planes."
        )


def _always() -> bool:
    return True


def follow_axes(layer_field: Any, axes_field: Any, when: Callable[[], bool] = _always) -> None:
    """Fill a field of axes from the layer chosen in another, whenever that or its data changes.

    Parameters
    ----------
    layer_field, axes_field : magicgui widget
        The two fields.
    when : callable
        Returns whether the axes are those of that layer; meanwhile what is written stays.
    """
    following = _FollowsLayer(layer_field, axes_field, when)

    def choose(*_: Any) -> None:  # a function, which keeps what it calls alive
        following.choose()

    layer_field.changed.connect(choose)
    choose()
    listen_to_chosen(layer_field, ("data", "axis_labels"), following, "look_again")
