"""TIFF files with their metadata: ImageJ hyperstacks, OME-TIFF, and plain ones."""

from __future__ import annotations

import warnings
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.axes import is_rgb
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_record import Channel, ImageFile, ImageJFacts, OmeFacts
from napari_ae_denoise.imagej_tiff import (
    imagej_channels,
    imagej_facts,
    imagej_options,
    imagej_spacing,
)
from napari_ae_denoise.ome_xml import ome_metadata, read_ome
from napari_ae_denoise.tiff_damage import listening, refuse_missing
from napari_ae_denoise.units import (
    CENTIMETERS,
    PRINT_UNITS,
    distances,
)

if TYPE_CHECKING:
    from pathlib import Path

_RESOLUTION_UNITS = {2: "inch", 3: "centimeter"}  # of the TIFF tag
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_TYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"),
    *("complex64", "complex128"),
)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = range(4)  # "photometric interpretation"
# What its other numbers say, that samples are, which are no grey values and no red, green and blue.
_OTHER_COLOURS = {5: "CMYK", 6: "YCbCr", 8: "CIELAB", 9: "ICCLAB", 10: "ITULAB"}
_YCBCR, _JPEG = 6, (6, 7)  # the decoder of which makes RGB
_ALPHA = (1, 2)  # of the tag "extra samples"
_CLASSIC_LIMIT = 2**32 - 2**25  # bytes; larger files are written as BigTIFF


def read_tiff(path: Path) -> ImageFile:
    """Read the first image of a TIFF file, at full resolution."""
    import tifffile

    with listening() as lines, tifffile.TiffFile(path) as file:
        series = file.series[0]
        refuse_missing(path, series, lines)
        if any(file.is_ome or _is_another(s, series) for s in file.series[1:]):
            warnings.warn(
                f"{path.name} holds {len(file.series)} images; only the first is read.",
                stacklevel=2,
            )
        first = file.pages.first
        if first.photometric == _PALETTE and not (file.is_ome or file.is_imagej):
            _refuse_colours(path, first.colormap)  # there, a palette only shows grey values
        _refuse_other_colours(path, first)
        array, letters = _as_pictures(series.asarray(), series.axes, first)
        axes = _our_axes(letters)
        channels: tuple[Channel, ...] = ()
        beside: ImageJFacts | None = None
        ome: OmeFacts | None = None
        if file.is_ome:
            said, flavour = read_ome(file.ome_metadata, axes, array.shape), "ome"
            spacing, unit, channels, ome = said
        elif file.is_imagej:
            facts, flavour = file.imagej_metadata or {}, "imagej"
            found, unit = imagej_spacing(facts, _resolution(first.tags))
            spacing, channels = distances(found), imagej_channels(facts, axes or "", array.shape)
            palette = first.colormap if first.photometric == _PALETTE else None
            beside = imagej_facts(facts, axes, array, palette)
        else:
            spacing, unit, flavour = *_plain_spacing(first.tags), ""
        profile = first.tags.valueof("InterColorProfile") or b""
    return ImageFile(
        path,
        array,
        axes,
        MappingProxyType(spacing),
        unit,
        flavour,
        channels=channels,
        colour_profile=bytes(profile),
        white_is_zero=first.photometric == _WHITE_IS_ZERO,
        imagej=beside,
        ome=ome,
    )


def _refuse_other_colours(path: Path, page: Any) -> None:
    """Refuse samples that mean neither grey values nor red, green and blue."""
    kind = int(page.photometric)
    if kind in _OTHER_COLOURS and not (kind == _YCBCR and int(page.compression) in _JPEG):
        raise DenoisingError(
            f"The colours of {path} are written as {_OTHER_COLOURS[kind]}, which cannot be "
            "denoised.",
            "Open it elsewhere, convert it to RGB or to grey, and save it again.",
        )


def _as_pictures(array: Any, axes: str, page: Any) -> tuple[Any, str]:
    """Return an image with its colours at the end, and without the alpha of a gray one."""
    if "S" not in axes:
        return array, axes
    place = axes.index("S")
    if int(page.photometric) == _RGB:
        return np.moveaxis(array, place, -1), axes.replace("S", "") + "S"
    alpha = array.shape[place] == 2 and tuple(page.extrasamples)[:1] in [(a,) for a in _ALPHA]
    if alpha and int(page.photometric) in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        warnings.warn("The alpha channel of the gray image is left out.", stacklevel=3)
        return array.take(0, axis=place), axes.replace("S", "")
    return array, axes


def _is_another(series: Any, first: Any) -> bool:
    """Return whether a series is an image beside the first; thumbnails and levels are smaller."""
    alike = (series.dtype, series.axes) == (first.dtype, first.axes)
    return bool(series.shape == first.shape or (alike and series.size >= first.size))


def _refuse_colours(path: Path, palette: Any) -> None:
    """Refuse a palette of colours: neighbouring numbers may stand for very different ones."""
    greys = palette is not None and np.allclose(
        palette, np.linspace(0, 65535, np.shape(palette)[-1]), atol=257
    )
    if not greys:
        raise DenoisingError(
            f"The pixels of {path} are no grey values, but places in a palette of colours.",
            "Open it elsewhere, convert it to grey or to RGB, and save it again.",
        )


