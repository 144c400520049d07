"""What the user has selected in the layer list stays so when layers of our own come and go."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.viewer import ViewerModel


@contextlib.contextmanager
def selection_kept(viewer: ViewerModel) -> Iterator[None]:
    """Select what is active now again at the end, if it is there still."""
    active = viewer.layers.selection.active
    yield
    if active is not None and active in viewer.layers:
        viewer.layers.selection.active = active
