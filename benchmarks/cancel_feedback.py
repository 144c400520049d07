"""How soon the window answers to a press of Stop while a network trains, at random moments.

Needs a display, or xvfb-run. From the moment at which the mouse is pressed, whatever the window is
doing then, to the first picture of the bar that says that the job stops. It is to take at most
100 ms.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time

import napari
from qtpy.QtCore import QEvent, QObject, Signal
from qtpy.QtWidgets import QApplication
from skimage.data import camera

from napari_ae_denoise._qt.train_widget import TrainWidget


class Mouse(QObject):
    """Presses a button from another thread, as the system does, and notes the next picture."""

    pressed = Signal(float)

    def __init__(self, bar) -> None:
        super().__init__()
        self.bar, self.when, self.found = bar, None, []
        self.pressed.connect(self.press)
        bar.stop_button.installEventFilter(self)

    def press(self, when: float) -> None:
        """Press, in the thread of the window."""
        self.when = when
        self.bar.stop_button.click()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Note when the button is drawn anew."""
        if event.type() == QEvent.Type.Paint and self.when is not None:
            self.found.append(1000 * (time.perf_counter() - self.when))
            self.when = None
        return False


def pump(condition, seconds: float = 120.0) -> None:
    """Let the window work until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)
        if time.monotonic() > end:
            raise SystemExit("the window does not answer")


def main() -> None:
    """Press and print a table; end with 1 where an answer takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presses", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    viewer = napari.Viewer()
    viewer.add_image(camera(), name="camera")
    panel = TrainWidget(viewer)
    viewer.window.add_dock_widget(panel)
    mouse, seen = Mouse(panel.bar), []
    panel.job.progressed.connect(seen.append)
    panel.fields.length_unit.value, panel.fields.length.value = "steps", 1_000_000
    for number in range(args.presses):
        seen.clear()
        panel.run()
        pump(lambda: seen)
        timer = threading.Timer(dice.uniform(0, 1), lambda: mouse.pressed.emit(time.perf_counter()))
        timer.start()
        pump(lambda count=number + 1: len(mouse.found) == count)
        pump(lambda: panel.job.state.value == "idle")
    p95 = statistics.quantiles(mouse.found, n=20)[-1]
    print("| presses | median, ms | p95, ms | longest, ms |\n|---|---|---|---|")
    middle, longest = statistics.median(mouse.found), max(mouse.found)
    print(f"| {len(mouse.found)} | {middle:.0f} | {p95:.0f} | {longest:.0f} |")
    viewer.close()
    if longest > 100:
        raise SystemExit("it took too long")


if __name__ == "__main__":
    main()
