"""kill -9 at random moments while an image is denoised to disk; each time it is gone on with.

Checks that the result is, to the bit, that of a run that nobody disturbed, and that no tile that
was on the disk is computed again. Prints how many kills there were and what they cost.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_ae_denoise.done_record import DoneRecord

TILE = 32  # pixels

_RUN = f"""
import os, sys
import numpy as np, torch
from napari_ae_denoise import PRESETS, ConvAutoencoder, Denoiser
from napari_ae_denoise.card import Card
from napari_ae_denoise.tile_runner import TileRunner
folder, out = sys.argv[1:3]
side = int(sys.argv[3])
log = os.open(folder + "/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
usual = TileRunner.__call__
def call(self, windows, tile, *more, **how):
    number = tile.y.start // {TILE} * (side // {TILE}) + tile.x.start // {TILE}
    os.write(log, number.to_bytes(4, "little"))
    return usual(self, windows, tile, *more, **how)
TileRunner.__call__ = call
torch.manual_seed(0)
spec = PRESETS["classic"]
denoiser = Denoiser(ConvAutoencoder(spec), Card(network=spec))
image = np.random.default_rng(0).normal(1000, 200, (side, side)).astype("u2")
denoiser.denoise(image, tile={TILE}, device="cpu", precision="float32", to=out)
"""


def start(folder: Path, out: Path, side: int) -> subprocess.Popen:
    """Start a run in a process of its own."""
    (folder / "log").unlink(missing_ok=True)
    return subprocess.Popen([sys.executable, "-c", _RUN, str(folder), str(out), str(side)])


def computed(folder: Path) -> set[int]:
    """Return the tiles that the last run began to compute; it may do none twice."""
    log = folder / "log"
    numbers = np.fromfile(log, "<u4").tolist() if log.exists() else []
    if len(numbers) != len(set(numbers)):
        raise SystemExit("a tile was computed twice in one run")
    return set(numbers)


def done(out: Path) -> set[int]:
    """Return the tiles that are recorded as done."""
    record = DoneRecord.load(out)
    return set() if record is None else set(np.flatnonzero(record.done).tolist())


def wait_for_tiles(folder: Path, process: subprocess.Popen) -> None:
    """Wait until a run computes its first tile, or ends without."""
    while process.poll() is None and not computed(folder):
        time.sleep(0.01)


def same_files(a: Path, b: Path) -> bool:
    """Return whether two results hold the same arrays, to the byte."""
    names = [p.relative_to(a) for p in sorted(a.rglob("*")) if p.is_file() and p.parent != a]
    others = [p.relative_to(b) for p in sorted(b.rglob("*")) if p.is_file() and p.parent != b]
    return names == others and all((a / n).read_bytes() == (b / n).read_bytes() for n in names)


def kill_and_go_on(kills: int, seed: int, side: int) -> str:
    """Kill so many runs; return a row of figures, or end with what failed."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, out = folder / "whole.zarr", folder / "a.zarr"
        began = time.monotonic()
        undisturbed = start(folder, whole, side)
        wait_for_tiles(folder, undisturbed)
        first = time.monotonic()
        if undisturbed.wait():
            raise SystemExit("the undisturbed run failed")
        length, tiling = time.monotonic() - began, time.monotonic() - first
        total = len(done(whole))
        killed = midway = finished = again = 0
        while killed < kills or out.exists():
            before = done(out)
            process = start(folder, out, side)
            if dice.random() < 0.7:  # most moments are among the tiles, not among the imports
                wait_for_tiles(folder, process)
                patience = dice.uniform(0, 1) * tiling
            else:
                patience = dice.uniform(0.3, 1.0) * length
            try:
                failed = process.wait(patience if killed < kills else None)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                failed = None
                killed += 1
                midway += 0 < len(done(out)) < total
            if failed:
                raise SystemExit("a run that went on failed")
            if computed(folder) & before:
                raise SystemExit("a finished tile was computed again")
            again += len(computed(folder) - done(out))
            if failed == 0:
                finished += 1
                if not same_files(whole, out):
                    raise SystemExit("the result is not that of the undisturbed run")
                out.rename(folder / f"done{finished}.zarr")
    return f"| {killed} | {midway} | {finished} | {total} | {again / max(killed, 1):.1f} |"


def main() -> None:
    """Kill and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, default=448, help="of the image, a multiple of 32")
    args = parser.parse_args()
    row = kill_and_go_on(args.kills, args.seed, args.side)
    print("| kills | midway | results, all bit-equal | tiles | tiles lost a kill |")
    print(f"|---|---|---|---|---|\n{row}")


if __name__ == "__main__":
    main()
