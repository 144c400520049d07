"""What the commands do to files: read, compute with a progress bar, write."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from napari_ae_denoise._cli.storing import GOES_ON, store_code, with_tile_bar
from napari_ae_denoise._cli.terminal import INTERRUPTED, dask_bar, say, stop_on_interrupt
from napari_ae_denoise._cli.train_jobs import with_training_bar
from napari_ae_denoise.axes import is_dask
from napari_ae_denoise.camera_noise import CameraNoise
from napari_ae_denoise.demo import Demo, demo_figure, make_demo
from napari_ae_denoise.figures import save_figure
from napari_ae_denoise.file_jobs import Work, file_job, write_file
from napari_ae_denoise.file_layouts import can_store, code_layout, code_on_disk, planes_of
from napari_ae_denoise.image_files import check_writable, read_image
from napari_ae_denoise.noise import add_noise
from napari_ae_denoise.noise_cells import GaussianNoise
from napari_ae_denoise.output_names import Outputs, make_folder, refuse_existing
from napari_ae_denoise.steps import warned

if TYPE_CHECKING:
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.tile_runner import PredictSettings

DEMO_PICTURE = Path("demo-output") / "denoised.png"


# ---- noise


def noise_law(
    sigma: float | None,
    mean: float,
    relative: bool,
    gain: float | None,
    offset: float,
    read_noise: float,
) -> GaussianNoise | CameraNoise:
    """Return the noise that options ask for: either kind, but one."""
    if (sigma is None) == (gain is None):
        raise typer.BadParameter("Give --sigma (Gaussian noise) or --gain (camera noise).")
    if sigma is not None and (offset or read_noise):
        raise typer.BadParameter("--offset and --read-noise go with --gain, not with --sigma.")
    if gain is not None and (mean or relative):
        raise typer.BadParameter("--mean and --relative go with --sigma, not with --gain.")
    if gain is not None:
        return CameraNoise(gain, offset, read_noise)
    return GaussianNoise(sigma or 0.0, mean, relative)


def add_noise_to(
    path: Path, target: Path, law: GaussianNoise | CameraNoise, axes: str | None, **how: Any
) -> None:
    """Write a noisy copy of an image."""
    image = read_image(path)
    axes = axes or image.axes
    noisy = add_noise(image.array, law, axes=axes, **how)
    write_file(target, noisy, image, axes, dask_bar)


# ---- denoise, encode


def number_type(name: str | None) -> np.dtype[Any] | None:
    """Return the type of a name, or say that it is none that an image can have."""
    if name is None:
        return None
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "buif":
        raise typer.BadParameter(
            f'"{name}" is no type of real numbers; use uint8, uint16 or float32, for example.'
        )
    return dtype


def denoise_file(denoiser: Denoiser, path: Path, targets: Outputs, work: Work) -> None:
    """Denoise an image, and write what is asked for; lazily read ones straight to disk."""
    job = file_job(denoiser, path, targets, work)
    stopping = stop_on_interrupt(GOES_ON) if job.can_go_on else contextlib.nullcontext()
    with stopping as stop:
        steps = job.steps(stop, say=say, writing=dask_bar)
        if not with_tile_bar(steps, path.name):
            raise typer.Exit(INTERRUPTED)


def encode_file(
    denoiser: Denoiser,
    path: Path,
    target: Path,
    axes: str | None,
    settings: PredictSettings,
    *,
    overwrite: bool,
) -> None:
    """Write the latent code of an image; of lazily read ones straight to disk."""
    image = read_image(path)
    layout = planes_of(denoiser, image, axes)
    shape, code_axes = code_layout(denoiser, layout)
    lazy = is_dask(image.array)
    if lazy and can_store(target, code_on_disk(denoiser, layout)):
        seen = warned(
            denoiser.resolve(image.array, layout.axes, settings.noise_model, settings.correlated)
        )
        store_code(denoiser, image, target, settings, seen, overwrite=overwrite)
        return
    refuse_existing(target, overwrite=overwrite)
    check_writable(target, shape, np.float32, code_axes)
    if lazy:
        lazily = denoiser.predict_lazily(
            image.array, axes=layout.axes, settings=settings, denoised=False, code=True
        )
        code = warned(lazily).code
    else:
        steps = denoiser.predict_steps(
            image.array, axes=layout.axes, settings=settings, denoised=False, code=True
        )
        code = warned(with_tile_bar(steps, path.name)).code
    write_file(target, code, image.with_stride(denoiser.stride), code_axes, dask_bar)


# ---- demo


def run_demo(seconds: float, device: str) -> Demo:
    """Make what the demo shows, with a progress bar."""
    return with_training_bar(make_demo(seconds, device=device))


def save_picture(shown: Demo, path: Path) -> None:
    """Write the demo's picture; makes the folder."""
    make_folder(path.parent)
    save_figure(demo_figure(shown), path)
