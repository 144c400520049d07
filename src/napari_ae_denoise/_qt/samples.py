"""Sample data that may have to be downloaded: in a worker thread, never in that of the window."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari import current_viewer
from napari.utils.notifications import show_error, show_info

from napari_ae_denoise._qt.layers import add_image, unwrapped
from napari_ae_denoise._qt.worker import Job
from napari_ae_denoise.fashion_mnist import fetch_fashion_mnist, find_fashion_mnist
from napari_ae_denoise.samples import fashion_mnist_layers

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari.viewer import ViewerModel

    from napari_ae_denoise.errors import DenoisingError
    from napari_ae_denoise.samples import LayerData

_PLACEHOLDER = "napari-ae-denoise placeholder"
_running: set[Job] = set()  # held here, for nothing else holds them


def fashion_mnist_sample() -> list[LayerData]:
    """Return noisy and clean Fashion-MNIST; a placeholder while they must be downloaded."""
    if find_fashion_mnist() is not None:
        return fashion_mnist_layers()
    show_info("Downloading Fashion-MNIST (about 30 MB) ...")
    job = Job()
    viewer = current_viewer()
    held = None if viewer is None else weakref.ref(unwrapped(viewer))  # it may be closed meanwhile
    job.done.connect(partial(_replace_placeholder, held))
    job.failed.connect(partial(_say_failure, held))
    for ended in (job.done, job.failed):
        ended.connect(lambda _: _running.discard(job))
    _running.add(job)
    job.start(_fetch)
    # napari refuses a sample that gives no layer at once
    how = {"name": "Fashion-MNIST (downloading)", "metadata": {_PLACEHOLDER: True}}
    return [(np.zeros((1, 28, 28), np.float32), {**how, "contrast_limits": (0, 1)}, "image")]


def _fetch(_stop: threading.Event) -> Generator[float, None, list[LayerData]]:
    yield 0.0
    fetch_fashion_mnist()
    return fashion_mnist_layers()


def _replace_placeholder(
    held: weakref.ref[ViewerModel] | None, layers: list[tuple[Any, dict[str, Any], str]]
) -> None:
    viewer = None if held is None else held()
    if viewer is None:
        return
    for layer in [one for one in viewer.layers if one.metadata.get(_PLACEHOLDER)]:
        viewer.layers.remove(layer)
    for data, how, _kind in layers:
        add_image(viewer, data=data, **how)


def _say_failure(held: weakref.ref[ViewerModel] | None, error: DenoisingError) -> None:
    _replace_placeholder(held, [])
    show_error(str(error))
