"""Say in a model's card what it was trained on and how good it is on images it has not seen.

    python training/describe.py MODEL.safetensors --description TEXT --licence TEXT \
        --clean NAME FOLDER        PSNR on clean images with Gaussian noise of sigma 15, 25 and 50
        --pairs NAME NOISY CLEAN   PSNR on real pairs, by file name

Results are rounded to 8 bit. Weights are stored as float16: the PSNR is that of the stored ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import warnings
from pathlib import Path

import numpy as np

from napari_ae_denoise import Denoiser, add_gaussian_noise, psnr
from napari_ae_denoise.image_files import find_images, read_image
from napari_ae_denoise.model_file import write_model

LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def eight_bit(image: np.ndarray) -> np.ndarray:
    """Return an image as it would be saved."""
    return np.clip(np.rint(image), 0, 255)


def on_clean(denoiser: Denoiser, folder: Path) -> dict[int, float]:
    """Return the mean PSNR in dB at each sigma, in 255ths."""
    found: dict[int, list[float]] = {15: [], 25: [], 50: []}
    for number, path in enumerate(find_images([folder])):
        clean = np.asarray(read_image(path).array, np.float32)
        if clean.ndim == 3 and denoiser.card.network.channels == 1:
            clean = clean[..., :3] @ LUMINANCE
        for sigma, rows in found.items():
            noisy = add_gaussian_noise(clean, sigma, seed=number)
            rows.append(psnr(clean, eight_bit(denoiser.denoise(noisy)), data_range=255))
    return {sigma: float(np.mean(rows)) for sigma, rows in found.items()}


def on_pairs(denoiser: Denoiser, noisy: Path, clean: Path) -> float:
    """Return the mean PSNR in dB of real noisy images against clean ones of the same names."""
    rows = []
    for path in find_images([noisy]):
        image = np.asarray(read_image(path).array, np.float32)
        reference = np.asarray(read_image(clean / path.name).array, np.float32)
        rows.append(psnr(reference, eight_bit(denoiser.denoise(image)), data_range=255))
    return float(np.mean(rows))


def main() -> None:
    """Measure, and write the model with its new card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--out", type=Path, help="by default over the model itself")
    parser.add_argument("--description")
    parser.add_argument("--licence")
    parser.add_argument("--clean", nargs=2, action="append", default=[])
    parser.add_argument("--pairs", nargs=3, action="append", default=[])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    denoiser = Denoiser.load(args.model)
    weights = {name: value.half() for name, value in denoiser.network.state_dict().items()}
    denoiser.network.load_state_dict({name: value.float() for name, value in weights.items()})
    metrics = dict(denoiser.card.metrics)
    for name, folder in args.clean:
        for sigma, quality in on_clean(denoiser, Path(folder)).items():
            metrics[f"{name}_psnr_sigma_{sigma}"] = round(quality, 2)
    for name, noisy, clean in args.pairs:
        metrics[f"{name}_psnr"] = round(on_pairs(denoiser, Path(noisy), Path(clean)), 2)
    training = dict(denoiser.card.training)
    if "preset" in training:  # that of the model it started from may have had fewer blocks
        training["preset"] = dataclasses.asdict(denoiser.card.network)
    card = dataclasses.replace(
        denoiser.card,
        metrics=metrics,
        training=training,
        description=args.description or denoiser.card.description,
        licence=args.licence or denoiser.card.licence,
    )
    write_model(args.out or args.model, weights, card.to_record())
    for name, value in metrics.items():
        print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
