"""What people see of a package of bioimage.io: its name, its documentation and its cover."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.training_data import kind_in_words

if TYPE_CHECKING:
    from pathlib import Path

    from napari_ae_denoise.card import Card
    from napari_ae_denoise.denoiser import Denoiser

_COVER = 256  # pixels along each side of its two halves
_LONGEST_NAME = 60


def zoo_name(name: str) -> str:
    """Return a model's name in the characters that bioimage.io allows, and long enough."""
    allowed = re.sub(r"[^A-Za-z0-9_+\- ()]+", "-", name).strip("- ")[:_LONGEST_NAME]
    return allowed if len(allowed) >= 5 else f"denoiser {allowed}".strip()


def may_be_cut(card: Card) -> bool:
    """Return whether blocks of an image, without their halo, are what the whole image gives.

    They share a map of grey values then, and the network does not know where images end.
    """
    spec = card.network
    return card.normalization.kind == "fixed" and spec.edge == "mirror" and spec.image_size is None


def readme(denoiser: Denoiser) -> str:
    """Return the documentation of a package, in markdown."""
    card = denoiser.card
    normalization = card.normalization
    if normalization.kind == "fixed":
        grey = (
            f"Grey values are mapped by `(grey - {normalization.offset:g}) / "
            f"{normalization.scale:g}` before the network and back after it (`scale_linear`). "
        ) + (
            "Large images may be cut into blocks, with the halo that is stated."
            if may_be_cut(card)
            else "**Give whole images**: the network knows where they end."
        )
    else:
        grey = (
            f"The percentiles {normalization.low:g} and {normalization.high:g} of each image are "
            "measured inside the network, which sees them as 0 and 1; its output is in the grey "
            "values of its input. **Give whole images**: blocks of an image would each be "
            "stretched by their own range, and would show. For images larger than memory open "
            "this package with napari-ae-denoise, which measures once and cuts exactly."
        )
    lines = [
        f"# {card.name}",
        card.description or "A denoising autoencoder.",
        "## What goes in and what comes out",
        "Images (batch, channel, Y, X), float32, in grey values of any range. " + grey,
        "Noise of cameras is not levelled here, as napari-ae-denoise does by itself where it finds "
        "it.",
        "## Training",
        f"Kind of data: {kind_in_words(card.data_kind) or 'not stated'}. "
        f"Noise: {card.noise}{_sigma(card)}. Loss: {card.objective or 'not stated'}. "
        f"Made {card.created or 'at an unknown date'} with "
        "[napari-ae-denoise](https://github.com/napari-ae-denoise/napari-ae-denoise).",
        "## Validation",
        "Compare denoised images with clean ones of the same thing (PSNR, SSIM; `napari-ae-denoise "
        "compare`). What was measured:",
        "\n".join(f"- {name}: {value:.4g}" for name, value in card.metrics.items()) or "- nothing",
        "## In Python",
        "```python\nfrom napari_ae_denoise import Denoiser\n\n"
        'denoised = Denoiser.load("this-package.zip").denoise(image)\n```',
    ]
    return "\n\n".join(lines) + "\n"


def _sigma(card: Any) -> str:
    if card.sigma is None:
        return ""
    unit = "of the data range" if card.sigma_relative else "grey values"
    return f", sigma {card.sigma[0]:.3g} to {card.sigma[1]:.3g} {unit}"


def cover(
    noisy: npt.NDArray[np.float32], clean: npt.NDArray[np.float32], path: Path
) -> npt.NDArray[np.uint8]:
    """Write noisy and denoised image (channels, Y, X) side by side, 2:1; return the picture."""
    import imageio.v3 as iio
    from skimage.transform import resize

    low, high = np.percentile(noisy, [0.5, 99.5])
    halves = []
    for image in (noisy, clean):
        shown = image if image.shape[0] == 3 else np.repeat(image[:1], 3, axis=0)
        side = min(shown.shape[1:])
        top, left = ((n - side) // 2 for n in shown.shape[1:])
        square = shown[:, top : top + side, left : left + side].transpose(1, 2, 0)
        grey = np.clip((square - low) / max(high - low, 1e-20), 0, 1)
        if side != _COVER:
            grey = resize(grey, (_COVER, _COVER), order=1, anti_aliasing=side > _COVER)
        halves.append(np.rint(255 * grey).astype(np.uint8))
    picture = np.concatenate(halves, axis=1)
    iio.imwrite(path, picture, plugin="pillow", optimize=True)
    return picture
