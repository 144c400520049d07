"""Reading and writing images: TIFF, PNG, JPEG, numpy arrays and zarr folders.

What belongs to an image beside its pixels (axes, pixel size, a photograph's colour profile) is
read with it and written back, so that a denoised image lies where the noisy one lay. Formats with
much to say about themselves have a module each: `tiff_files`, `zarr_folders`, `photographs`.
"""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import check_axes, guess_axes
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_record import ImageFile
from napari_ae_denoise.microscope_files import refuse_microscope_file
from napari_ae_denoise.ome_zarr import ome_order
from napari_ae_denoise.storage import is_there, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIFF, PNG, JPEG, NUMPY, ZARR = "TIFF", "PNG", "JPEG", "numpy", "zarr"
FORMATS = {
    ".tif": TIFF,
    ".tiff": TIFF,
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".npy": NUMPY,
    ".zarr": ZARR,
}
_ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")


def format_of(path: str | Path) -> str:
    """Return the format that a path's ending stands for.

    Raises
    ------
    DenoisingError
        If the ending is not known.
    """
    path = Path(path)
    if path.suffix.lower() in FORMATS:
        return FORMATS[path.suffix.lower()]
    if path.is_dir() and any((path / mark).exists() for mark in _ZARR_MARKS):
        return ZARR
    refuse_microscope_file(path)
    what = f'the ending "{path.suffix}"' if path.suffix else "no ending"
    raise DenoisingError(
        f"{path} has {what}, which stands for no image format known here.",
        f"Use one of {', '.join(FORMATS)}.",
    )


def _expanded(path: Path) -> list[Path]:
    """Return the images that a pattern such as ``scans/*.tif`` fits, sorted; or the path itself."""
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    images = [p for p in found if _is_image(p)]
    if not images:
        what = "no file" if not found else "no image"
        raise DenoisingError(
            f'The pattern "{path}" fits {what}.',
            f"Check it; images end in {', '.join(FORMATS)}.",
        )
    return images


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """Return the image files that paths stand for: themselves, or those in a folder, sorted.

    Patterns with ``*``, ``?`` or ``**`` are expanded, where the shell has not done it.

    Of several files some may be missing: reading them will say so, and the others are there.

    Raises
    ------
    DenoisingError
        If the only file does not exist, or a folder holds or a pattern fits no image.
    """
    given = [path for pattern in paths for path in _expanded(Path(pattern))]
    if len(given) == 1:
        check_exists(given[0])
    found: list[Path] = []
    for path in given:
        if not path.is_dir() or _is_zarr(path):
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if not p.name.startswith(".") and _is_image(p))
        if not inside:
            raise DenoisingError(
                f"The folder {path} holds no images.",
                f"Choose one with files that end in {', '.join(FORMATS)}.",
            )
        found += inside
    return found


def _is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr" or any((path / mark).exists() for mark in _ZARR_MARKS)


def _is_image(path: Path) -> bool:
    return _is_zarr(path) if path.is_dir() else FORMATS.get(path.suffix.lower(), ZARR) != ZARR


def check_exists(path: Path) -> None:
    """Refuse a path where nothing is."""
    if not is_there(path):
        raise DenoisingError(
            f"There is no image file or folder {path}.", "Check the path, or choose it again."
        )


