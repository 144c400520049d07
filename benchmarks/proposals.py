"""Whether the model that the Denoise panel proposes is the right one.

    python benchmarks/proposals.py [--photographs FOLDER ...] [--micrographs FOLDER ...]
        [--noisy-micrographs FOLDER ...] [--most 40]

Of each image the middle 256 x 256 pixels are looked at, in gray. Photographs are looked at as they
are and with Gaussian noise, as 8-bit and as real grey values and as fractions of 1; clean
micrographs with the noise of cameras; noisy ones as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_ae_denoise import add_camera_noise, add_gaussian_noise
from napari_ae_denoise.glance import glance_steps
from napari_ae_denoise.image_files import find_images, read_image
from napari_ae_denoise.proposal import GRAY, MICROSCOPY, propose
from napari_ae_denoise.steps import drain

SIDE = 256
NAMES = [GRAY, MICROSCOPY]


def images(folders: list[Path], most: int) -> list[np.ndarray]:
    """Return the middles of some images of each folder, in gray, spread over the folder."""
    made = []
    for folder in folders:
        paths = find_images([folder])
        for path in paths[:: -(-len(paths) // most)]:
            image = np.asarray(read_image(path).array)
            if image.ndim == 3:
                image = np.rint(image[..., :3].mean(axis=2)).astype(image.dtype)
            top, left = (max(0, (n - SIDE) // 2) for n in image.shape)
            made.append(image[top : top + SIDE, left : left + SIDE])
    return made


def rate(seen: list[np.ndarray], wanted: str) -> str:
    """Return how many images the wanted model is proposed for."""
    hits = sum(propose(drain(glance_steps(image)), NAMES).name == wanted for image in seen)
    return f"{hits:4d} of {len(seen):4d}  {hits / len(seen):4.0%}"


def with_gaussian(image: np.ndarray, sigma: float, seed: int) -> list[np.ndarray]:
    """Return an 8-bit image with noise: as 8 bit, as real grey values, and as fractions."""
    real = add_gaussian_noise(image.astype(np.float32), sigma, seed=seed)
    return [add_gaussian_noise(image, sigma, seed=seed), real, real / 255]


def main() -> None:
    """Print a line for each kind of image."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("--photographs", "--micrographs", "--noisy-micrographs"):
        parser.add_argument(name, nargs="*", type=Path, default=[])
    parser.add_argument("--most", type=int, default=40, help="images of a folder")
    asked = parser.parse_args()
    if photographs := images(asked.photographs, asked.most):
        print("photographs                     ", rate(photographs, GRAY))
        for sigma in (5, 15, 30, 50):
            noisy = [n for i, p in enumerate(photographs) for n in with_gaussian(p, sigma, i)]
            print(f"photographs, sigma {sigma:2d}           ", rate(noisy, GRAY))
    if clean := images(asked.micrographs, asked.most):
        for gain in (1, 4, 10):
            noisy = [
                add_camera_noise(p, gain=gain, read_noise=2, seed=i) for i, p in enumerate(clean)
            ]
            print(f"micrographs, camera of gain {gain:2d}  ", rate(noisy, MICROSCOPY))
    if real := images(asked.noisy_micrographs, asked.most):
        print("noisy micrographs               ", rate(real, MICROSCOPY))


if __name__ == "__main__":
    main()
