"""kill -9 at random moments while a training writes its checkpoint; each time it must load.

A process does nothing but write checkpoints, one after the other, of growing step numbers. It is
killed at a random moment, most of which are in the middle of a write. The checkpoint must then
load, be one that was written whole, and never be older than the last that was reported as written.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from napari_ae_denoise.checkpoint import TrainingState


def new_state() -> tuple[nn.Module, TrainingState]:
    """Return a training of one layer."""
    torch.manual_seed(0)
    network = nn.Conv2d(16, 64, 3)
    return network, TrainingState(network, torch.optim.SGD(network.parameters()), average=0.9)


def write_for_ever(path: Path, pipe: int) -> None:
    """Go on from the checkpoint and write new ones, each of the number of its step."""
    network, state = new_state()
    if path.exists():
        state.load(path)
    os.write(pipe, f"ready {state.step}\n".encode())
    while True:
        with torch.no_grad():
            network.weight.fill_(state.step + 1)
        state.step += 1
        state.keep()
        state.save(path)
        os.write(pipe, f"wrote {state.step}\n".encode())


def kill_once(path: Path, dice: random.Random, least: int) -> int:
    """Let a process write checkpoints, kill it, and return the step that it certainly wrote."""
    reads, writes = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            write_for_ever(path, writes)
        finally:
            os._exit(1)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        first = pipe.readline().split()
        if first[:1] != ["ready"] or int(first[1]) < least:
            raise SystemExit(f"a checkpoint did not load, or an older one did: {first}")
        if dice.random() < 0.9:
            pipe.readline()
        time.sleep(dice.random() * 0.03)
        os.kill(process, signal.SIGKILL)
        said = [line.split() for line in pipe if line.endswith("\n")]
    os.waitpid(process, 0)
    return max([least, *(int(line[1]) for line in said if line[0] == "wrote")])


def check(path: Path, least: int) -> None:
    """Load the checkpoint; all of it must be of one and the same step."""
    network, state = new_state()
    state.load(path)
    if state.step < least or not (network.weight == state.step).all():
        raise SystemExit(f"the checkpoint is of step {state.step}, after {least}, or of two steps")


def main() -> None:
    """Kill and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    dice = random.Random(args.seed)
    least = loaded = halves = 0
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "checkpoint.safetensors"
        for _ in range(args.kills):
            least = kill_once(path, dice, least)
            if path.exists():
                check(path, least)
            elif least:
                raise SystemExit("a checkpoint that was written is not there")
            loaded += 1
            litter = [p for p in Path(name).iterdir() if p != path]
            halves += len(litter)
            for half in litter:
                half.unlink()
    print("| kills | loaded | in the middle of a write | steps |\n|---|---|---|---|")
    print(f"| {args.kills} | {loaded} | {halves} | {least} |")


if __name__ == "__main__":
    main()
