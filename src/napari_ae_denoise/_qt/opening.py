"""Opening a panel from another one, or by a command; one that is there comes to the front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari import current_viewer

from napari_ae_denoise._qt.layers import unwrapped
from napari_ae_denoise._qt.tabs import dock_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import ViewerModel


def show_panel(viewer: ViewerModel, kind: Callable[[ViewerModel], Any], name: str) -> Any:
    """Return a panel of a viewer's window, in front of the others.

    Parameters
    ----------
    viewer : Viewer
        Of the window.
    kind : callable
        Makes the panel, where there is none yet.
    name : str
        As the manifest has it.
    """
    window: Any = getattr(unwrapped(viewer), "window", None)
    title = f"{name} (AE Denoise)"  # as napari's own menus call it, which open and hide it too
    panel = getattr(window, "dock_widgets", {}).get(title)
    if panel is None:
        panel = kind(viewer)
        window.add_dock_widget(panel, name=title)
    dock = dock_of(panel)
    if dock is not None:
        dock.show()
        dock.raise_()
    return panel


def open_denoise() -> None:
    """Open the panel *Denoise*: the command that is found by "remove noise"."""
    from napari_ae_denoise._qt.commands import DenoiseWidget

    _open(DenoiseWidget, "Denoise")


def open_train() -> None:
    """Open the panel *Train autoencoder*: the command that is found by "model"."""
    from napari_ae_denoise._qt.commands import TrainWidget

    _open(TrainWidget, "Train autoencoder")


def open_compare() -> None:
    """Open the panel *Compare*: the command that is found by "PSNR"."""
    from napari_ae_denoise._qt.commands import CompareWidget

    _open(CompareWidget, "Compare")


def open_batch() -> None:
    """Open the panel *Batch*: the command that is found by "folder"."""
    from napari_ae_denoise._qt.commands import BatchWidget

    _open(BatchWidget, "Batch")


def _open(kind: Callable[[ViewerModel], Any], name: str) -> None:
    viewer = current_viewer()
    if viewer is not None:
        show_panel(viewer, kind, name)
