"""Look at the latent code of an image, and make the image from the code alone.

    python examples/latent_code.py [--steps 400] [--output code.png]

Trains a small autoencoder without skip connections for it: its image is made from the code.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from skimage.data import camera

from napari_ae_denoise import TrainingData, TrainSettings, add_gaussian_noise, psnr, train
from napari_ae_denoise.image_files import write_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--output", type=Path, default=Path("code.png"))
    args = parser.parse_args()

    clean = camera()
    denoiser = train(
        TrainingData(clean=clean),
        TrainSettings(preset="classic", sigma=(0, 50), steps=args.steps, seed=0),
    )
    noisy = add_gaussian_noise(clean, 25, seed=0)
    code = denoiser.encode(noisy)  # (code channels, Y/stride, X/stride)
    print(f"the code of {noisy.shape} is {code.shape}: {denoiser.network.code_in_words}")
    again = denoiser.decode(code, like=noisy)
    print(f"from the code alone: {psnr(clean, again, data_range=255):.2f} dB")

    strongest = code[np.argsort(code.std(axis=(1, 2)))[-4:]]
    low, high = np.percentile(strongest, [1, 99])
    row = np.clip((np.concatenate(strongest, axis=1) - low) / max(high - low, 1e-12), 0, 1)
    write_image(args.output, np.rint(255 * row).astype(np.uint8), axes="YX")
    print(f"wrote {args.output}: the four units that vary most")


if __name__ == "__main__":
    main()
