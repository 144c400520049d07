"""Denoise an image that need not fit into memory, from zarr to OME-Zarr, tile by tile.

    python examples/larger_than_memory.py [IMAGE.ome.zarr] [--side 2048] [--output clean.ome.zarr]

Without an image a noisy one is made first. Interrupted and started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import dask.array

from napari_ae_denoise import Denoiser, add_gaussian_noise
from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.result_folder import Destination


def make_image(path: Path, side: int) -> None:
    """Write a large noisy image, lazily: a gradient, under noise of sigma 20."""
    row = dask.array.linspace(0, 200, side, chunks=512)
    clean = dask.array.add.outer(row, row) / 2
    noisy = add_gaussian_noise(clean.astype("float32"), 20, seed=0)
    write_image(path, noisy, axes="YX")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path, nargs="?")
    parser.add_argument("--side", type=int, default=2048, help="of the image that is made")
    parser.add_argument("--output", type=Path, default=Path("clean.ome.zarr"))
    args = parser.parse_args()

    path = args.image or Path("noisy.ome.zarr")
    if not path.exists():
        make_image(path, args.side)
    image = read_image(path)  # a dask array: nothing is read yet

    def show(progress) -> None:
        print(f"\r{progress.done} of {progress.total} tiles", end="", flush=True)

    clean = Denoiser.load("natural-gray").denoise(
        image.array,
        axes=image.axes,
        to=Destination(args.output, image.spacing, image.unit),
        on_progress=show,
    )
    print(f"\nwrote {args.output}: {clean.shape}, {clean.dtype}")


if __name__ == "__main__":
    main()
