"""Open, train, predict and close, again and again: nothing may stay behind.

Needs a display, or xvfb-run. Each cycle opens a viewer with the panels *Train autoencoder* and
*Denoise*, trains some steps, denoises, and closes the viewer; every fifth cycle fails, in turn in
training and in prediction. At the end no viewer, panel, Qt widget or thread of ours may be left
that was not there after the first cycles, and the memory may have grown by 50 MB at most.

napari itself keeps some memory of each viewer that was ever open. The same number of viewers
without our panels (``--bare``) is measured in a process of its own, and taken off.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
import weakref

os.environ["NAPARI_CONFIG"] = ""  # the user's own settings are neither read nor changed

import napari
import numpy as np
import psutil
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication

PLUGIN = "napari-ae-denoise"
_WARM = 10  # cycles in which all is loaded that is loaded once; a fifth of few cycles
_FAIL_EVERY = 5


def pump(condition, seconds: float = 120.0) -> None:
    """Let the window work until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.002)
        if time.monotonic() > end:
            raise SystemExit("a job did not end")


@contextlib.contextmanager
def failing(owner, name: str, fails: bool):
    """Let a method raise what torch raises, while inside."""
    usual = getattr(owner, name)

    def broken(*_args, **_more):
        raise RuntimeError("CUDA error: device-side assert triggered")

    setattr(owner, name, broken if fails else usual)
    try:
        yield
    finally:
        setattr(owner, name, usual)


def work(viewer, image, number: int, seen: list) -> None:
    """Train and denoise in the panels of a viewer."""
    from napari_ae_denoise.tile_runner import TileRunner
    from napari_ae_denoise.training_run import TrainingRun

    failed = number % _FAIL_EVERY == 0
    early = failed and number % (2 * _FAIL_EVERY) == 0
    _, train = viewer.window.add_plugin_dock_widget(PLUGIN, "Train autoencoder")
    _, denoise = viewer.window.add_plugin_dock_widget(PLUGIN, "Denoise")
    seen += [weakref.ref(train), weakref.ref(denoise)]
    fields = train.fields
    fields.preset.value = "classic"
    fields.length_unit.value, fields.length.value = "steps", 4
    fields.batch_size.value, fields.patch_size.value = 2, 32
    with failing(TrainingRun, "step", early):
        train.run()
        pump(lambda: train.job.state.value == "idle")
    if (train.job.ended.value == "failed") != early:
        raise SystemExit(f"training of cycle {number}: {train.job.ended}")
    if early:
        return
    with failing(TileRunner, "_run", failed):
        denoise.run()
        pump(lambda: denoise.job.state.value == "idle")
    if (denoise.job.ended.value == "failed") != failed:
        raise SystemExit(f"prediction of cycle {number}: {denoise.job.ended}")


def cycle(number: int, bare: bool, image, seen: list) -> None:
    """Open, work, close."""
    viewer = napari.Viewer(show=True)
    seen.append(weakref.ref(viewer.__wrapped__ if hasattr(viewer, "__wrapped__") else viewer))
    viewer.add_image(image)
    if bare:
        viewer.add_image(image)
    else:
        work(viewer, image, number, seen)
    viewer.close()


def settle() -> None:
    """Let Qt delete what waits for it, and Python what nobody holds."""
    for _ in range(3):
        QApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()


def counted() -> tuple[int, int, float]:
    """Return how many widgets and threads of ours there are, and the memory in MB."""
    from napari_ae_denoise._qt.panel import Panel
    from napari_ae_denoise._qt.worker import THREAD_NAME

    ours = sum(isinstance(widget, Panel) for widget in QApplication.allWidgets())
    threads = sum(thread.name == THREAD_NAME for thread in threading.enumerate())
    return ours, threads, psutil.Process().memory_info().rss / 1e6


def main() -> None:
    """Cycle and print a table; end with 1 where something stays behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--bare", action="store_true", help="viewers without our panels")
    parser.add_argument("--quick", action="store_true", help="do not measure bare viewers")
    args = parser.parse_args()
    image = np.random.default_rng(0).integers(0, 255, (96, 80)).astype("u1")
    seen: list = []
    warm = min(_WARM, max(args.cycles // 5, 1))
    for number in range(1, warm + 1):
        cycle(number, args.bare, image, seen)
    settle()
    before = counted()[2]
    for number in range(warm + 1, args.cycles + 1):
        cycle(number, args.bare, image, seen)
        settle()
    pump(lambda: counted()[1] == 0, 20)
    settle()
    widgets, threads, memory = counted()
    alive = sum(ref() is not None for ref in seen)
    drift = memory - before
    if args.bare:
        print(f"{drift:.1f}")
        return
    own = drift
    if not args.quick:
        command = [sys.executable, __file__, "--bare", "--cycles", str(args.cycles)]
        bare = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        own -= float(bare.stdout.split()[-1])
    failed = args.cycles // _FAIL_EVERY
    print(
        "| cycles | failing | viewers and panels left | widgets | threads | drift, MB | ours, MB |"
    )
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {args.cycles} | {failed} | {alive} | {widgets} | {threads} | {drift:.1f} | {own:.1f} |"
    )
    if alive or widgets or threads or own > 50:
        raise SystemExit("something stays behind")


if __name__ == "__main__":
    main()
