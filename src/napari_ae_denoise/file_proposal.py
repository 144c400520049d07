"""Which model to propose for image files, when nobody has chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.bundled import bundled_names
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.glance import glance_steps
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.proposal import Proposal, propose
from napari_ae_denoise.units import tells_size

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Sequence
    from pathlib import Path


def file_proposal_steps(
    paths: Sequence[Path],
    axes: str | None = None,
    level: int = 0,
    *,
    stop: threading.Event | None = None,
) -> Generator[float, None, tuple[Path, Proposal] | None]:
    """Find the bundled model that fits the first image that can be read.

    Parameters
    ----------
    paths : sequence of Path
        The images.
    axes : str, optional
        One letter per axis of theirs; by default as each file says.
    level : int
        Of OME-Zarr images.
    stop : threading.Event, optional
        Once set, nothing further is read.

    Yields
    ------
    float
        The finished part of looking at an image, 0 to 1.

    Returns
    -------
    (Path, Proposal) or None
        Which image was looked at, and what fits it; None if stopped.

    Raises
    ------
    DenoisingError
        If no image can be read; says why of the first. If no model is bundled.
    """
    failed: DenoisingError | None = None
    for path in paths:
        try:
            image = read_image(path, level)
            seen = yield from glance_steps(image.array, axes or image.axes, stop=stop)
        except DenoisingError as error:
            failed = failed or error
            continue
        if seen is None:
            return None
        measured = bool(image.spacing) and tells_size(image.unit)
        found = propose(seen, bundled_names(), calibrated=measured)
        if found is not None:
            return path, found
    raise failed or DenoisingError("No model comes with this package.", "Choose a model's file.")
