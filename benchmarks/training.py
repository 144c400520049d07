"""How fast a network trains with one thread: as the package does it, against plain float32.

Prints the megapixels a second of both and their ratio, from one run, taken in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from napari_ae_denoise.devices import computing_in, training_precision, using_threads
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder
from napari_ae_denoise.objectives import Objective
from napari_ae_denoise.optimizers import OPTIMIZERS

_PATCHES, _SIDE = 16, 64


def stepper(preset: str, *, fast: bool, optimizer: str):
    """Return a function that trains one step; `fast` is the way of the package."""
    cpu = torch.device("cpu")
    layout = torch.channels_last if fast else torch.contiguous_format
    dtype = training_precision(cpu) if fast else torch.float32
    network = ConvAutoencoder(PRESETS[preset]).to(memory_format=layout)
    updates = OPTIMIZERS[optimizer](network.parameters(), 1e-4)
    rng = np.random.default_rng(0)
    clean = rng.random((_PATCHES, 1, _SIDE, _SIDE), dtype=np.float32)
    noisy = clean + 0.1 * rng.standard_normal(clean.shape, dtype=np.float32)
    x, y = (torch.from_numpy(a).contiguous(memory_format=layout) for a in (noisy, clean))
    objective = Objective()

    def step() -> float:
        begin = time.perf_counter()
        with computing_in(dtype, cpu):
            loss = objective(network, x, y)
        updates.zero_grad(set_to_none=True)
        loss.backward()
        with computing_in(dtype, cpu):
            updates.step()
        return time.perf_counter() - begin

    return step


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    pixels = _PATCHES * _SIDE**2 / 1e6
    print("| network | optimizer | Mpixel/s | float32 NCHW, Adam | ratio |\n|---|---|---|---|---|")
    with using_threads(1):
        for preset in (name for name, spec in PRESETS.items() if spec.image_size is None):
            steps = {
                "plain": stepper(preset, fast=False, optimizer="adam"),
                "adam": stepper(preset, fast=True, optimizer="adam"),
                "muon": stepper(preset, fast=True, optimizer="muon"),
            }
            laps = {name: [] for name in steps}
            end = time.monotonic() + args.seconds / len(PRESETS)
            while time.monotonic() < end or len(laps["plain"]) < 4:
                for name, step in steps.items():
                    laps[name].append(step())
            median = {name: statistics.median(times[1:]) for name, times in laps.items()}
            for name in ("adam", "muon"):
                print(
                    f"| {preset} | {name} | {pixels / median[name]:.3f} | "
                    f"{pixels / median['plain']:.3f} | {median['plain'] / median[name]:.2f} |"
                )


if __name__ == "__main__":
    main()
