"""PNG and JPEG files: pixels, colour profile and resolution."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.axes import is_rgb
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_record import ImageFile
from napari_ae_denoise.units import CENTIMETERS, INCH, PRINT_UNITS

if TYPE_CHECKING:
    from pathlib import Path

_JPEG_QUALITY = 95  # above it files grow and nothing is seen
_MOST_DOTS = 65535  # an inch: JPEG has 16 bits for them
_PNG_HEADER = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_GREY, _PALETTE = 0, 3  # types of colour in a PNG file
_ORIENTATION = 0x0112  # its tag in EXIF
_LARGEST_EXIF = 65_000  # bytes; a segment of JPEG has 16 bits for their number
_ON_THE_SIDE = 5  # EXIF orientations from this one on exchange X and Y


def read_photograph(path: Path) -> ImageFile:
    """Read a PNG or JPEG file, turned upright as its EXIF says."""
    import imageio.v3 as iio

    _refuse_deep_colours(path)
    file: Any  # imageio's own type does not know what its plugin for Pillow can do
    with iio.imopen(path, "r", plugin="pillow") as file:
        facts = file.metadata(index=0, exclude_applied=False)
        # grey with alpha, and the four inks of print, become colours that everyone knows
        mode = {"LA": "RGBA", "CMYK": "RGB"}.get(str(facts.get("mode", "")))
        array = file.read(index=0, rotate=True, mode=mode)
    spacing = _spacing(facts)
    return ImageFile(
        path,
        array,
        "YXC" if array.ndim == 3 else "YX",
        MappingProxyType(spacing),
        INCH if spacing else "",
        colour_profile=facts.get("icc_profile") or b"",
        exif=_upright(facts.get("exif") or b""),
    )


def _upright(exif: bytes) -> bytes:
    """Return what a camera wrote, without the orientation, which the pixels have by now."""
    from PIL import Image

    if not exif:
        return b""
    said = Image.Exif()
    try:
        said.load(exif)
        said.pop(_ORIENTATION, None)
        kept: bytes = said.tobytes()
    except Exception:  # noqa: BLE001 (cameras write anything; the picture is what matters)
        return b""
    return kept if len(kept) <= _LARGEST_EXIF else b""


def _refuse_deep_colours(path: Path) -> None:
    """Refuse colours of 16 bits, of which Pillow would read 8 without a word."""
    with path.open("rb") as file:
        header = file.read(26)
    if len(header) < 26 or not header.startswith(_PNG_HEADER):
        return
    depth, colours = header[24], header[25]
    if depth == 16 and colours not in (_GREY, _PALETTE):
        raise DenoisingError(
            f"{path} has {depth} bits for each colour, and only 8 of them can be read from a PNG "
            "file.",
            "Save it as a TIFF file of 16 bits, or as a PNG file of 8 bits.",
        )


def _spacing(facts: dict[str, Any]) -> dict[str, float]:
    """Return the distance of pixels in inches."""
    dots = facts.get("dpi")
    if not isinstance(dots, tuple) or len(dots) != 2:
        return {}
    x, y = map(float, dots)
    if not (np.isfinite((x, y)).all() and min(x, y) > 1):  # 0 and 1 say nothing
        return {}
    if facts.get("Orientation", 1) >= _ON_THE_SIDE:
        x, y = y, x
    return {"Y": 1 / y, "X": 1 / x}


def write_photograph(temporary: Path, image: ImageFile, path: Path) -> None:
    """Write the PNG or JPEG file that ``path`` names."""
    import imageio.v3 as iio

    ending = path.suffix.lower()
    options: dict[str, Any] = {} if ending == ".png" else {"quality": _JPEG_QUALITY}
    if image.colour_profile and is_rgb(image.axes or "", image.array.shape):
        options["icc_profile"] = image.colour_profile
    if image.exif:
        options["exif"] = image.exif
    if image.unit in PRINT_UNITS and {"Y", "X"} <= set(image.spacing):
        inches = CENTIMETERS[image.unit] / CENTIMETERS[INCH]
        dots = tuple(1 / (inches * image.spacing[axis]) for axis in "XY")
        if min(dots) >= 1 and max(dots) <= _MOST_DOTS:
            options["dpi"] = dots
    # zero is black in such a file
    array = ~image.array if image.white_is_zero and image.axes == "YX" else image.array
    iio.imwrite(temporary, array, plugin="pillow", extension=ending, **options)
