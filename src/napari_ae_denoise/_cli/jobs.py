"""What the commands do to files: read, compute with a progress bar, write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import typer

from napari_ae_denoise._cli.storing import can_store, say_remarks, store, with_tile_bar
from napari_ae_denoise._cli.terminal import (
    dask_bar,
    make_folder,
    output_paths,
    refuse_existing,
)
from napari_ae_denoise._cli.train_jobs import with_training_bar
from napari_ae_denoise.axes import is_dask
from napari_ae_denoise.camera_noise import CameraNoise
from napari_ae_denoise.demo import Demo, demo_figure, make_demo
from napari_ae_denoise.disk_layout import CodeOnDisk, ImageOnDisk
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.figures import save_figure
from napari_ae_denoise.image_files import check_writable, read_image
from napari_ae_denoise.image_files import write_image as write
from napari_ae_denoise.noise import add_noise
from napari_ae_denoise.noise_cells import GaussianNoise
from napari_ae_denoise.normalization import check_real
from napari_ae_denoise.resolving import layout_for
from napari_ae_denoise.steps import warned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.image_record import ImageFile
    from napari_ae_denoise.tile_runner import PredictSettings

DEMO_PICTURE = Path("demo-output") / "denoised.png"
Result = TypeVar("Result")


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
    _write(target, noisy, image, axes)


def _write(target: Path, array: Any, like: ImageFile, axes: str | None) -> None:
    if is_dask(array):
        with dask_bar(target.name):
            write(target, array, like, axes)
    else:
        write(target, array, like, axes)


# ---- denoise, encode


class Outputs(NamedTuple):
    """Where the results of one image go."""

    denoised: Path
    latent: Path | None
    removed: Path | None


def resolve_outputs(
    inputs: Sequence[Path],
    output: Path,
    latent: Path | None,
    removed: Path | None,
    *,
    overwrite: bool,
) -> list[Outputs]:
    """Return where the results of each input go; refuse what would lose a file."""
    nothing: list[Path | None] = [None] * len(inputs)
    columns: list[Sequence[Path | None]] = [
        output_paths(inputs, output, overwrite=overwrite, unfinished=True)
    ]
    for place, ending, unfinished in (
        (latent, "_latent.tif", True),
        (removed, "_noise.tif", False),
    ):
        how: dict[str, Any] = {"overwrite": overwrite, "unfinished": unfinished}
        found = nothing if place is None else output_paths(inputs, place, ending=ending, **how)
        columns.append(found)
    rows = [Outputs(*row) for row in zip(*columns, strict=True)]
    targets = [target.resolve() for row in rows for target in row if target is not None]
    doubled = {str(target) for target in targets if targets.count(target) > 1}
    if doubled:
        raise DenoisingError(
            f"Two results would be written to {', '.join(sorted(doubled))}.",
            "Give --output, --latent and --noise names of their own.",
        )
    return rows


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


def denoise_file(
    denoiser: Denoiser,
    path: Path,
    targets: Outputs,
    axes: str | None,
    settings: PredictSettings,
    level: int = 0,
    *,
    overwrite: bool,
) -> None:
    """Denoise an image, and write what is asked for; lazily read ones straight to disk."""
    image = read_image(path, level)
    layout = _layout(denoiser, image, axes)
    dtype = settings.dtype or image.array.dtype
    check_writable(targets.denoised, layout.shape, dtype, layout.axes)
    code_axes = ""
    if targets.latent is not None:
        code_shape, code_axes = _code_layout(denoiser, layout)
        check_writable(targets.latent, code_shape, np.float32, code_axes)
    if targets.removed is not None:
        check_writable(targets.removed, layout.shape, np.float32, layout.axes)
    lazy = is_dask(image.array)
    straight = {
        "denoised": lazy and can_store(targets.denoised, ImageOnDisk(layout)),
        "code": lazy and can_store(targets.latent, _code_on_disk(denoiser, layout)),
    }
    for target, goes in zip(targets, straight.values(), strict=False):
        if target is not None and not goes:
            refuse_existing(target, overwrite=overwrite)
    if lazy:
        made, code = _lazily(denoiser, image, targets, layout, settings, straight, overwrite)
    else:
        steps = denoiser.predict_steps(
            image.array, axes=layout.axes, settings=settings, code=targets.latent is not None
        )
        prediction = warned(with_tile_bar(steps, path.name))
        say_remarks(path, prediction.remarks)
        made, code = prediction.denoised, prediction.code
    if not straight["denoised"]:
        _write(targets.denoised, made, image, layout.axes)
    if targets.latent is not None and not straight["code"]:
        _write(targets.latent, code, image.with_stride(denoiser.stride), code_axes)
    if targets.removed is not None:
        difference = image.array.astype(np.float32) - made.astype(np.float32)
        _write(targets.removed, difference, image, layout.axes)


def _lazily(
    denoiser: Denoiser,
    image: ImageFile,
    targets: Outputs,
    layout: PlaneLayout,
    settings: PredictSettings,
    straight: Mapping[str, bool],
    overwrite: bool,
) -> tuple[Any, Any]:
    """Return denoised image and code of a lazily read image, on disk where they can go there."""
    array, axes = image.array, layout.axes
    seen = warned(
        denoiser.resolve(array, axes, settings.noise_model, settings.correlated)
    )  # once for both
    say_remarks(image.path, seen.remarks)
    how: dict[str, Any] = {"settings": settings, "seen": seen}
    lazily = denoiser.predict_lazily(
        array,
        axes=axes,
        denoised=not straight["denoised"],
        code=targets.latent is not None and not straight["code"],
        **how,
    )
    made, code = lazily.denoised, lazily.code
    if straight["denoised"]:
        made = store(denoiser, image, targets.denoised, overwrite, **how)
    if straight["code"] and targets.latent is not None:
        code = store(denoiser, image, targets.latent, overwrite, code=True, **how)
    return made, code


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
    layout = _layout(denoiser, image, axes)
    lazy = is_dask(image.array)
    if lazy and can_store(target, _code_on_disk(denoiser, layout)):
        seen = warned(
            denoiser.resolve(image.array, layout.axes, settings.noise_model, settings.correlated)
        )
        store(denoiser, image, target, overwrite, settings=settings, seen=seen, code=True)
        return
    refuse_existing(target, overwrite=overwrite)
    shape, code_axes = _code_layout(denoiser, layout)
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
    _write(target, code, image.with_stride(denoiser.stride), code_axes)


def _code_on_disk(denoiser: Denoiser, layout: PlaneLayout) -> CodeOnDisk:
    return CodeOnDisk(layout, denoiser.card.network.code_width, denoiser.stride)


def _layout(denoiser: Denoiser, image: ImageFile, axes: str | None) -> PlaneLayout:
    """Return the planes of an image as a denoiser sees them; nothing of it is read."""
    check_real(image.array)
    return layout_for(denoiser.card.network, image.array.shape, axes or image.axes)


def _code_layout(denoiser: Denoiser, layout: PlaneLayout) -> tuple[tuple[int, ...], str]:
    """Return shape and axes of a code. Its channels are C; channels of the image become N."""
    down = (-(-n // denoiser.stride) for n in layout.plane_shape)
    stack = layout.stack_axes
    for letter in "NTZ":
        if "C" in stack and letter not in stack:
            stack = stack.replace("C", letter)
    if "C" in stack:
        raise DenoisingError(
            f'The code of an image of axes "{layout.axes}" has more axes than there are letters.',
            "Encode its channels one by one.",
        )
    shape = (denoiser.card.network.code_width, *layout.stack_shape, *down)
    return shape, f"C{stack}YX"


# ---- demo


def run_demo(seconds: float, device: str) -> Demo:
    """Make what the demo shows, with a progress bar."""
    return with_training_bar(make_demo(seconds, device=device))


def save_picture(shown: Demo, path: Path) -> None:
    """Write the demo's picture; makes the folder."""
    make_folder(path.parent)
    save_figure(demo_figure(shown), path)
