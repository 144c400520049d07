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


def open_batch() -> None:
    """Open the panel *Batch*: the command whose name says what it is for."""
    from napari_ae_denoise._qt.batch_widget import BatchWidget

    viewer = current_viewer()
    if viewer is not None:
        show_panel(viewer, BatchWidget, "Batch")
