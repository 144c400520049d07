"""Finished results: which layers they are, and what they were made of; main thread only."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise._qt.layers import add_image, unwrapped
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.provenance import DENOISED, KEY
from napari_ae_denoise.strength import mixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari.layers import Image
    from napari.viewer import ViewerModel

    from napari_ae_denoise._qt.results import Made

_AT_ONCE = 4 * 1024**2  # pixels that are mixed in the thread of the window, within some 20 ms
_IN_MEMORY = 256 * 1024**2  # pixels that are mixed as a whole, in another thread


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A result as it was made, and the image it was made of.

    Parameters
    ----------
    before : array or sequence of array
        The image, or its levels.
    after : array or None
        The result at full strength, of the image's shape; None where it cannot be mixed.
    """

    before: Any
    after: Any

    def at(self, strength: float) -> Any | Callable[[], Any]:
        """Return the result at some strength; what takes long, as a function for a thread.

        Results that are lazy, or too large for a copy, are mixed where they are looked at.
        """
        lazy = not all(isinstance(one, np.ndarray) for one in (self.before, self.after))
        if strength == 1 or (not lazy and self.after.size <= _AT_ONCE):
            return mixed(self.before, self.after, strength)
        if lazy or self.after.size > _IN_MEMORY:
            from napari_ae_denoise.strength import lazily

            return mixed(lazily(self.before), self.after, strength)
        return lambda: mixed(self.before, self.after, strength)


# by the layers themselves: napari's proxies of them are made anew at each call
_finished: weakref.WeakKeyDictionary[Image, Finished] = weakref.WeakKeyDictionary()
_made_of: weakref.WeakKeyDictionary[Image, weakref.ref[Any]] = weakref.WeakKeyDictionary()


def add_results(viewer: ViewerModel, made: Made) -> list[Image]:
    """Add the layers that a run has made, and remember what the denoised image was made of."""
    added = [add_image(unwrapped(viewer), **told_apart(viewer, layer)) for layer in made.layers]
    for layer in added:
        keep_origin(layer, made.origin)
        record = record_of_layer(layer)
        if record is not None and record["what"] == DENOISED:
            keep(layer, made.image, layer.data)
    return added


def told_apart(viewer: ViewerModel, layer: dict[str, Any]) -> dict[str, Any]:
    """Return what `Image` takes, named by its model too where another model's result is there."""
    name, model = layer["name"], layer.get("metadata", {}).get(KEY, {}).get("model")
    before = next((record_of_layer(one) for one in viewer.layers if one.name == name), None)
    if before is None or model in (None, before.get("model")):
        return layer
    return layer | {"name": f"{name} ({model})"}


def keep(layer: Image, before: Any, after: Any = None) -> None:
    """Remember what a layer was made of, as long as it lives; see `Finished`."""
    _finished[unwrapped(layer)] = Finished(before, after)


def keep_origin(layer: Image, origin: weakref.ref[Any] | None) -> None:
    """Remember which layer a result was made of, as long as both live."""
    if origin is not None:
        _made_of[unwrapped(layer)] = origin


def finished_of(layer: Any) -> Finished | None:
    """Return what a layer was made of, if it is a result; a copy is one of its own."""
    if layer is None:
        return None
    layer = unwrapped(layer)
    if layer not in _finished:
        of = _finished_of_copied(layer)
        if of is not None:
            _finished[layer] = of
    return _finished.get(layer)


def _finished_of_copied(layer: Any) -> Finished | None:
    """Return what a layer was made of that napari made as a copy of a result; else None."""
    parent = getattr(getattr(layer, "source", None), "parent", None)  # a weak reference
    of = None if parent is None or record_of_layer(layer) is None else finished_of(parent())
    # projections and the like tell the same, and are of another shape
    return of if of is not None and _shape(layer.data) == _shape(of.before) else None


def _shape(data: Any) -> tuple[int, ...]:
    """Return the shape of an image, or of its finest level."""
    return tuple(data.shape if hasattr(data, "dtype") else data[0].shape)


def mixable(layer: Any) -> Finished | None:
    """Return what a layer was made of, if its strength can be changed."""
    finished = finished_of(layer)
    return finished if finished is not None and finished.after is not None else None


def record_of_layer(layer: Any) -> dict[str, Any] | None:
    """Return what a layer says of how it was made; None if it is none of our results."""
    record = getattr(layer, "metadata", {}).get(KEY)
    return record if isinstance(record, dict) and "what" in record else None


def origin_of(result: Any) -> tuple[bool, Any]:
    """Return whether it is known which layer a result was made of, and the layer while it lives."""
    known = None if result is None else _made_of.get(unwrapped(result))
    return known is not None, None if known is None else known()


def original_of(result: Any, layers: Iterable[Image]) -> Image | None:
    """Return which of some layers a result was made of.

    Only one that was made in another session is known by its name, which others may have, too.
    """
    known, origin = origin_of(result)
    if known:
        return next((one for one in layers if one is origin), None)
    record = record_of_layer(result)
    name = None if record is None else record["image"]
    return next((one for one in layers if one.name == name), None)


class LastResult:
    """Which result is meant: the selected one, or the last that was made here.

    Parameters
    ----------
    viewer : Viewer
        Where they are.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = unwrapped(viewer)
        self._last: weakref.ref[Image] | None = None

    def made(self, layer: Image) -> None:
        """Remember the newest result."""
        self._last = weakref.ref(unwrapped(layer))

    def get(self, fits: Callable[[Any], Any]) -> Any:
        """Return the selected result, or where none is selected the last one; None if it is unfit.

        No other one takes the place of a selected result: it would be changed unseen.
        """
        active = self._viewer.layers.selection.active
        if active is not None and (fits(active) or record_of_layer(active) is not None):
            return unwrapped(active) if fits(active) else None
        last = None if self._last is None else self._last()
        return last if last is not None and last in self._viewer.layers and fits(last) else None

    def denoised(self) -> Image:
        """Return the denoised image that is meant, whose original is known.

        Raises
        ------
        DenoisingError
            If there is none.
        """
        found: Image | None = self.get(finished_of)
        if found is not None:
            return found
        selected = self._viewer.layers.selection.active
        if record_of_layer(selected) is not None:
            raise DenoisingError(
                f'"{selected.name}" cannot be compared with an original: it is no denoised image, '
                "or was made in another session.",
                "Select a denoised image that was made here.",
            )
        raise DenoisingError(
            "There is no result to compare with its original.",
            "Press Denoise first, or select a result that was made here.",
        )

    def result(self, wanted: str) -> tuple[Image, dict[str, Any]]:
        """Return the result that is meant, and its record; it names the image as it is called now.

        Raises
        ------
        DenoisingError
            If there is none; ``wanted`` says what was to be made of it.
        """
        layer = self.get(record_of_layer)
        record = None if layer is None else record_of_layer(layer)
        if record is None:
            raise DenoisingError(
                f"There is no result to make {wanted} of.",
                "Press Denoise, or select a layer that was made here.",
            )
        return layer, record | self._present_name(layer)

    def _present_name(self, layer: Image) -> dict[str, str]:
        """Return how the layer is called now that a result was made of; nothing if it is gone."""
        _, origin = origin_of(layer)
        there = origin is not None and origin in self._viewer.layers
        return {"image": origin.name} if origin is not None and there else {}
