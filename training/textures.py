"""Make photographs with woven and striped surfaces: fine repeated detail is rare in others.

    python training/textures.py PHOTOGRAPHS --out TEXTURES

Parts of photographs get gratings, of 2.2 to 14 pixels a period, in regions with soft edges: one
direction (stripes) or two (cloth, checks), bent as folds bend them. The same seed gives the same
images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.io import imsave
from skimage.transform import downscale_local_mean
from train import clean_images

FINE = 3  # gratings are drawn this many times finer and averaged down, so that none is aliased


def smooth(rng: np.random.Generator, size: int, sigma: float) -> np.ndarray:
    """Return a random field, (size, size), that varies over sigma pixels: mean 0, deviation 1."""
    field = gaussian_filter(rng.standard_normal((size, size)), sigma, mode="wrap")
    return (field - field.mean()) / field.std()


def grating(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return bent stripes, (size, size), of values from -1 to 1."""
    period, angle = np.exp(rng.uniform(np.log(2.2), np.log(14))), rng.uniform(0, np.pi)
    y, x = np.mgrid[: size * FINE, : size * FINE] / FINE
    bend = smooth(rng, size, rng.uniform(20, 70)) * rng.uniform(0, 12) / period
    phase = (x * np.cos(angle) + y * np.sin(angle)) / period + np.kron(bend, np.ones((FINE, FINE)))
    sharpness = rng.uniform(0.5, 4)  # from a sine to bars
    stripes = np.tanh(sharpness * np.sin(2 * np.pi * phase)) / np.tanh(sharpness)
    return downscale_local_mean(stripes, (FINE, FINE))


def textured(rng: np.random.Generator, photograph: np.ndarray) -> np.ndarray:
    """Return a photograph, (Y, X, 3) of equal sides, with two textured surfaces, as uint8."""
    image, size = photograph.astype(np.float64), len(photograph)
    for _ in range(2):
        pattern = grating(rng, size)
        if rng.random() < 0.5:
            other = grating(rng, size)
            pattern = pattern * other if rng.random() < 0.5 else (pattern + other) / 2
        light = gaussian_filter(image, (3, 3, 0))  # cloth is as bright as what it lies on
        strength = rng.uniform(0.08, 0.6) * (1 + 0.3 * rng.uniform(-1, 1, 3))
        cloth = light * (1 + strength * pattern[..., None])
        region = 1 / (1 + np.exp(-8 * (smooth(rng, size, 40) - rng.uniform(-0.8, 0.6))))
        image += region[..., None] * (cloth - image)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def main() -> None:
    """Write the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    photographs = [
        image
        for image in clean_images([args.photographs], rgb=True, scales=[1])
        if min(image.shape[:2]) >= args.size
    ]
    if not photographs:
        raise SystemExit(
            f"{args.photographs} holds no colour photographs of {args.size} x {args.size} "
            "pixels or more: choose another folder, or a smaller --size."
        )
    for number in range(args.count):
        photograph = photographs[rng.integers(len(photographs))]
        y, x = (rng.integers(0, n - args.size + 1) for n in photograph.shape[:2])
        part = photograph[y : y + args.size, x : x + args.size]
        imsave(args.out / f"{number:04d}.png", textured(rng, part), check_contrast=False)


if __name__ == "__main__":
    main()
