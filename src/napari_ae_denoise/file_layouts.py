"""Which axes and shapes results have in files, known before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.disk_layout import CodeOnDisk
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import ZARR, format_of
from napari_ae_denoise.normalization import check_real
from napari_ae_denoise.resolving import layout_for

if TYPE_CHECKING:
    from pathlib import Path

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.disk_layout import OnDisk
    from napari_ae_denoise.image_record import ImageFile


def code_on_disk(denoiser: Denoiser, layout: PlaneLayout) -> CodeOnDisk:
    """Return how the code of an image lies on disk."""
    return CodeOnDisk(layout, denoiser.card.network.code_width, denoiser.stride)


def planes_of(denoiser: Denoiser, image: ImageFile, axes: str | None) -> PlaneLayout:
    """Return the planes of an image as a denoiser sees them; nothing of it is read."""
    check_real(image.array)
    return layout_for(denoiser.card.network, image.array.shape, axes or image.axes)


def code_layout(denoiser: Denoiser, layout: PlaneLayout) -> tuple[tuple[int, ...], str]:
    """Return shape and axes of a code. Its channels are C; channels of the image become N."""
    denoiser.check_own("asked for a latent code")
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


def can_store(target: Path | None, lies: OnDisk) -> bool:
    """Return whether a result can go straight to where it shall go: an OME-Zarr folder."""
    if target is None or format_of(target) != ZARR:
        return False
    try:
        _ = lies.order
    except DenoisingError:
        return False
    return True