def _our_axes(axes: str) -> str | None:
    """Return tifffile's axes in our letters: samples are colours, unknown axes are stacks."""
    letters = [a if a in "NTZCYX" else "" for a in axes]
    if "S" in axes and "C" in letters:
        letters[letters.index("C")] = ""
    for place, letter in enumerate(axes):
        if letter == "S":
            letters[place] = "C"
    free = [a for a in "NTZ" if a not in letters]
    if letters.count("") > len(free):
        return None
    named = "".join(letter or free.pop(0) for letter in letters)
    return named if {"Y", "X"} <= set(named) else None


def _resolution(tags: Any) -> dict[str, float]:
    """Return the distance of pixels by the resolution tags, in their own unit."""
    spacing = {}
    for axis in "YX":
        pixels, length = tags.valueof(f"{axis}Resolution") or (0, 0)
        if pixels and length:
            spacing[axis] = length / pixels
    return spacing


def _plain_spacing(tags: Any) -> tuple[dict[str, float], str]:
    unit = _RESOLUTION_UNITS.get(int(tags.valueof("ResolutionUnit") or 0), "")
    return (_resolution(tags), unit) if unit else ({}, "")


def write_tiff(path: Path, image: ImageFile, *, ome: bool) -> None:
    """Write a TIFF file in the flavour that the image came in.

    Parameters
    ----------
    path : Path
        The file.
    image : ImageFile
        The array with its axes and its pixel size.
    ome : bool
        Whether OME metadata are asked for by the file's name.
    """
    import tifffile

    array, axes = image.array, image.axes or ""
    rgb = is_rgb(axes, array.shape) and array.dtype.kind in "uif"  # else a page for each row
    flavour = _flavour(image, axes, rgb, ome)
    if flavour:  # ImageJ wants its own order of the stack; both want the plane behind it
        stack = [a for a in ("TZC" if flavour == "imagej" else axes) if a in axes]
        order = "".join(a for a in stack if a not in ("YXC" if rgb else "YX"))
        order += "YXC" if rgb else "YX"
        array = array.transpose([axes.index(a) for a in order])
        axes = order
    elif "C" in axes and not rgb:  # pages are planes: none of channels and columns
        order = axes.replace("C", "").replace("YX", "CYX")
        if order != axes and "CYX" in order:
            array, axes = array.transpose([axes.index(a) for a in order]), order
    array = np.ascontiguousarray(array)
    names = axes[:-1] + "S" if rgb else axes
    grey = "miniswhite" if image.white_is_zero else "minisblack"
    options: dict[str, Any] = {"photometric": "rgb" if rgb else grey}
    if rgb and array.shape[-1] == 4:
        options["extrasamples"] = ["unassalpha"]
    if image.colour_profile and rgb:
        options["iccprofile"] = image.colour_profile
    if flavour == "imagej":
        options |= imagej_options(image, names, _measured(image))
    elif flavour == "ome":
        options["metadata"] = ome_metadata(image, names, _measured(image))
    else:
        options |= {"metadata": {"axes": names}, **_plain_resolution(image)}
    tifffile.imwrite(
        path,
        array,
        imagej=flavour == "imagej",
        ome=flavour == "ome",
        bigtiff=flavour != "imagej" and array.nbytes > _CLASSIC_LIMIT,
        **options,
    )


def _flavour(image: ImageFile, axes: str, rgb: bool, ome: bool) -> str:
    """Return which metadata can hold the image; the one that it came with, if possible."""
    dtype = image.array.dtype
    fits = {
        "imagej": set(axes) <= set("TZCYX")
        and dtype in (_IMAGEJ_TYPES if not rgb else ("uint8",))
        and image.array.nbytes <= _CLASSIC_LIMIT,
        "ome": set(axes) <= set("TZCYX") and dtype in _OME_TYPES,
    }
    measured = bool(set("ZT") & set(_measured(image))) or image.unit not in ("", *PRINT_UNITS)
    if ome or image.flavour == "ome" or (image.channels and image.flavour != "imagej"):
        wanted = ["ome"]
    else:
        wanted = ["imagej", "ome"] if image.flavour == "imagej" or measured else []
    return next((name for name in wanted if fits[name]), "")


def _measured(image: ImageFile) -> dict[str, float]:
    """Return the spacings without a time of no unit, which TIFF would take for seconds."""
    return {a: d for a, d in image.spacing.items() if a != "T" or image.time_unit}


def _plain_resolution(image: ImageFile) -> dict[str, Any]:
    if not {"Y", "X"} <= set(image.spacing) or image.unit not in CENTIMETERS:
        return {}
    unit = image.unit if image.unit in PRINT_UNITS else "centimeter"
    factor = CENTIMETERS[image.unit] / CENTIMETERS[unit]
    pixels = tuple(1 / (factor * image.spacing[axis]) for axis in "XY")
    return {"resolution": pixels, "resolutionunit": unit}
