"""A layer that fills while its image is denoised to disk, what is looked at first."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_ae_denoise._qt.disk_places import folder_for, too_large
from napari_ae_denoise._qt.disk_results import Begun, Kept, disk_steps
from napari_ae_denoise._qt.finished import keep, keep_origin, record_of_layer, told_apart
from napari_ae_denoise._qt.forms import disk_fields
from napari_ae_denoise._qt.layers import add_image, unwrapped
from napari_ae_denoise._qt.loading import load
from napari_ae_denoise._qt.seen import looked_at
from napari_ae_denoise._qt.status_line import unfinished
from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.provenance import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from napari.viewer import ViewerModel

    from napari_ae_denoise._qt.finished import LastResult
    from napari_ae_denoise._qt.results import DenoiseChoices
    from napari_ae_denoise._qt.worker import Job, MakeSteps
    from napari_ae_denoise.tile_jobs import View

load("zarr", "ome_zarr_models.v04.image")  # with the panel: a job's start would stall the window

_LOOK = 200  # milliseconds between looks at what is seen
_SHOW = 5  # looks between two pictures of what has come, at least: none while the view moves
_SHOW_SMALL = 5  # pictures between two thumbnails, which are read apart

_filling: dict[int, set[str]] = {}  # folders that are written to, of each `FillingLayer`


def is_filling(folder: Path | None) -> bool:
    """Return whether the result in a folder is being made."""
    return any(str(folder) in folders for folders in _filling.values())


def _written(number: int) -> None:
    _filling.pop(number, None)


class FillingLayer(QObject):
    """Shows a result that is made on disk; all in the thread of the window.

    Parameters
    ----------
    viewer : Viewer
        Where to show it.
    parent : QObject
        Whose life it shares.
    job : Job
        What makes the result; if it fails, what came before stays.
    last : LastResult, optional
        Is told of the layer as soon as it is there.
    """

    def __init__(
        self, viewer: ViewerModel, parent: QObject, job: Job, last: LastResult | None = None
    ) -> None:
        super().__init__(parent)
        self._last = last
        job.failed.connect(self._fail)
        self.fields = self.limit, self.folder = disk_fields()
        # not behind a proxy, whose layers would be gone at once; nor held, for it may be closed
        self._viewer = weakref.ref(unwrapped(viewer))
        self._layer: weakref.ref[Any] | None = None
        self._begun: Begun | None = None
        self._seen: View | None = None
        self._before: Any = None
        self._origin: weakref.ref[Any] | None = None
        self._looks = self._pictures = 0
        self._drawn: dict[int | None, int] = {}  # how many tiles of a plane there were then
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._look)
        when_gone(self, partial(_written, id(self)))

    def view(self) -> View | None:
        """Return what was looked at last; may be called in any thread."""
        return self._seen

    def job(self, choices: DenoiseChoices, layer: Any) -> MakeSteps | None:
        """Return the job that denoises a large image to disk; None for one of another size."""
        if not too_large(choices.source.image, self.limit.value):
            return None
        folder = folder_for(self.folder.value, layer.source.path)
        source, spec = choices.source, choices.denoiser.card.network
        layout = plane_layout(source.image.shape, source.axes, network_channels=spec.channels)
        self._origin = source.layer
        self._before = list(layer.data[source.level :]) if layer.multiscale else layer.data
        levels = self._before if layer.multiscale else [layer.data]
        viewer = self._viewer()
        if viewer is not None:  # the first tiles follow it too
            self._seen = looked_at(viewer, layer, layout, source.step)
        return lambda stop: disk_steps(choices, folder, levels, stop, self.view)

    def begin(self, begun: Begun) -> str:
        """Add the layer, empty as it may be; return a sentence that says where it is."""
        _filling[id(self)] = {str(path) for path in begun.paths}
        paths, viewer = " and ".join(map(str, begun.paths)), self._viewer()
        before, self._before = self._before, None
        if begun.layer is None or viewer is None:
            return f"The image is large, and what is made of it is written to {paths}."
        # first the layer, then its picture: both at once are a stall that people feel
        layer = add_image(viewer, **told_apart(viewer, begun.layer) | {"visible": False})
        self._layer, self._begun = weakref.ref(layer), begun
        QTimer.singleShot(0, partial(_show, self._layer))
        keep(layer, before)
        keep_origin(layer, self._origin)
        if self._last is not None:
            self._last.made(layer)
        self._drawn = {}
        self._timer.start()
        self._look()
        return f'"{layer.name}" is large, and is written to {paths}.'

    def end(self, kept: Kept | None, problem: str = "") -> Any:
        """Show the last tiles; a finished layer gets the arrays themselves, in their own type.

        One that was cancelled, or broken off by a ``problem``, says so in its name and record.

        Returns the layer, or None where there is none.
        """
        self._timer.stop()
        _written(id(self))
        layer, begun = self._alive(), self._begun
        record = record_of_layer(layer)
        if record is not None and begun is not None:
            part = begun.finished if begun.record is None else begun.record.finished
            broken: dict[str, Any] = {"finished": part, "problem": problem}
            found = broken if kept is None else kept.found
            layer.metadata[KEY] = {**record, **found}
            layer.name += unfinished(found["finished"], broken=kept is None)
        if layer is not None and kept is not None and kept.levels is not None:
            layer.data = kept.levels if layer.multiscale else kept.levels[0]
        elif layer is not None:
            layer.refresh(extent=False)
        self._layer = self._begun = self._seen = self._before = None
        return layer

    def _fail(self, error: object) -> None:
        self.end(None, str(error))

    def _alive(self) -> Any:
        layer = None if self._layer is None else self._layer()
        viewer = self._viewer()
        there = layer is not None and viewer is not None and layer in viewer.layers
        return layer if there else None

    def _look(self) -> None:
        layer, viewer = self._alive(), self._viewer()
        if layer is None or viewer is None or self._begun is None:
            return
        before, self._seen = self._seen, looked_at(viewer, layer, self._begun.layout)
        self._looks += 1
        if self._looks >= _SHOW and self._seen == before and self._changed(layer):
            self._looks, self._pictures = 0, self._pictures + 1
            layer.refresh(extent=False, thumbnail=self._pictures % _SHOW_SMALL == 0)

    def _changed(self, layer: Any) -> bool:
        """Return whether something of what is shown is new; other planes are read when shown."""
        if self._begun is None:
            return False
        plane, writes = self._plane_shown(layer), self._begun.writes.copy()
        count = sum(writes.values()) if plane is None else writes.get(plane, 0)
        new = count != self._drawn.get(plane, 0)
        self._drawn[plane] = count
        return new

    def _plane_shown(self, layer: Any) -> int | None:
        """Return which plane is all that is shown; None if more is, or it is not known."""
        viewer = self._viewer()
        if viewer is None or self._begun is None or self._seen is None:
            return None
        layout, dims = self._begun.layout, viewer.dims
        along = [a for a in layout.axes if not (layer.rgb and a == "C")]
        flat = dims.ndisplay == 2 and tuple(dims.displayed) == (dims.ndim - 2, dims.ndim - 1)
        colours_apart = layer.rgb and "C" in layout.stack_axes
        return self._seen.plane if flat and along[-2:] == ["Y", "X"] and not colours_apart else None


def _show(held: weakref.ref[Any]) -> None:
    """Make a layer visible, if it lives still."""
    layer = held()
    if layer is not None:
        layer.visible = True
