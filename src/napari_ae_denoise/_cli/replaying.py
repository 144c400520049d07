"""The command that makes of images what a workflow says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ae_denoise._cli import options
from napari_ae_denoise._cli.terminal import Batch, dask_bar
from napari_ae_denoise.image_files import find_images
from napari_ae_denoise.output_names import output_paths


def replay(
    workflow: Annotated[
        Path, typer.Argument(help="File that *Save workflow* of the Denoise panel wrote.")
    ],
    images: options.Images,
    output: options.Output,
    level: options.Level = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Make of images what was made in the Denoise panel, pixel for pixel.

    The workflow names the model, its settings, and what to make: the denoised image, the removed
    noise or the latent code. An image that fails is reported, the rest goes on.
    """
    from napari_ae_denoise.file_jobs import code_layout, planes_of, write_file
    from napari_ae_denoise.image_files import read_image
    from napari_ae_denoise.provenance import CODE
    from napari_ae_denoise.workflow import Workflow

    told = Workflow.load(workflow)
    batch = Batch(find_images(images))
    denoiser = told.denoiser()
    targets = output_paths(batch.paths, output, overwrite=overwrite)
    for path, target in zip(batch, targets, strict=True):
        with batch.one(path):
            image = read_image(path, level)
            made, axes = told.run(denoiser, image.array), told.axes
            if told.what == CODE:
                axes = code_layout(denoiser, planes_of(denoiser, image, axes))[1]
                image = image.with_stride(denoiser.stride)
            write_file(target, made, image, axes, dask_bar)
    batch.end()
