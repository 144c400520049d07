"""Denoise a colour photograph with a model that comes with the package.

    python examples/denoise_photograph.py [PHOTO.png] [--output clean.png]

Without a photograph a sample with known noise is taken, so that the result can be measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_ae_denoise import Denoiser, psnr
from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.samples import photograph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--output", type=Path, default=Path("clean.png"))
    args = parser.parse_args()

    denoiser = Denoiser.load("natural-rgb")
    if args.photo is not None:
        image = read_image(args.photo)
        write_image(args.output, denoiser.denoise(image.array, axes=image.axes), like=image)
    else:
        sample = photograph()
        clean = denoiser.denoise(sample.noisy, axes="YXC")
        for name, made in (("noisy", sample.noisy), ("denoised", clean)):
            print(f"{name:<9} {psnr(sample.clean, made, data_range=255):.2f} dB")
        write_image(args.output, clean, axes="YXC")
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
