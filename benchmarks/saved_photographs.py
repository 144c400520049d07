"""How well photographs are denoised whose noise is not that of test images.

    python benchmarks/saved_photographs.py FOLDER [--model FILE ...] [--sigma 15 25 50] [--limit N]

Gaussian noise is added to clean colour images, and then becomes what cameras and programs make of
it: the same in red, green and blue; mixed by a camera's matrix; saved as JPEG, whose colours are
coarser than its light (4:2:0) or not (4:4:4), in full or in gray. All is rounded to 8 bit and
clipped. Prints the mean PSNR (dB) before and after each bundled model for photographs, and those of
model files; a model for gray images takes each colour on its own.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from quality import LUMINANCE, eight_bit

from napari_ae_denoise import Denoiser, psnr
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import find_images, read_image
from napari_ae_denoise.proposal import COLOURS, GRAY

if TYPE_CHECKING:
    from collections.abc import Iterator

CAMERA = np.array([[1.7, -0.5, -0.2], [-0.3, 1.6, -0.3], [0.0, -0.6, 1.6]], np.float32)
FULL, HALF = 0, 2  # Pillow's names for 4:4:4 and 4:2:0


def jpeg(image: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    """Return what a JPEG file keeps of an image of 8 bit."""
    file = io.BytesIO()
    made = Image.fromarray(image.astype(np.uint8))
    made.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file), np.float32)


def noisy_ones(
    clean: np.ndarray, sigma: float, seed: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield what happens to the noise, and a clean (Y, X, 3) with a noisy image of 8 bit."""
    rng = np.random.default_rng(seed)
    own, common = (
        sigma * rng.standard_normal((*clean.shape[:2], n), dtype=np.float32) for n in (3, 1)
    )
    gray = np.repeat((clean @ LUMINANCE)[..., None], 3, axis=2)
    noisy = eight_bit(clean + own)
    camera = own @ (CAMERA / np.linalg.norm(CAMERA, axis=1, keepdims=True)).T
    yield "independent", clean, noisy
    yield "half of it the same in all colours", clean, eight_bit(clean + (own + common) / 2**0.5)
    yield "the same in all colours", clean, eight_bit(clean + common)
    yield "without colours", gray, eight_bit(gray + common)
    yield "mixed by a camera's matrix", clean, eight_bit(clean + camera)
    yield "JPEG 4:4:4, quality 95", clean, jpeg(noisy, 95, FULL)
    for quality in (95, 85, 75):
        yield f"JPEG 4:2:0, quality {quality}", clean, jpeg(noisy, quality, HALF)


def main() -> None:
    """Print a table for each sigma."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, nargs="*", default=[], help="model files beside")
    parser.add_argument("--sigma", type=float, nargs="+", default=[15, 25, 50])
    parser.add_argument("--limit", type=int, help="how many images")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of each image the same remarks
    try:
        models = {name: Denoiser.load(name) for name in (COLOURS, GRAY)}
        models |= {str(path): Denoiser.load(path) for path in asked.model}
        paths = find_images([asked.folder])[: asked.limit]
        images = [np.asarray(read_image(path).array, np.float32) for path in paths]
    except DenoisingError as error:
        sys.exit(str(error))
    images = [image[..., :3] for image in images if image.ndim == 3 and image.shape[2] > 2]
    images = [image for image in images if image.max() <= 255]
    if not images:
        sys.exit(f"{asked.folder} holds no images of 8 bit with colours.")
    for sigma in asked.sigma:
        rows: dict[str, list[list[float]]] = {}
        for seed, image in enumerate(images):
            for what, clean, noisy in noisy_ones(image, sigma, seed):
                made = [m.denoise(noisy, axes="YXC") for m in models.values()]
                near = [psnr(clean, eight_bit(one), data_range=255) for one in (noisy, *made)]
                rows.setdefault(what, []).append(near)
        print(f"\n{len(images)} images of {asked.folder.name}, sigma {sigma:g}; PSNR in dB\n")
        print(f"| noise | before | {' | '.join(models)} |\n|---|---|{'---|' * len(models)}")
        for what, near in rows.items():
            print(f"| {what} | {' | '.join(f'{n:.2f}' for n in np.mean(near, axis=0))} |")


if __name__ == "__main__":
    main()
