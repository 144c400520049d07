"""Fields that choose among the image layers of a viewer, and stay with the layer, not its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Select
from qtpy.QtCore import Qt

from napari_ae_denoise._qt.finished import original_of, record_of_layer
from napari_ae_denoise._qt.layers import HELPER, unwrapped

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import ViewerModel
    from qtpy.QtWidgets import QListWidget


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
        if self.value not in (before, None):  # as in magicgui, nothing is told of no layer at all
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


def show_chosen(rows: QListWidget) -> None:
    """Let chosen rows be told from others: napari's themes draw them nearly alike."""
    rows.setStyleSheet(
        "QListWidget::item:selected { background: palette(highlight);"
        " color: palette(highlighted-text); }"
    )


def begin_with(field: Any, active: Layer | None) -> None:
    """Choose the layer that is selected in the viewer, else the newest one.

    Not a result of ours, but what that was made of: it is seldom what the next step begins with,
    and a model that is trained on a result as its clean image learns what was wrong with it.
    """
    if not isinstance(field, LayerChoice):
        return
    layers = list(field.choices)
    chosen = unwrapped(active) if active in layers else field.value
    if record_of_layer(chosen) is not None:
        images = [one for one in layers if record_of_layer(one) is None]
        chosen = original_of(chosen, images) or next(iter(images), chosen)
    if chosen is not None:
        field.value = chosen


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
    if several:
        show_chosen(made.native)
        # long names are cut in the middle, as there is no room to scroll
        made.native.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        made.native.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    return made
