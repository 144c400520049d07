"""The panel *Compare*: PSNR and SSIM of layers and classical methods against a reference."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_ae_denoise._qt.axes_field import follow_axes
from napari_ae_denoise._qt.compare_form import PLANES, CompareFields
from napari_ae_denoise._qt.compare_picture import Saved, ask_for_file, picture_steps
from napari_ae_denoise._qt.compare_table import CompareTable
from napari_ae_denoise._qt.finished import original_of, record_of_layer
from napari_ae_denoise._qt.forms import form
from napari_ae_denoise._qt.layer_facts import full_resolution
from napari_ae_denoise._qt.layers import take, unwrapped
from napari_ae_denoise._qt.panel import Panel
from napari_ae_denoise._qt.reference import reference_for
from napari_ae_denoise._qt.seen import looked_at
from napari_ae_denoise._qt.status_line import short
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.comparison import Comparison, Doing, Table, comparison_steps
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.provenance import DENOISED

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise._qt.worker import MakeSteps

_ALIKE = (
    "The reference was itself made by a model: this says how alike they are, not how good. Choose "
    "a clean image as Reference for that."
)


class CompareWidget(Panel):
    """Says how near layers are to a reference."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(
            viewer,
            start="Co&mpare",
            stop="Stop",
            tooltips=("Fill the table.", "Stop; finished lines stay."),
        )
        self.fields = fields = CompareFields(viewer)
        self.reference, self.axes, self.images = fields.reference, fields.axes, fields.images
        self.form = form(*fields.all)
        self.table = CompareTable()
        self.table.said.connect(self.bar.status.setText)
        self.table.save.clicked.connect(self.ask_for_picture)
        self.copy = self.table.copy
        self._running: Comparison | None = None
        self._compared: Comparison | None = None  # what the table is of
        self._against_result = False
        self.lay_out(
            self.form, self.table, layer_fields=fields.layers, remembered=fields.remembered
        )
        follow_axes(self.reference, self.axes)
        selected = unwrapped(viewer.layers.selection.active)
        record = record_of_layer(selected)
        if record is not None and record["what"] == DENOISED:
            self.reference.value = selected  # said to be one; its noisy original would not be
            self.offer(selected)

    def offer(self, result: Image) -> None:
        """Choose a result and its image to be compared, with a clean image where there is one."""
        shape = full_resolution(result).shape
        layers: list[Any] = list(self.images.choices)
        fitting = [one for one in layers if full_resolution(one).shape == shape]
        image = original_of(result, fitting)
        self.images.value = [one for one in fitting if one is image or one is unwrapped(result)]
        if image is not None:
            self.fields.noisy.value = image
        clean, said = reference_for(image, fitting, self.reference.value)
        if clean is not None:
            self.reference.value = clean
        self.bar.status.setText(said)

    def read(self) -> Comparison:
        """Return what the form says."""
        fields = self.fields
        layer = self.chosen_layer(self.reference)
        reference = take(layer, self.axes.value)
        names = {one.name for one in self.images.value} - {reference.name}
        images = [one for one in self.viewer.layers if one.name in names]
        methods = tuple(fields.methods.value) if fields.classical.value else ()
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
            data_range=fields.data_range.value,
            planes=PLANES[fields.planes.value],
            plane=self._shown_plane(layer, reference),
            noisy=full_resolution(fields.noisy.value) if methods else None,
            methods=methods,
        )

    def _shown_plane(self, layer: Any, reference: Source) -> int:
        lies = plane_layout(reference.image.shape, reference.axes)
        view = looked_at(unwrapped(self.viewer), layer, lies)
        return 0 if view is None else view.plane

    def prepare(self) -> MakeSteps:
        """Return the job of comparing."""
        self._running = what = self.read()
        reference = self.chosen_layer(self.reference)
        self._against_result = record_of_layer(reference) is not None
        return partial(comparison_steps, what)

    def show_progress(self, progress: Doing) -> None:
        """Show how far it is."""
        self.bar.show_progress(progress.fraction, f"{progress.fraction:.0%}: {progress.what}")

    def show_result(self, result: Table | Saved) -> None:
        """Fill the table, or say where the picture is."""
        if isinstance(result, Saved):
            self.show_notice(f"Saved {result.path}.")
            return
        self._compared = self._running
        self.table.show_table(result)
        problems = [f"{short(r.name)}: {r.problem}" for r in result.rows if r.problem]
        said = ["Stopped; finished lines stay."] if result.stopped else []
        if result.rows:
            said.append(replace(result, reference=short(result.reference)).caption())
            said += [_ALIKE] if self._against_result else []
        self.bar.status.setText(" ".join([*said, *problems]))
        for problem in problems:
            self.show_warning(problem)

    def rows(self) -> list[list[str]]:
        """Return the table as text, line by line."""
        return self.table.rows()

    def ask_for_picture(self) -> None:
        """Ask for a file, and save there the picture of what was in the table before."""
        kept = self.table.shown, self._compared
        if path := ask_for_file(self):
            self._save_picture(path, *kept)

    def save_picture(self, path: str) -> None:
        """Draw and save the picture of what was compared."""
        self._save_picture(path, self.table.shown, self._compared)

    def _save_picture(self, path: str, table: Table | None, what: Comparison | None) -> None:
        if table is not None and what is not None:
            kind = self.fields.picture.value
            self.begin(lambda: partial(picture_steps, kind, what, table, path))
