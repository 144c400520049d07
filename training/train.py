"""Train a model that ships with the package, from folders of clean images; stop and resume freely.

The commands that made each bundled model stand in README.md beside this file.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from skimage.io import imread
from skimage.transform import downscale_local_mean
from skimage.util import img_as_ubyte

from napari_ae_denoise import (
    Denoiser,
    Objective,
    Progress,
    TrainingData,
    TrainSettings,
    training_steps,
)
from napari_ae_denoise.model_file import write_model
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder
from napari_ae_denoise.settings import CHOICES
from napari_ae_denoise.steps import drain

ENDINGS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}
SMALLEST = 160  # pixels: images are not made smaller than that
# of a weight in a residual block: what stands before the block's number, the number, and the rest
_BLOCK = re.compile(r"((?:features\.\d+|refine\.\d+|to_code\.0)\.)(\d+)(\.body\..*)")
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as the gray test sets were made


def clean_images(
    folders: list[Path],
    *,
    rgb: bool,
    scales: list[int],
    longest: int | None = None,
    grays: int = 0,
) -> list[np.ndarray]:
    """Return all images as uint8, (Y, X) or (Y, X, 3), at 1/scale of their size for each scale.

    Copies whose longer side has more than ``longest`` pixels are left out. With ``rgb`` and
    ``grays``, every so many-th copy is there once more, as three equal channels, and gray images
    are too; without ``grays`` they are left out.
    """
    images = []
    for path in sorted(p for f in folders for p in f.rglob("*") if p.suffix.lower() in ENDINGS):
        image = np.asarray(imread(path))
        if image.dtype.kind in "iu":  # photographs of 16 bits too
            image = img_as_ubyte(image)
        if image.ndim == 3 and image.shape[2] < 3:
            image = image[..., 0]  # gray with alpha
        if image.ndim == 2 and rgb:
            if not grays:
                continue
            image = np.stack([image] * 3, axis=-1)
        if image.ndim == 3:
            image = image[..., :3]
            if not rgb:
                image = np.rint(image @ LUMINANCE).astype(np.uint8)
        for scale in scales:
            if longest and max(image.shape[:2]) > longest * scale:
                continue
            if scale == 1 or min(image.shape[:2]) >= SMALLEST * scale:
                smaller = downscale_local_mean(image, (scale, scale, 1)[: image.ndim])
                images.append(np.rint(smaller).astype(np.uint8))
    if not images:
        raise SystemExit(f"There are no images in {', '.join(map(str, folders))}.")
    if rgb and grays:
        light = [np.rint(image @ LUMINANCE).astype(np.uint8) for image in images[::grays]]
        images += [np.stack([image] * 3, axis=-1) for image in light]
    return images


def in_colour(gray: Denoiser) -> Denoiser:
    """Return an RGB denoiser that starts as a gray one does: the colours' mean in, thrice out."""
    spec = dataclasses.replace(gray.card.network, channels=3)
    weights = gray.network.state_dict()
    stem, head = weights["stem.1.weight"], weights["head.0.weight"]
    weights |= {
        "stem.1.weight": stem.repeat(1, 3, 1, 1) / 3,
        "head.0.weight": head.repeat(3, 1, 1, 1),
    }
    network = ConvAutoencoder(spec)
    network.load_state_dict(weights)
    return Denoiser(network, dataclasses.replace(gray.card, network=spec, axes="YXC"))


def deeper(denoiser: Denoiser, blocks: int) -> Denoiser:
    """Return a denoiser of more residual blocks a level that computes what the given one does.

    The new blocks stand evenly between the old ones. Their last convolution is zero, so they add
    nothing before they are trained [1]_.

    References
    ----------
    .. [1] T. Chen, I. Goodfellow, J. Shlens, "Net2Net: accelerating learning via knowledge
       transfer", ICLR 2016.
    """
    before = denoiser.card.network.blocks
    if blocks < before:
        raise SystemExit(
            f"{denoiser.card.name} has {before} blocks a level: --blocks {blocks} would lose some."
        )
    spec = dataclasses.replace(denoiser.card.network, blocks=blocks)
    network = ConvAutoencoder(spec)
    weights = {
        name: torch.zeros_like(value) if name.endswith("body.2.weight") else value
        for name, value in network.state_dict().items()
    }

    def moved(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) * blocks // before}{found[3]}"

    for name, value in denoiser.network.state_dict().items():
        weights[_BLOCK.sub(moved, name)] = value
    network.load_state_dict(weights)
    return Denoiser(network, dataclasses.replace(denoiser.card, network=spec))


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
    parser.add_argument(
        "--grays",
        type=int,
        default=0,
        help="with --rgb: gray images too, and every so many-th copy also without its colours",
    )
    parser.add_argument(
        "--scales", type=int, nargs="+", default=[1], help="1 2: also each image at half its size"
    )
    parser.add_argument(
        "--longest", type=int, help="pixels: larger copies are left out, for they have less detail"
    )
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--sigma", type=float, default=75.0, help="largest, in 255ths of the range")
    parser.add_argument("--noise", default="auto", choices=CHOICES["noise"])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128])
    parser.add_argument(
        "--blocks",
        type=int,
        help="residual blocks a level; by default 2, or as many as --start has; more than it has "
        "are added to it",
    )
    parser.add_argument("--patches", type=int, nargs="+", default=[64, 96, 128])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--loss", default="l1")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--schedule", default="cosine", choices=CHOICES["schedule"])
    parser.add_argument("--optimizer", default="muon")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--start",
        type=Path,
        help="model to go on from: its network is taken; with --rgb a gray one is widened",
    )
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    images = clean_images(
        args.folders, rgb=args.rgb, scales=args.scales, longest=args.longest, grays=args.grays
    )
    megapixels = sum(i.shape[0] * i.shape[1] for i in images) / 1e6
    print(f"{len(images)} images, {megapixels:.1f} megapixels", flush=True)
    settings = TrainSettings(
        preset=dataclasses.replace(
            PRESETS["residual-large"],
            channels=3 if args.rgb else 1,
            widths=tuple(args.widths),
            blocks=args.blocks or 2,
        ),
        objective=Objective(args.loss),
        sigma=(0.0, args.sigma / 255),
        relative=True,  # the models are for images of any range
        noise=args.noise,
        minutes=args.minutes,
        batch_size=args.batch,
        patch_size=tuple(args.patches),
        learning_rate=args.rate,
        schedule=args.schedule,
        optimizer=args.optimizer,
        validation=0.02,
        name=args.name,
    )
    start = Denoiser.load(args.start) if args.start else None
    if start and settings.preset.channels == 3 and start.card.network.channels == 1:
        start = in_colour(start)
    if start and args.blocks:
        start = deeper(start, args.blocks)
    data = TrainingData(clean=images, axes="YXC" if args.rgb else "YX")
    state = args.out.with_suffix(".state")
    trunk = args.out.with_suffix(".trunk.state")  # before the rate falls: what a longer run needs
    steps = training_steps(data, settings, start=start, checkpoint=state, checkpoint_minutes=5)
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
