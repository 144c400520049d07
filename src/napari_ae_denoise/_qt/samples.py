"""Sample data that may have to be downloaded: in a worker thread, never in that of the window."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari import current_viewer
from napari.utils.notifications import show_error, show_info

from napari_ae_denoise._qt.layers import add_image
from napari_ae_denoise._qt.worker import Job
from napari_ae_denoise.fashion_mnist import fetch_fashion_mnist, find_fashion_mnist
from napari_ae_denoise.samples import fashion_mnist_layers

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from napari.viewer import ViewerModel

    from napari_ae_denoise.samples import LayerData

_running: set[Job] = set()  # held here, for nothing else holds them


def fashion_mnist_sample() -> list[LayerData]:
    """Return noisy and clean Fashion-MNIST; add them later where they must be downloaded."""
    if find_fashion_mnist() is not None:
        return fashion_mnist_layers()
    show_info("Downloading Fashion-MNIST (about 30 MB); the layers appear when it is there.")
    job = Job()
    job.done.connect(partial(_add, current_viewer()))
    job.failed.connect(lambda error: show_error(str(error)))
    for ended in (job.done, job.failed):
        ended.connect(lambda _: _running.discard(job))
    _running.add(job)
    job.start(_fetch)
    return []


def _fetch(_stop: threading.Event) -> Generator[float, None, list[LayerData]]:
    yield 0.0
    fetch_fashion_mnist()
    return fashion_mnist_layers()


def _add(viewer: ViewerModel | None, layers: list[tuple[Any, dict[str, Any], str]]) -> None:
    for data, how, _kind in layers if viewer is not None else ():
        add_image(viewer, data=data, **how)
