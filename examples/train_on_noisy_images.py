"""Train on nothing but a noisy stack, and denoise it: no clean images are needed.

    python examples/train_on_noisy_images.py [STACK.tif] [--minutes 2] [--output clean.tif]

Without a stack a sample is taken, of which the truth is known.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_ae_denoise import TrainingData, TrainSettings, psnr, training_steps
from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.samples import z_stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stack", type=Path, nargs="?")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--output", type=Path, default=Path("clean.tif"))
    args = parser.parse_args()

    sample = z_stack() if args.stack is None else None
    image = None if args.stack is None else read_image(args.stack)
    noisy, axes = (image.array, image.axes) if image else (sample.noisy, sample.axes)

    # a generator of progress: a loop can show it, stop it, or do other things in between
    steps = training_steps(
        TrainingData(noisy=noisy, axes=axes), TrainSettings(minutes=args.minutes, seed=0)
    )
    denoiser = None
    while denoiser is None:
        try:
            progress = next(steps)
            if progress.step % 50 == 0:
                print(f"step {progress.step}: loss {progress.loss:.4g}")
        except StopIteration as done:
            denoiser = done.value

    clean = denoiser.denoise(noisy, axes=axes)
    if sample is not None:
        limit = float(sample.clean.max())
        for name, made in (("noisy", sample.noisy), ("denoised", clean)):
            print(f"{name:<9} {psnr(sample.clean, made, data_range=limit):.2f} dB")
    write_image(args.output, clean, like=image, axes=axes)
    denoiser.save(args.output.with_suffix(".safetensors"))
    print(f"wrote {args.output} and its model")


if __name__ == "__main__":
    main()
