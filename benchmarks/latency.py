"""The longest stall of napari's event loop at work, and how soon a view is denoised.

Needs a display, or xvfb-run. Prints the gaps between ticks of a 10 ms timer, idle and at work:
while a network trains, an image is denoised in memory, and one to disk with its planes scrolled
through. Beside it stands what napari takes by itself, with no work of ours: scrolling the image,
adding a layer of the result's kind that is in memory (float32, four levels), and scrolling both,
which in software rendering is slow. And the time from a change of the view to its denoised picture
(live mode, bundled gray model).
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time

os.environ["NAPARI_CONFIG"] = ""  # the user's own settings are neither read nor changed

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from skimage.data import camera

from napari_ae_denoise._qt.denoise_widget import DenoiseWidget
from napari_ae_denoise._qt.train_widget import TrainWidget


def gaps(seconds: float, goes_on=lambda: True) -> list[float]:
    """Return the gaps between timer ticks, in milliseconds."""
    ticks: list[float] = []
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and goes_on():
        QApplication.processEvents()
        time.sleep(0.001)
    timer.stop()
    return [1000 * (b - a) for a, b in itertools.pairwise(ticks)]


def scrolled(viewer, goes_on):
    """Return a condition that moves to another plane ten times a second."""
    planes, last = int(viewer.dims.range[0].stop) + 1, [0.0]

    def step() -> bool:
        if time.monotonic() - last[0] > 0.1:
            last[0] = time.monotonic()
            viewer.dims.set_point(0, (viewer.dims.point[0] + 1) % planes)
        return goes_on()

    return step


def added(viewer, goes_on):
    """Return a condition that scrolls, and after a second adds a layer as that of a result."""
    finest = np.random.default_rng(0).normal(2000, 500, viewer.layers["stack"].data.shape)
    levels = [finest[:, ::n, ::n].astype(np.float32) for n in (1, 2, 4, 8)]
    scrolling, began = scrolled(viewer, goes_on), time.monotonic()

    def step() -> bool:
        if "copy" not in viewer.layers and time.monotonic() - began > 1:
            viewer.add_image(levels, name="copy", multiscale=True, contrast_limits=(0, 4000))
        return scrolling()

    return step


def previews(viewer, denoise, side: int, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds from a change of the view to its first denoised picture, and to all of it.

    Where all of it takes long, the first picture is its middle.
    """
    planes = np.random.default_rng(0).integers(0, 255, (count + 1, side, side)).astype("u1")
    layer = viewer.add_image(planes, name="views")
    viewer.reset_view()
    getattr(viewer, "scene", viewer).camera.zoom /= 2  # the panels leave a narrow canvas
    gaps(0.5)
    denoise.layer.value = layer
    denoise.live.switch.value = True
    first, whole = [], []
    for plane in range(count + 1):
        viewer.dims.set_point(0, plane)
        began = time.perf_counter()
        seen = []
        while not seen or seen[-1] != (side, side):
            if time.perf_counter() - began > 60:
                raise SystemExit(f"the view is not denoised: {seen[-1:]}")
            QApplication.processEvents()
            made = [x for x in viewer.layers if x.name == "views live" and x.translate[0] == plane]
            if made and not seen:
                first.append(time.perf_counter() - began)
            seen += [made[0].data.shape[-2:]] if made else []
            time.sleep(0.001)
        whole.append(time.perf_counter() - began)
    denoise.live.switch.value = False
    return first[1:], whole[1:]  # the first one loads what is loaded once


def row(name: str, found: list[float], idle: float) -> str:
    """Return a line of the table."""
    p99 = statistics.quantiles(found, n=100)[98]
    return f"| {name} | {p99:.0f} | {max(found):.0f} | {max(found) / idle:.1f} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    viewer = napari.Viewer()
    viewer.add_image(camera(), name="camera")
    train, denoise = TrainWidget(viewer), DenoiseWidget(viewer)
    for panel in (train, denoise):
        viewer.window.add_dock_widget(panel)
    idle = gaps(5)
    train.fields.length.value = args.seconds / 60
    train.run()
    training = gaps(10 * args.seconds, lambda: train.job.state.value != "idle")
    denoise.tile.value = 64
    denoise.run()
    denoising = gaps(args.seconds, lambda: denoise.job.state.value != "idle")
    with tempfile.TemporaryDirectory() as folder:
        stack = np.random.default_rng(0).integers(0, 4000, (8, 2048, 2048)).astype("u2")
        denoise.layer.value = viewer.add_image(stack, name="stack")
        scrolling = gaps(5, scrolled(viewer, lambda: True))
        adding = gaps(3, added(viewer, lambda: True))
        two = gaps(5, scrolled(viewer, lambda: True))
        viewer.layers.remove("copy")
        denoise.filling.limit.value, denoise.filling.folder.value = 0.0, folder
        denoise.tile.value = 512
        denoise.run()
        beginning = gaps(60, scrolled(viewer, lambda: "stack denoised" not in viewer.layers))
        busy = scrolled(viewer, lambda: denoise.job.state.value != "idle")
        beginning += gaps(1, busy)
        to_disk = gaps(args.seconds, busy)
        denoise.job.cancel()
        while denoise.job.state.value != "idle":
            gaps(0.1)
        both = gaps(5, scrolled(viewer, lambda: True))
    viewer.layers.clear()
    denoise.filling.limit.value = 2.0
    denoise.model.value = "natural-gray"
    soon = previews(viewer, denoise, 512, 12)
    cases = {
        "idle": idle,
        "training": training,
        "denoising": denoising,
        "scrolling, idle": scrolling,
        "a layer is added, idle": adding,
        "scrolling, two layers in memory, idle": two,
        "scrolling, image and result, idle": both,
        "the result's layer is added, to disk": beginning,
        "scrolling, image and result, to disk": to_disk,
    }
    print("| | p99, ms | longest, ms | longest / longest idle |\n|---|---|---|---|")
    for name, found in cases.items():
        print(row(name, found, max(idle)))
    print("\n| view of 512 x 512, denoised after | median, ms | longest, ms | of 500 ms |")
    print("|---|---|---|---|")
    for name, seconds in zip(("first picture", "all of it"), soon, strict=True):
        middle, longest = 1000 * statistics.median(seconds), 1000 * max(seconds)
        print(f"| {name} | {middle:.0f} | {longest:.0f} | {longest / 500:.1f} |")
    viewer.close()


if __name__ == "__main__":
    main()
