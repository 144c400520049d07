"""The same call on one dask worker and on two; each is a process with one thread.

Both clusters are up all the time and take turns. The ratio means what it says only where two cores
are really free. Needs the extra ``cluster``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from napari_ae_denoise import PRESETS, ConvAutoencoder, Denoiser
from napari_ae_denoise.card import Card


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048, help="of each of 4 planes, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    spec = PRESETS["residual"]
    denoiser = Denoiser(ConvAutoencoder(spec), Card(network=spec))
    values = np.random.default_rng(0).integers(0, 4000, (4, args.side, args.side)).astype("u2")
    image = da.from_array(values, chunks=(1, 512, 512), name="planes")
    # what comes back is small: only the work is timed
    made = denoiser.denoise(image, tile=512, device="cpu", precision="float32").sum()
    laps: dict[int, list[float]] = {1: [], 2: []}
    clients = {}
    for workers in laps:
        cluster = LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, memory_limit=None
        )
        clients[workers] = Client(cluster, set_as_default=False)
        clients[workers].compute(made).result()  # imports, and the model's way to each worker
    for _ in range(args.rounds):
        for workers, client in clients.items():
            began = time.perf_counter()
            client.compute(made).result()  # released, and so computed anew each time
            laps[workers].append(values.size / 1e6 / (time.perf_counter() - began))
    one, two = (statistics.median(laps[n]) for n in (1, 2))
    ratio = statistics.median(b / a for a, b in zip(laps[1], laps[2], strict=True))
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print("| one worker, Mpixel/s | two | ratio | load of the machine |\n|---|---|---|---|")
    print(f"| {one:.3f} | {two:.3f} | {ratio:.2f} | {busy:.1f} |")
    for client in clients.values():
        client.cluster.close()
        client.close()


if __name__ == "__main__":
    main()
