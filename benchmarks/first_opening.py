"""The longest stall of napari's window at the first opening of a panel in a session.

Needs a display, or xvfb-run. Each opening is a session of its own: napari starts with an image, and
the panel is opened as by its menu. Beside it stands what it would be without loading in a thread:
the panel's modules, PyTorch among them, imported by the window's own thread. The two take turns.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time
from importlib import import_module

PANELS = {"Denoise": "denoise_widget", "Train autoencoder": "train_widget"}


def longest_stall(panel: str, *, at_once: bool) -> float:
    """Return the longest gap between ticks of a 5 ms timer while a panel opens, in milliseconds."""
    import napari
    import numpy as np
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    viewer.add_image(np.random.default_rng(0).random((256, 256)))
    ticks: list[float] = []
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))

    def stay(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.001)

    stay(2)  # napari itself has come to rest
    timer.start()
    stay(0.1)
    if at_once:
        import_module(f"napari_ae_denoise._qt.{PANELS[panel]}")
    viewer.window.add_plugin_dock_widget("napari-ae-denoise", panel)
    stay(1)
    return 1000 * max(b - a for a, b in itertools.pairwise(ticks))


def measure(panel: str, *, at_once: bool) -> float:
    """Return the longest stall in a session of its own."""
    words = [sys.executable, __file__, "--panel", panel, *(["--at-once"] if at_once else [])]
    quiet = {**os.environ, "NAPARI_CONFIG": ""}  # the user's own settings are not read
    done = subprocess.run(words, env=quiet, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the medians, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=5, help="of each kind and panel")
    parser.add_argument("--panel", choices=PANELS, help="open it here, and print its stall")
    parser.add_argument("--at-once", action="store_true", help="import in the window's thread")
    given = parser.parse_args()
    if given.panel:
        print(longest_stall(given.panel, at_once=given.at_once), flush=True)
        os._exit(0)  # napari would ask for the window to be closed first
    for panel in PANELS:
        found: dict[bool, list[float]] = {True: [], False: []}
        for at_once in [True, False] * given.sessions:
            found[at_once].append(measure(panel, at_once=at_once))
        before, now = (statistics.median(found[at_once]) for at_once in (True, False))
        print(
            f"{panel}: {now:.0f} ms (at most {max(found[False]):.0f}); imported by the window's "
            f"thread {before:.0f} ms; ratio {now / before:.2f}"
        )


if __name__ == "__main__":
    main()
