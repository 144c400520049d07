"""Training data that lie in files and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.axes import in_order, plane_layout
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import find_images, read_image
from napari_ae_denoise.normalization import check_real
from napari_ae_denoise.steps import look_for_stop
from napari_ae_denoise.training_data import TrainingData

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_ae_denoise.image_record import ImageFile


def data_from_files(
    *,
    clean: Sequence[str | Path] | None = None,
    noisy: Sequence[str | Path] | None = None,
    noisy_again: Sequence[str | Path] | None = None,
    axes: str | None = None,
) -> TrainingData:
    """Read images to train on; see `TrainingData` for what may be given.

    Parameters
    ----------
    clean, noisy, noisy_again : sequence of path-like, optional
        Image files, or folders of them, which are taken in the order of their names: the first
        noisy one belongs to the first clean one.
    axes : str, optional
        One letter per axis; by default what the files say, if they agree.

    Raises
    ------
    DenoisingError
        If a file cannot be read, or the images do not fit each other.
    """
    sides = {"clean": clean, "noisy": noisy, "noisy_again": noisy_again}
    images = {name: _read(paths) for name, paths in sides.items() if paths}
    if len({len(side) for side in images.values()}) > 1:
        told = " and ".join(
            f"{len(side)} {name.replace('_', ' ')}" for name, side in images.items()
        )
        raise DenoisingError(
            f"There are {told} images, which make no pairs.",
            "Give two images of each thing; files are paired in the order of their names.",
        )
    first = next(iter(images.values()), [])
    axes = axes or _common_axes(first)
    arrays = {
        name: [
            in_order(image.array, image.axes, partner.axes)
            for image, partner in zip(side, first, strict=True)
        ]
        for name, side in images.items()
    }
    return TrainingData(**arrays, axes=axes)


def _common_axes(images: Sequence[ImageFile]) -> str | None:
    """Return what all files say; None where each says what its shape tells, too.

    Raises
    ------
    DenoisingError
        If they say different things, of which some would be guessed wrong.
    """
    told = {image.axes: image for image in images}
    if len(told) == 1:
        return next(iter(told))
    for axes, image in told.items():
        if axes is not None and plane_layout(image.array.shape, None).axes != axes:
            other = next(one for letters, one in told.items() if letters != axes)
            raise DenoisingError(
                f"{image.path} has the axes {axes}, and {other.path} "
                f"{other.axes or 'does not tell its own'}.",
                "Give images with the same axes, or name those of all (axes).",
            )
    return None


def _read(paths: Sequence[str | Path]) -> list[ImageFile]:
    images = []
    for path in find_images(paths):
        look_for_stop()
        image = read_image(path)
        try:
            check_real(image.array)
        except DenoisingError as error:
            raise DenoisingError(f"{path}: {error.cause}", error.remedy) from error
        images.append(image)
    return images
