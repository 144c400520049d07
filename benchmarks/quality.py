"""How good the bundled models are, beside classical methods, on a folder of clean images.

    python benchmarks/quality.py FOLDER [--model FILE ...] [--picture comparison.png]

All methods see the same noise, which is not clipped, and are told its sigma where they take one;
the models are not. Results are rounded to 8 bit. Prints the mean PSNR (dB) and SSIM of each method,
on the luminance of the images and, where they have colours, on these too. BM3D takes part where the
package bm3d is installed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from napari_ae_denoise import Denoiser, add_gaussian_noise, bundled_models, psnr, ssim
from napari_ae_denoise.classical import classical_methods, denoise_classically
from napari_ae_denoise.devices import using_threads
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.figures import before_after, save_figure
from napari_ae_denoise.image_files import find_images, read_image

LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def classical(colours: bool) -> dict:
    """Return the methods to compare with: functions of a noisy image (0 to 255) and its sigma."""
    axes = "YXC" if colours else "YX"
    return {
        name: lambda image, sigma, name=name: denoise_classically(
            image, name, sigma=sigma, axes=axes
        )
        for name in classical_methods()
    }


def clean_images(folder: Path, limit: int | None) -> tuple[dict, dict]:
    """Return luminance (Y, X) and, where there are any, colours (Y, X, 3); float32, 0 to 255."""
    gray, colours = {}, {}
    for path in find_images([folder])[:limit]:
        image = np.asarray(read_image(path).array, np.float32)
        if image.ndim == 3:
            colours[path.name] = image[..., :3]
        gray[path.name] = image[..., :3] @ LUMINANCE if image.ndim == 3 else image
    return gray, colours


def eight_bit(image: np.ndarray) -> np.ndarray:
    """Return an image as it would be saved."""
    return np.clip(np.rint(image), 0, 255)


def measure(images: dict, methods: dict, sigmas: list[float]) -> tuple[dict, dict]:
    """Return {method: {sigma: (PSNR, SSIM, seconds a megapixel)}}, and one image of each method."""
    figures: dict = {name: {} for name in methods}
    shown = {}
    for sigma in sigmas:
        for name, method in methods.items():
            rows = []
            for number, (file, clean) in enumerate(images.items()):
                noisy = add_gaussian_noise(clean, sigma, seed=number)
                begin = time.perf_counter()
                made = eight_bit(method(noisy, sigma))
                seconds = 1e6 * (time.perf_counter() - begin) / clean.size
                axes = "YXC" if clean.ndim == 3 else "YX"
                near = (
                    psnr(clean, made, data_range=255),
                    ssim(clean, made, data_range=255, axes=axes),
                )
                rows.append((*near, seconds))
                if number == 0 and sigma == sigmas[len(sigmas) // 2]:
                    pair = {f"clean, {file}": clean, f"{name}, {near[0]:.2f} dB": made}
                    shown |= {title: image.astype(np.uint8) for title, image in pair.items()}
            figures[name][sigma] = tuple(np.mean(rows, axis=0))
            print(f"{name}, sigma {sigma:g}: {figures[name][sigma][0]:.2f} dB", file=sys.stderr)
    return figures, shown


def main() -> None:
    """Measure, print a table, write a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, nargs="*", default=[], help="model files beside")
    parser.add_argument("--sigma", type=float, nargs="+", default=[15, 25, 50])
    parser.add_argument("--limit", type=int, help="how many images")
    parser.add_argument("--picture", type=Path, default=Path("comparison.png"))
    args = parser.parse_args()
    try:
        gray, colours = clean_images(args.folder, args.limit)
        models = {name: Denoiser.load(name) for name in bundled_models()}
        models |= {path.stem: Denoiser.load(path) for path in args.model}
    except DenoisingError as error:
        sys.exit(str(error))
    for images, channels in ((gray, 1), (colours, 3)):
        if not images:
            continue
        methods = {"noisy": lambda image, _sigma: image, **classical(channels == 3)}
        for name, model in models.items():
            if model.card.network.channels == channels:
                methods[name] = lambda image, _sigma, model=model: model.denoise(image)
        with using_threads(1):
            figures, shown = measure(images, methods, args.sigma)
        kind = "colours" if channels == 3 else "luminance"
        head = " | ".join(f"sigma {sigma:g}" for sigma in args.sigma)
        print(f"{len(images)} images of {args.folder.name}, {kind}; PSNR in dB, SSIM, one thread\n")
        print(f"| method | {head} | s/Mpixel |\n|---|{'---|' * (len(args.sigma) + 1)}")
        for name, row in figures.items():
            cells = " | ".join(f"{p:.2f}, {s:.3f}" for p, s, _ in row.values())
            print(f"| {name} | {cells} | {np.mean([t for *_, t in row.values()]):.2f} |")
        picture = args.picture.with_stem(f"{args.picture.stem}-{kind}") if colours else args.picture
        save_figure(before_after(shown, limits=(0, 255)), picture)
        print(f"\nwrote {picture}\n")


if __name__ == "__main__":
    main()
