"""Tiles against one pass over the whole image, with the trained networks that are bundled.

Random shapes, tiles and places of an image with real structure and noise, float32 on the CPU. The
largest difference is to be at most 1e-5 of the data range, in the denoised image; that of the code
is given as a part of the largest code value.
"""

from __future__ import annotations

import argparse
import random

import numpy as np
from skimage.data import astronaut

from napari_ae_denoise import Denoiser, bundled_models
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings


def case(denoiser: Denoiser, dice: random.Random, most: int) -> tuple[float, float]:
    """Return the largest differences, of the image and of the code, in one random case."""
    tile = dice.choice([8, 16, 31, 32, 48, 64, 100])
    height, width = (dice.randint(1, min(4 * tile, most)) for _ in range(2))
    y, x = dice.randint(0, 512 - height), dice.randint(0, 512 - width)
    image = astronaut()[y : y + height, x : x + width].astype(np.float32)
    if denoiser.card.network.channels == 1:
        image = image[..., 1]
    rng = np.random.default_rng(dice.randrange(2**32))
    image = image + rng.normal(0, dice.uniform(1, 50), image.shape).astype(np.float32)
    if np.ptp(image) == 0:
        return 0.0, 0.0
    axes = "YXC" if image.ndim == 3 else "YX"
    made = []
    for side in (2 * most, tile):
        how = PredictSettings(side, "cpu", "float32", noise_model="gaussian")
        made.append(drain(denoiser.predict_steps(image, axes=axes, settings=how, code=True)))
    whole, tiled = made
    off = np.abs(whole.denoised - tiled.denoised).max() / np.ptp(image)
    code = np.abs(whole.code - tiled.code).max() / max(np.abs(whole.code).max(), 1e-9)
    return float(off), float(code)


def main() -> None:
    """Compare and print a table; end with 1 where a tile shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--most", type=int, default=128, help="pixels along Y and X")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    models = list(bundled_models())
    print("| model | cases | largest difference, of the data range | of the code |")
    print("|---|---|---|---|")
    worst = 0.0
    for number, name in enumerate(models):
        denoiser = Denoiser.load(name)
        count = args.cases // len(models) + (number < args.cases % len(models))
        found = [case(denoiser, dice, args.most) for _ in range(count)]
        image, code = (max(values) for values in zip(*found, strict=True))
        worst = max(worst, image)
        print(f"| {name} | {count} | {image:.1e} | {code:.1e} |", flush=True)
    if worst > 1e-5:
        raise SystemExit("tiles show")


if __name__ == "__main__":
    main()
