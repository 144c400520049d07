"""Training data that lie in files and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import find_images, read_image
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
    told_axes = {image.axes for side in images.values() for image in side}
    axes = axes or (told_axes.pop() if len(told_axes) == 1 else None)
    arrays = {name: [image.array for image in side] for name, side in images.items()}
    return TrainingData(**arrays, axes=axes)


def _read(paths: Sequence[str | Path]) -> list[ImageFile]:
    images = []
    for path in find_images(paths):
        look_for_stop()
        images.append(read_image(path))
    return images
