"""How much processor time passes between two looks at the stop, within a tile of the largest size.

On a quiet machine a prediction goes on no longer than that after it is told to stop. Processor time
of the thread, so that it can be measured on a busy machine too. At most 1 s is wanted.
"""

from __future__ import annotations

import argparse
import threading
import time

import numpy as np
import torch

from napari_ae_denoise import Denoiser

SIDE = 1024  # pixels: the largest tile on a CPU


class Watched(threading.Event):
    """A stop that notes when the thread that made it looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[float] = []  # seconds of processor time of that thread
        self._thread = threading.get_ident()

    def is_set(self) -> bool:
        """Return whether it is to end, and note the time."""
        if threading.get_ident() == self._thread:
            self.looks.append(time.thread_time())
        return super().is_set()


def gaps(denoiser: Denoiser) -> tuple[float, list[float]]:
    """Return the time of a tile, and the times between two looks."""
    colours = (3,) if denoiser.card.network.channels == 3 else ()
    image = np.random.default_rng(0).normal(120, 25, (SIDE, SIDE, *colours)).clip(0, 255)
    began, stop = time.thread_time(), Watched()
    denoiser.denoise(image.astype("u1"), tile=SIDE, noise_model="gaussian", stop=stop)
    ended = time.thread_time()
    return ended - began, np.diff([began, *stop.looks, ended]).tolist()


def main() -> None:
    """Measure and print a table; end with 1 where a gap is too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["natural-gray", "natural-rgb"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    worst = 0.0
    print("| model | tile, s | looks | longest time between two, s |\n|---|---|---|---|")
    for name in args.models:
        whole, found = gaps(Denoiser.load(name))
        worst = max(worst, *found)
        print(f"| {name} | {whole:.1f} | {len(found)} | {max(found):.2f} |", flush=True)
    if worst > 1:
        raise SystemExit(f"{worst:.2f} s pass without a look at the stop")


if __name__ == "__main__":
    main()
