"""The panel *Compare*: PSNR and SSIM of layers and classical methods against a reference."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from magicgui.widgets import LineEdit, Select

from napari_ae_denoise._qt.compare_picture import (
    PAIRS,
    SIDE_BY_SIDE,
    Saved,
    ask_for_file,
    picture_steps,
)
from napari_ae_denoise._qt.compare_table import CompareTable
from napari_ae_denoise._qt.forms import field, form, layer_field, on_change
from napari_ae_denoise._qt.layers import full_resolution, take, unwrapped
from napari_ae_denoise._qt.panel import Panel, follow_axes
from napari_ae_denoise._qt.seen import looked_at
from napari_ae_denoise._qt.status_line import short
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.classical import classical_methods
from napari_ae_denoise.comparison import Comparison, Doing, Planes, Table, comparison_steps
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    import napari

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise._qt.worker import MakeSteps

_PLANES: dict[str, Planes] = {"all together": "all", "one by one": "each", "the shown one": "one"}


class CompareWidget(Panel):
    """Says how near layers are to a reference."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="Co&mpare",
            stop="Stop",
            tooltips=("Fill the table.", "Stop; finished lines stay."),
        )
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
            choices=list(_PLANES),
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
        self.table = CompareTable()
        self.table.said.connect(self.bar.status.setText)
        self.table.save.clicked.connect(self.ask_for_picture)
        self.copy = self.table.copy
        self._compared: Comparison | None = None
        self.form = form(
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
        fields = (self.reference, self.images, self.noisy)
        said = (self.planes, self.data_range, self.classical, self.picture)
        self.lay_out(self.form, self.table, layer_fields=fields, remembered=said)
        follow_axes(self.reference, self.axes)
        for several in (self.images, self.methods):
            several.native.setMaximumHeight(100)
        on_change([self.classical], self._show_classical)
        self._show_classical()

    def _show_classical(self) -> None:
        self.noisy.visible = self.methods.visible = self.classical.value

    def read(self) -> Comparison:
        """Return what the form says."""
        layer = self.chosen_layer(self.reference)
        reference = take(layer, self.axes.value)
        names = {one.name for one in self.images.value} - {reference.name}
        images = [one for one in self.viewer.layers if one.name in names]
        methods = tuple(self.methods.value) if self.classical.value else ()
        if not images and not methods:
            raise DenoisingError(
                "No layer is chosen to compare with the reference.",
                "Choose one or more others in the list, or classical methods.",
            )
        return Comparison(
            reference.image,
            reference.axes,
            tuple((one.name, full_resolution(one)) for one in images),
            name=reference.name,
            data_range=self.data_range.value,
            planes=_PLANES[self.planes.value],
            plane=self._shown_plane(layer, reference),
            noisy=full_resolution(self.noisy.value) if methods else None,
            methods=methods,
        )

    def _shown_plane(self, layer: Any, reference: Source) -> int:
        lies = plane_layout(reference.image.shape, reference.axes)
        view = looked_at(unwrapped(self.viewer), layer, lies)
        return 0 if view is None else view.plane

    def prepare(self) -> MakeSteps:
        """Return the job of comparing."""
        self._compared = what = self.read()
        return partial(comparison_steps, what)

    def show_progress(self, progress: Doing) -> None:
        """Show how far it is."""
        self.bar.show_progress(progress.fraction, f"{progress.fraction:.0%}: {progress.what}")

    def show_result(self, result: Table | Saved) -> None:
        """Fill the table, or say where the picture is."""
        if isinstance(result, Saved):
            self.show_notice(f"Saved {result.path}.")
            return
        self.table.show_table(result)
        problems = [f"{short(r.name)}: {r.problem}" for r in result.rows if r.problem]
        said = ["Stopped; finished lines stay."] if result.stopped else []
        if result.rows:
            said.append(replace(result, reference=short(result.reference)).caption())
        self.bar.status.setText(" ".join([*said, *problems]))
        for problem in problems:
            self.show_warning(problem)

    def rows(self) -> list[list[str]]:
        """Return the table as text, line by line."""
        return self.table.rows()

    def ask_for_picture(self) -> None:
        """Ask for a file, and save the picture there."""
        if path := ask_for_file(self):
            self.save_picture(path)

    def save_picture(self, path: str) -> None:
        """Draw and save the picture of what was compared."""
        table, what = self.table.shown, self._compared
        if table is None or what is None:
            return
        try:
            self.job.start(partial(picture_steps, self.picture.value, what, table, path))
        except DenoisingError as error:
            self.show_problem(error)
