"""The fields of the *Compare* panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import LineEdit, Select

from napari_ae_denoise._qt.compare_picture import PAIRS, SIDE_BY_SIDE
from napari_ae_denoise._qt.forms import field, on_change
from napari_ae_denoise._qt.layer_fields import layer_field, show_chosen
from napari_ae_denoise.classical import classical_methods

if TYPE_CHECKING:
    from napari.viewer import ViewerModel

    from napari_ae_denoise.comparison import Planes

PLANES: dict[str, Planes] = {"all together": "all", "one by one": "each", "the shown one": "one"}
_LIST_HEIGHT = 100  # pixels, at most


class CompareFields:
    """The fields, one attribute each.

    Parameters
    ----------
    viewer : Viewer
        Whose layers can be chosen.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.reference = layer_field(
            viewer, "reference", "Reference", "The clean image that the others should be like."
        )
        self.axes = LineEdit(name="axes", label="Axes")
        self.images = layer_field(
            viewer,
            "images",
            "Layers",
            "One or more layers of the reference's shape: press Ctrl or Shift to choose several.",
            several=True,
        )
        self.planes = field(
            "planes",
            "all together",
            "Planes",
            "Of stacks: one line for all planes together, one for each plane, or only the plane "
            "that is shown now.",
            choices=list(PLANES),
        )
        self.data_range = field(
            "data_range",
            0.0,
            "Data range",
            "Grey values from black to white, for both measures. 0 takes 255 for 8-bit images, "
            "else the largest minus the smallest value of the reference.",
            min=0.0,
            max=1e12,
            automatic="automatic",
        )
        self.classical = field(
            "classical",
            False,
            "Classical methods",
            "Denoise an image by the methods of scikit-image too (and BM3D, where the package bm3d "
            "is installed), and put them into the table.",
        )
        self.noisy = layer_field(
            viewer, "noisy", "Noisy image", "What the classical methods are run on."
        )
        methods = classical_methods()
        self.methods = Select(
            name="methods",
            label="Methods",
            choices=methods,
            value=list(methods),
            tooltip="Ctrl or Shift chooses several. Each estimates the noise of each plane.",
        )
        self.picture = field(
            "picture",
            SIDE_BY_SIDE,
            "Picture",
            "What is saved: the plane shown when it was compared, of the reference, the layers and "
            "the methods side by side; or the first planes of two stacks in pairs.",
            choices=[SIDE_BY_SIDE, PAIRS],
        )
        self.layers = (self.reference, self.images, self.noisy)
        self.remembered = (self.planes, self.data_range, self.classical, self.picture)
        self.all = (
            self.reference,
            self.axes,
            self.images,
            self.planes,
            self.data_range,
            self.classical,
            self.noisy,
            self.methods,
            self.picture,
        )
        for several in (self.images, self.methods):
            several.native.setMaximumHeight(_LIST_HEIGHT)
        show_chosen(self.methods.native)
        on_change([self.classical], self._show_classical)
        self._show_classical()

    def _show_classical(self) -> None:
        self.noisy.visible = self.methods.visible = self.classical.value
