"""What lies beyond the edge of an image: the mirrored image, or nothing, as in training.

    python benchmarks/edges.py FOLDER [--model natural-gray]

Denoises clean images with Gaussian noise both ways, in turn, and prints PSNR, that of the 16 pixels
next to the edge, and the time.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_ae_denoise import Denoiser, add_gaussian_noise, psnr
from napari_ae_denoise.devices import using_threads
from napari_ae_denoise.image_files import find_images, read_image
from napari_ae_denoise.networks import ConvAutoencoder

_BORDER = 16  # pixels
_SIGMAS = (15, 25, 50)
_EDGES = ("mirror", "zero")


def with_edge(denoiser: Denoiser, edge: str) -> Denoiser:
    """Return a denoiser of the same weights that sees another edge."""
    spec = replace(denoiser.card.network, edge=edge)
    network = ConvAutoencoder(spec)
    network.load_state_dict(denoiser.network.state_dict())
    return Denoiser(network, replace(denoiser.card, network=spec))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="natural-gray")
    args = parser.parse_args()
    model = Denoiser.load(args.model)
    denoisers = {edge: with_edge(model, edge) for edge in _EDGES}
    images = [np.asarray(read_image(p).array, np.float32) for p in find_images([args.folder])]
    seconds: dict[str, list[float]] = {edge: [] for edge in _EDGES}
    print("| edge | sigma | PSNR (dB) | within 16 pixels of the edge |\n|---|---|---|---|")
    with using_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sigma in _SIGMAS:
            found: dict[str, list[tuple[float, float]]] = {edge: [] for edge in _EDGES}
            for number, clean in enumerate(images):
                noisy = add_gaussian_noise(clean, sigma, seed=number)
                inside = np.zeros(clean.shape, bool)
                inside[_BORDER:-_BORDER, _BORDER:-_BORDER] = True
                for edge, denoiser in denoisers.items():
                    begin = time.perf_counter()
                    made = denoiser.denoise(noisy)
                    seconds[edge].append(time.perf_counter() - begin)
                    made = np.clip(np.rint(made), 0, 255)
                    near = psnr(clean[~inside], made[~inside], data_range=255)
                    found[edge].append((psnr(clean, made, data_range=255), near))
            for edge, rows in found.items():
                whole, near = np.mean(rows, axis=0)
                print(f"| {edge} | {sigma} | {whole:.3f} | {near:.3f} |")
    ratios = [b / a for a, b in zip(seconds["mirror"], seconds["zero"], strict=True)]
    ratio = statistics.median(ratios)
    print(f"\n{len(images)} images, one thread; zero takes {ratio:.2f} of the time of mirror")


if __name__ == "__main__":
    main()
