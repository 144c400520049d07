"""Peak memory of denoising a large image: in memory, over the image itself; and to disk.

Each size runs in a process of its own, which reports its high-water mark of resident memory.
The images that go to disk are virtual: each window is made when it is read. Their network is tiny,
for all of 20 GB is gone through; memory is that of the tiles, their reading and their writing.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile

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

_DISK = """
import resource, sys
import numpy as np, torch
from napari_ae_denoise import ConvAutoencoder, Denoiser, NetworkSpec
from napari_ae_denoise.card import Card
planes, folder = int(sys.argv[1]), sys.argv[2]
spec = NetworkSpec("residual", widths=(4, 4), blocks=1, skips=True, stem=4)
denoiser = Denoiser(ConvAutoencoder(spec), Card(network=spec))

class Virtual:
    dtype, ndim, chunks = np.dtype("f4"), 3, (1, 1024, 1024)
    def __init__(self, planes):
        self.shape = planes, 8192, 8192
    def __getitem__(self, index):
        plane, y, x = index
        rows = np.arange(*y.indices(self.shape[1])) % 251
        columns = np.arange(*x.indices(self.shape[2])) % 241
        return (rows[:, None] + columns + plane).astype(self.dtype)

def high_water():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10

denoiser.denoise(np.random.default_rng(0).normal(size=(64, 64)), to=folder + "/small.zarr")
image, before = Virtual(planes), high_water()
tiles = []
denoiser.denoise(image, to=folder + "/a.zarr", dtype="u1", on_progress=tiles.append)
from napari_ae_denoise.done_record import DoneRecord
from pathlib import Path
side = DoneRecord.load(Path(folder, "a.zarr")).how["tile"]
print(np.prod(image.shape) * 4 / 2**20, high_water() - before, len(tiles), side, tiles[-1].elapsed)
"""


def run(code: str, *words: object) -> list[float]:
    """Return the numbers that a program prints."""
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(v) for v in done.stdout.split()]


def to_disk(gigabytes: list[float]) -> None:
    """Measure the way to disk, and print a table and the slope."""
    print("\n| image to disk | tiles | side, pixels | peak, MiB | s |\n|---|---|---|---|---|")
    found = []
    for size in gigabytes:
        with tempfile.TemporaryDirectory() as folder:
            planes = max(1, round(size * 1e9 / (4 * 8192**2)))
            image, extra, tiles, side, seconds = run(_DISK, planes, folder)
        found.append((image, extra))
        print(
            f"| {image / 953.67:.1f} GB | {tiles:.0f} | {side:.0f} | {extra:.0f} | {seconds:.0f} |"
        )
    if len(found) > 1:
        (small, first), *_, (large, last) = found
        print(f"\nslope: {100 * (last - first) / (large - small):.2f} % of the image")


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="*", default=[1024, 2048, 4472])
    parser.add_argument("--gigabytes", type=float, nargs="*", default=[1, 5, 20])
    args = parser.parse_args()
    print("| image | image, MiB | peak over it, MiB | ratio |\n|---|---|---|---|")
    for side in args.sides:
        image, extra = run(_RUN, side)
        print(f"| {side} x {side} uint16 | {image:.0f} | {extra:.0f} | {extra / image:.1f} |")
    to_disk(args.gigabytes)


if __name__ == "__main__":
    sys.exit(main() if hasattr(resource, "RUSAGE_SELF") else "needs a Unix system")
