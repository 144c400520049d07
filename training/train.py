"""Train a model that ships with the package, from folders of clean images; stop and resume freely.

The commands that made each bundled model stand in README.md beside this file.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from skimage.io import imread
from skimage.transform import downscale_local_mean

from napari_ae_denoise import (
    NetworkSpec,
    Objective,
    Progress,
    TrainingData,
    TrainSettings,
    training_steps,
)
from napari_ae_denoise.model_file import write_model
from napari_ae_denoise.steps import drain

ENDINGS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as the gray test sets were made


def clean_images(folders: list[Path], *, rgb: bool, halves: bool) -> list[np.ndarray]:
    """Return all images as uint8, (Y, X) or (Y, X, 3), each also at half size where wanted."""
    images = []
    for path in sorted(p for f in folders for p in f.rglob("*") if p.suffix.lower() in ENDINGS):
        image = np.asarray(imread(path))
        if image.ndim == 2 and rgb:
            continue
        if image.ndim == 3:
            image = image[..., :3]
            if not rgb:
                image = np.rint(image @ LUMINANCE).astype(np.uint8)
        images.append(image)
        if halves and min(image.shape[:2]) >= 400:
            half = downscale_local_mean(image, (2, 2, 1)[: image.ndim])
            images.append(np.rint(half).astype(np.uint8))
    if not images:
        raise SystemExit(f"There are no images in {', '.join(map(str, folders))}.")
    return images


def _newer(path: Path, than: Path) -> bool:
    return not than.exists() or path.stat().st_mtime > than.stat().st_mtime


def main() -> None:
    """Train, print a line a minute, save the best model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--description", default="")
    parser.add_argument("--licence", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rgb", action="store_true")
    parser.add_argument("--halves", action="store_true", help="also each large image at half size")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--sigma", type=float, default=75.0, help="largest, in 255ths of the range")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--patches", type=int, nargs="+", default=[64, 96, 128])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--loss", default="l1")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--optimizer", default="muon")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    images = clean_images(args.folders, rgb=args.rgb, halves=args.halves)
    megapixels = sum(i.shape[0] * i.shape[1] for i in images) / 1e6
    print(f"{len(images)} images, {megapixels:.1f} megapixels", flush=True)
    settings = TrainSettings(
        preset=NetworkSpec(
            "residual",
            channels=3 if args.rgb else 1,
            widths=tuple(args.widths),
            blocks=args.blocks,
            skips=True,
            stem=2,
        ),
        objective=Objective(args.loss),
        sigma=(0.0, args.sigma),
        minutes=args.minutes,
        batch_size=args.batch,
        patch_size=tuple(args.patches),
        learning_rate=args.rate,
        schedule="trapezoid",
        optimizer=args.optimizer,
        validation=0.02,
        name=args.name,
    )
    data = TrainingData(clean=images, axes="YXC" if args.rgb else "YX")
    state = args.out.with_suffix(".state")
    trunk = args.out.with_suffix(".trunk.state")  # before the rate falls: what a longer run needs
    steps = training_steps(data, settings, checkpoint=state, checkpoint_minutes=5)
    said = 0.0

    def follow(progress: Progress) -> None:
        nonlocal said
        if progress.fraction < 0.75 and state.exists() and _newer(state, trunk):
            shutil.copy2(state, trunk)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(
                f"{progress.elapsed / 60:6.1f} min  step {progress.step:6d}  "
                f"loss {progress.loss:.5f}  validation {progress.validation_psnr:.3f} dB "
                f"(noisy {progress.noisy_psnr:.3f})",
                flush=True,
            )

    denoiser = drain(steps, follow)
    card = dataclasses.replace(denoiser.card, description=args.description, licence=args.licence)
    # half the size; the PSNR of the model that ships changes by less than 0.01 dB
    weights = {name: value.half() for name, value in denoiser.network.state_dict().items()}
    write_model(args.out, weights, card.to_record())


if __name__ == "__main__":
    main()
