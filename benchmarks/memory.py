"""Peak memory of denoising a large image, over that of the image itself.

Each size runs in a process of its own, which reports its high-water mark of resident memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

_RUN = """
import resource, sys
import numpy as np, torch
from napari_ae_denoise import PRESETS, ConvAutoencoder, Denoiser
from napari_ae_denoise.card import Card
side = int(sys.argv[1])
spec = PRESETS["residual"]
denoiser = Denoiser(ConvAutoencoder(spec), Card(network=spec))
denoiser.denoise(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint16))
image = np.random.default_rng(0).integers(0, 4000, (side, side)).astype(np.uint16)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
denoiser.denoise(image)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(image.nbytes / 2**20, (after - before) / 2**10)
"""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048, 4472])
    args = parser.parse_args()
    print("| image | image, MiB | peak over it, MiB | ratio |\n|---|---|---|---|")
    for side in args.sides:
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(side)], capture_output=True, text=True, check=True
        )
        image, extra = (float(v) for v in done.stdout.split())
        print(f"| {side} x {side} uint16 | {image:.0f} | {extra:.0f} | {extra / image:.1f} |")


if __name__ == "__main__":
    sys.exit(main() if hasattr(resource, "RUSAGE_SELF") else "needs a Unix system")
