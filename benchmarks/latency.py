"""The longest stall of napari's event loop while a network trains and while an image is denoised.

Needs a display, or xvfb-run. Prints the gaps between ticks of a 10 ms timer, idle and at work.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

import napari
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
    print("| | p99, ms | longest, ms | longest / longest idle |\n|---|---|---|---|")
    for name, found in {"idle": idle, "training": training, "denoising": denoising}.items():
        print(row(name, found, max(idle)))
    viewer.close()


if __name__ == "__main__":
    main()
