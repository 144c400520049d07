"""The fields that say which images are trained on: a layer, several layers, or a folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit

from napari_ae_denoise._qt.forms import field, on_change
from napari_ae_denoise._qt.layer_facts import full_resolution, layer_axes
from napari_ae_denoise._qt.layer_fields import layer_field
from napari_ae_denoise._qt.layers import take
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.training_data import TrainingData
from napari_ae_denoise.training_files import data_from_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image
    from napari.viewer import ViewerModel

    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise._qt.train_form import Kind

ONE, SEVERAL, FOLDER = "one layer", "several layers", "a folder"


class _Side:
    """One side of the data, such as the noisy images."""

    def __init__(self, viewer: ViewerModel, name: str, tooltip: str) -> None:
        self.one = layer_field(viewer, name, "", tooltip)
        self.many = layer_field(
            viewer,
            f"{name}_many",
            "",
            f"{tooltip} Press Ctrl or Shift to choose several; pairs are made in the order of "
            "the layer list.",
            several=True,
        )
        self.many.native.setMaximumHeight(90)
        self.folder = FileEdit(
            name=f"{name}_folder",
            mode=FileDialogMode.EXISTING_DIRECTORY,
            nullable=True,
            tooltip=f"{tooltip} TIFF, PNG, JPEG, .npy and zarr; pairs are made in the order of the "
            "names.",
        )
        self.folder.choose_btn.text = "Choose …"
        self.fields = {ONE: self.one, SEVERAL: self.many, FOLDER: self.folder}

    def show(self, source: str, label: str) -> None:
        """Show the field of a source, or none where there is no label."""
        for name, widget in self.fields.items():
            if name == ONE or not label:
                widget.label = label
            else:
                widget.label = label.replace("image", "images")
            widget.visible = bool(label) and name == source

    def path(self) -> Path:
        """Return the folder."""
        path: Any = self.folder.value
        if path is None or path == Path():
            raise DenoisingError("No folder is chosen.", "Choose one, or train on layers.")
        return Path(path)


class TrainingImages:
    """The fields of both sides of the training data.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers are offered.
    axes : LineEdit
        The field of the axes, which follows the images.
    """

    def __init__(self, viewer: ViewerModel, axes: Any) -> None:
        self._viewer, self._axes = viewer, axes
        self.source = field(
            "source",
            ONE,
            "Images from",
            "Train on one layer, on several layers, or on the image files in a folder.",
            choices=[ONE, SEVERAL, FOLDER],
        )
        self._sides = (
            _Side(viewer, "first", "Images without noise, or the noisy ones."),
            _Side(viewer, "second", "The same things, pixel on pixel."),
        )
        first, second = self._sides
        self.first, self.second = first.one, second.one
        self.fields = (self.source, *first.fields.values(), *second.fields.values())
        self.layer_fields = (first.one, first.many, second.one, second.many)
        on_change([self.source], self._follow)
        on_change([first.many], self._follow_several)

    def changed(self, react: Callable[[], None]) -> None:
        """Call a function whenever other images are chosen."""
        on_change(self.fields, react)

    def show(self, kind: Kind) -> None:
        """Show the fields that a kind of training data needs."""
        for side, label in zip(self._sides, kind.labels, strict=True):
            side.show(self.source.value, label)

    @property
    def example(self) -> Image | None:
        """The first layer that is chosen; None for a folder."""
        if self.source.value == ONE:
            return self.first.value
        chosen = self._sides[0].many.value if self.source.value == SEVERAL else []
        return chosen[0] if chosen else None

    @property
    def one_layer(self) -> bool:
        """Whether the images are those of one layer."""
        return bool(self.source.value == ONE)

    @property
    def from_files(self) -> bool:
        """Whether the images must be read from files."""
        return bool(self.source.value == FOLDER)

    def read(self, kind: Kind, active: Any) -> tuple[Callable[[], TrainingData], str]:
        """Return what gives the data, and a name for them.

        Files are read when it is called, in the thread of the job. ``active`` stands in where no
        layer is chosen.
        """
        sides = self._sides[: len(kind.sides)]
        if self.source.value == FOLDER:
            paths = {name: [side.path()] for name, side in zip(kind.sides, sides, strict=True)}
            name = paths[kind.sides[0]][0].name
            return partial(data_from_files, **paths, axes=self._axes.value or None), name
        chosen = [self._layers(side) or [active] for side in sides]
        if len(sides) == 2 and (same := [a for a, b in zip(*chosen, strict=False) if a is b]):
            raise DenoisingError(
                f'Both sides of the pair are the layer "{same[0].name}".',
                "Choose two different layers.",
            )
        taken = _take_alike(chosen, self._axes.value)
        images = {
            name: side[0].image if len(side) == 1 else [one.image for one in side]
            for name, side in zip(kind.sides, taken, strict=True)
        }
        data = TrainingData(**images, axes=taken[0][0].axes or None)
        count = len(taken[0])
        return lambda: data, taken[0][0].name if count == 1 else f"{count} layers"

    def _layers(self, side: _Side) -> list[Any]:
        if self.source.value == SEVERAL:
            if not side.many.value:
                raise DenoisingError("No layer is chosen.", "Choose one or more in the list.")
            names = {layer.name for layer in side.many.value}  # in an order of the field's own
            return [layer for layer in self._viewer.layers if layer.name in names]
        return [] if side.one.value is None else [side.one.value]

    def _follow(self) -> None:
        """Let the axes be those of the first layer; files tell their own."""
        layer = self.example
        self._axes.value = "" if layer is None else layer_axes(layer)

    def _follow_several(self) -> None:
        if self.source.value == SEVERAL:  # what is written there may be of a folder
            self._follow()


def _take_alike(chosen: list[list[Any]], axes: str) -> list[list[Source]]:
    """Take the layers of all sides, which are all read with the same axes.

    Raises
    ------
    DenoisingError
        If a layer cannot be taken, or has other axes than the first, so that no text fits both.
    """
    first = chosen[0][0]
    odd = [layer for side in chosen for layer in side if _differ(first, layer)]
    if odd:
        raise DenoisingError(
            f"{_axes_in_words(odd[0])}, but {_axes_in_words(first)}.",
            "All chosen layers must have the same axes: choose only such, and train on the others "
            "by themselves.",
        )
    letters = take(first, axes).axes
    return [[take(layer, letters) for layer in side] for side in chosen]


def _differ(one: Any, other: Any) -> bool:
    if any(layer.__class__.__name__ != "Image" for layer in (one, other)):  # said by `take`
        return False
    shape, another = full_resolution(one).shape, full_resolution(other).shape
    colours_apart = one.rgb != other.rgb and shape[-1] != another[-1]
    return len(shape) != len(another) or colours_apart


def _axes_in_words(layer: Image) -> str:
    shape = " x ".join(map(str, full_resolution(layer).shape))
    letters = layer_axes(layer)
    axes = f"the axes {letters}" if letters else f"{layer.ndim} axes"
    return f'"{layer.name}" has {axes} ({shape})'
