"""The command that makes of images what a workflow says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from napari_ae_denoise._cli import options
from napari_ae_denoise._cli.terminal import Batch, dask_bar
from napari_ae_denoise.image_files import find_images
from napari_ae_denoise.output_names import OF_CODE, OF_NOISE, output_paths


def replay(
    workflow: Annotated[
        Path, typer.Argument(help="File that *Save workflow* of the Denoise panel wrote.")
    ],
    images: options.Images,
    output: options.Output,
    axes: options.Axes = None,
    level: options.Level = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Make of images what was made in the Denoise panel, pixel for pixel.

    The workflow names the model, its settings, and what to make: the denoised image, the removed
    noise or the latent code. An image that fails is reported, the rest goes on.
    """
    from napari_ae_denoise.file_jobs import write_file
    from napari_ae_denoise.file_layouts import code_layout, planes_of
    from napari_ae_denoise.image_files import check_writable, read_image
    from napari_ae_denoise.provenance import CODE, DENOISED, REMOVED
    from napari_ae_denoise.workflow import Workflow

    told = Workflow.load(workflow)
    batch = Batch(find_images(images))
    denoiser = told.denoiser()
    ending = {CODE: OF_CODE, REMOVED: OF_NOISE}.get(told.what, "")
    targets = output_paths(batch.paths, output, overwrite=overwrite, ending=ending)
    for path, target in zip(batch, targets, strict=True):
        with batch.one(path):
            image = read_image(path, level)
            letters = told.axes_of(axes or image.axes, image.array.shape)
            shape, dtype = image.array.shape, image.array.dtype
            if told.what == CODE:
                shape, letters = code_layout(denoiser, planes_of(denoiser, image, letters))
                image = image.with_stride(denoiser.stride)
            elif told.what == REMOVED:
                image = image.with_differences()
            dtype = dtype if told.what == DENOISED else np.dtype(np.float32)
            check_writable(target, shape, dtype, letters)
            write_file(target, told.run(denoiser, image.array), image, letters, dask_bar)
    batch.end()