def read_image(path: str | Path, level: int = 0) -> ImageFile:
    """Read an image with its axes and its pixel size.

    Parameters
    ----------
    path : path-like
        ``.tif``, ``.png``, ``.jpg``, ``.npy`` or a zarr folder (an array, or the full resolution
        of an OME-Zarr image). Photographs are turned upright as their EXIF says.
    level : int
        Of an OME-Zarr image, 0 for full resolution.

    Returns
    -------
    ImageFile

    Raises
    ------
    DenoisingError
        If the file is missing, damaged, of another format, or holds Python objects.
    """
    path = Path(path)
    check_exists(path)
    kind = format_of(path)
    if level and kind != ZARR:
        raise DenoisingError(
            f"{path} has no levels, so none of number {level}.", "Give 0, or no level."
        )
    reader = _readers()[kind]
    try:
        image = reader(path, level) if kind == ZARR else reader(path)
    except (DenoisingError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DenoisingError(
            f"{path} cannot be read as a {kind} image: {reason}.",
            "It may be damaged: check that it opens elsewhere, or copy it again from its source.",
        ) from error
    if np.dtype(image.array.dtype).hasobject:
        raise DenoisingError(
            f"{path} holds Python objects, which could run code and are never opened.",
            "Save it as an array of numbers.",
        )
    return image


def _readers() -> dict[str, Callable[..., ImageFile]]:
    from napari_ae_denoise.photographs import read_photograph
    from napari_ae_denoise.tiff_files import read_tiff
    from napari_ae_denoise.zarr_folders import read_zarr

    photograph = read_photograph
    return {TIFF: read_tiff, PNG: photograph, JPEG: photograph, NUMPY: _read_npy, ZARR: read_zarr}


def _read_npy(path: Path) -> ImageFile:
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError("it does not begin as a numpy array does")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "objects" in str(error):  # as dtype or as pickle
            raise DenoisingError(
                f"{path} holds Python objects, which could run code and are never opened.",
                "Save it as an array of numbers.",
            ) from error
        if "empty" not in str(error):  # an array without pixels cannot be mapped
            raise
        array = np.load(path, allow_pickle=False)
    return ImageFile(path, array)


# ---- writing


def check_writable(path: str | Path, shape: Sequence[int], dtype: npt.DTypeLike, axes: str) -> None:
    """Refuse, before any work is done, an image that a file of this ending cannot hold.

    Raises
    ------
    DenoisingError
        If format, dtype and shape do not fit, or there is no folder to write into.
    """
    path, kind, shape = Path(path), format_of(path), tuple(shape)
    if not path.parent.is_dir():
        raise DenoisingError(
            f"There is no folder {path.parent} to write {path.name} into.",
            "Make it first, or choose another one.",
        )
    if kind == ZARR and path.name.lower().endswith(".ome.zarr"):
        ome_order(axes)  # refuses those that such an image cannot have
    if kind not in (PNG, JPEG):
        return
    colours = {PNG: (3, 4), JPEG: (3,)}[kind]
    flat = axes == "YX"
    depths = ("bool", "uint8", "uint16") if flat and kind == PNG else ("uint8",)
    if not (flat or (axes == "YXC" and shape[2] in colours)) or _native(dtype) not in depths:
        raise DenoisingError(
            f'A {kind} file cannot hold a {np.dtype(dtype)} image of shape {shape}, axes "{axes}".',
            "Write a .tif file, which holds any image, or convert it to one plane of uint8 first.",
        )


def _native(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return a type in this computer's byte order, in which alone the writers know it."""
    return np.dtype(dtype).newbyteorder("=")


def write_image(
    path: str | Path, array: Any, like: ImageFile | None = None, axes: str | None = None
) -> None:
    """Write an image, whole or not at all.

    Parameters
    ----------
    path : path-like
        Its ending decides the format.
    array : array
        numpy or dask; a dask array goes to a zarr folder chunk by chunk.
    like : ImageFile, optional
        The image that it was made from: its pixel size, unit and kind of metadata are kept.
    axes : str, optional
        One letter per axis; by default those of ``like``, or guessed.

    Raises
    ------
    DenoisingError
        If the format cannot hold the image, or the file cannot be written.
    """
    path = Path(path)
    axes = axes or (like.axes if like is not None else None)
    axes = guess_axes(array.shape) if axes is None else check_axes(axes, array.shape)
    check_writable(path, array.shape, array.dtype, axes)
    made = replace(like or ImageFile(path, None), array=array, axes=axes)
    kind = format_of(path)
    if kind == ZARR:
        from napari_ae_denoise.zarr_folders import write_zarr

        write_zarr(path, made)
        return
    from napari_ae_denoise.photographs import write_photograph

    made = replace(made, array=np.asarray(array).astype(_native(array.dtype), copy=False))
    writer = {TIFF: _write_tiff, PNG: write_photograph, JPEG: write_photograph, NUMPY: _write_npy}
    with replacing(path) as temporary:
        writer[kind](temporary, made, path)


def _write_npy(temporary: Path, image: ImageFile, path: Path) -> None:
    with temporary.open("wb") as file:
        np.save(file, image.array, allow_pickle=False)


def _write_tiff(temporary: Path, image: ImageFile, path: Path) -> None:
    from napari_ae_denoise.tiff_files import write_tiff

    write_tiff(temporary, image, ome=".ome." in path.name.lower())
