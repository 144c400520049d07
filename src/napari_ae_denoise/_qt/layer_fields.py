"""Fields that choose among the image layers of a viewer, and stay with the layer, not its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Select
from qtpy.QtCore import Qt

from napari_ae_denoise._qt.layers import HELPER, unwrapped

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import ViewerModel


class LayerChoice(ComboBox):
    """A choice of one layer.

    magicgui knows choices again by their text, so a layer that is renamed would be lost.
    """

    def reset_choices(self, *_: Any) -> None:
        """Follow the viewer's layers; the chosen one stays, and ``changed`` tells where it went."""
        before = self.value
        with self.changed.blocked():
            self.native.clear()  # or new names would come last
            super().reset_choices()
            if before in self.choices:
                self.value = before
        if self.value is not before:  # or what speaks of the last layer would go on to, and hold it
            self.changed.emit(self.value)


class LayersChoice(Select):
    """A choice of several layers; see `LayerChoice`."""

    def reset_choices(self, *_: Any) -> None:
        """Follow the viewer's layers; those of the chosen ones that are still there stay."""
        before, place = list(self.value), self.native.verticalScrollBar().value()
        with self.changed.blocked():
            self.native.clear()
            super().reset_choices()
            kept = [layer for layer in before if layer in self.choices]
            self.value = kept
        self.native.verticalScrollBar().setValue(place)
        if len(kept) < len(before):
            self.changed.emit(self.value)


def layer_field(
    viewer: ViewerModel, name: str, label: str, tooltip: str, *, several: bool = False
) -> LayerChoice | LayersChoice:
    """Return a choice among the image layers of a viewer, the newest first."""
    viewer = unwrapped(viewer)  # layers behind a proxy would be others each time

    def images(_widget: Any) -> list[tuple[str, Layer]]:
        return [
            (layer.name, layer)
            for layer in reversed(viewer.layers)
            if type(layer).__name__ == "Image" and HELPER not in layer.metadata
        ]

    kind = LayersChoice if several else LayerChoice
    made = kind(name=name, label=label, tooltip=tooltip, choices=images, nullable=False)
    if several:  # long names are cut in the middle, as there is no room to scroll
        made.native.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        made.native.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    return made
