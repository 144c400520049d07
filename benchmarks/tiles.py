"""How much of the network's own speed is left when an image goes through it tile by tile.

One thread, and seconds of the processor: with one thread these are the seconds that it takes where
nothing else runs, and other programs change them little. In turn, from one run: the network over
the whole image in one pass; tile by tile in memory; from zarr to zarr on disk (read, normalize,
network, write); and its convolutions, each timed by itself in the same precision on the features of
one tile. Prints megapixels a second, and ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import zarr

from napari_ae_denoise import PRESETS, ConvAutoencoder, Denoiser
from napari_ae_denoise.card import Card
from napari_ae_denoise.devices import choose_precision, computing_in, using_threads
from napari_ae_denoise.fused_network import fused
from napari_ae_denoise.tile_runner import PredictSettings, TileRunner

CPU = torch.device("cpu")


def timed(work) -> float:
    """Return the seconds of the processor that a call takes, in all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def one_pass(denoiser: Denoiser, image: np.ndarray, dtype: torch.dtype):
    """Return a function that runs the network over the whole image at once."""
    network = fused(denoiser.network.copy_on(CPU), dtype)  # as fast as one pass can be
    padded = np.pad(image.astype(np.float32), network.halo, mode="reflect")
    batch = torch.from_numpy(padded)[None, None].contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode(), computing_in(dtype, CPU):
            network(batch)

    return run


def convolutions(denoiser: Denoiser, side: int, dtype: torch.dtype) -> float:
    """Return the seconds of all convolutions of one tile without halo, each by itself."""
    network = denoiser.network.copy_on(CPU)
    seen: list[tuple[torch.nn.Module, tuple[int, ...]]] = []
    hooks = [
        layer.register_forward_pre_hook(lambda m, args: seen.append((m, tuple(args[0].shape))))
        for layer in network.modules()
        if isinstance(layer, torch.nn.Conv2d)
    ]
    total = 0.0
    with torch.inference_mode(), computing_in(dtype, CPU):
        network(torch.zeros(1, network.spec.channels, side, side))
        for hook in hooks:
            hook.remove()
        for layer, shape in seen:
            x = torch.randn(shape).to(dtype).contiguous(memory_format=torch.channels_last)
            layer(x)
            total += statistics.median(timed(lambda layer=layer, x=x: layer(x)) for _ in range(3))
    return total


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="of the image, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--presets", nargs="+", default=["residual", "classic"])
    parser.add_argument("--tiles", type=int, nargs="*", default=[], help="sides beside automatic")
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    image = np.random.default_rng(0).integers(0, 4000, (args.side, args.side)).astype("u2")
    print(
        "| network | tile | one pass, Mpixel/s | tiled | ratio | disk to disk | of convolutions |"
    )
    print("|---|---|---|---|---|---|---|")
    for preset in args.presets:
        denoiser = Denoiser(ConvAutoencoder(PRESETS[preset]), Card(network=PRESETS[preset]))
        dtype = choose_precision(CPU, args.precision)
        automatic = TileRunner(denoiser.network, PredictSettings("auto", "cpu")).tile
        for tile in [automatic, *args.tiles]:
            with using_threads(1), tempfile.TemporaryDirectory() as folder:
                row(denoiser, image, tile, dtype, Path(folder), args, preset)


def row(denoiser, image, tile, dtype, folder, args, preset) -> None:
    """Print a line of the table."""
    source = zarr.create_array(folder / "in.zarr", data=image, chunks=(512, 512))
    how = {"tile": tile, "device": "cpu", "precision": args.precision}
    number = iter(range(args.rounds))
    works = {
        "whole": one_pass(denoiser, image, dtype),
        "tiled": lambda: denoiser.denoise(image, **how),
        "disk": lambda: denoiser.denoise(source, to=folder / f"{next(number)}.zarr", **how),
    }
    laps: dict[str, list[float]] = {name: [] for name in [*works, "convolutions"]}
    side = min(tile, args.side)
    for _ in range(args.rounds):
        for name, work in works.items():
            laps[name].append(image.size / 1e6 / timed(work))
        laps["convolutions"].append(side**2 / 1e6 / convolutions(denoiser, side, dtype))
    ratio = {
        "tiled": statistics.median(
            t / w for t, w in zip(laps["tiled"], laps["whole"], strict=True)
        ),
        "disk": statistics.median(
            d / c for d, c in zip(laps["disk"], laps["convolutions"], strict=True)
        ),
    }
    mid = {name: statistics.median(values) for name, values in laps.items()}
    print(
        f"| {preset} | {tile} | {mid['whole']:.3f} | {mid['tiled']:.3f} | {ratio['tiled']:.2f} | "
        f"{mid['disk']:.3f} | {ratio['disk']:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
