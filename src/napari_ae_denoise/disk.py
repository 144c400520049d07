"""What the disk does: room, refusals, and when something is really on it."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def settle(files: set[Path]) -> None:
    """Wait until files, and their names in their folders, are on the disk itself."""
    folders = {file.parent for file in files} if os.name == "posix" else set()
    for path in (*sorted(files), *sorted(folders)):
        handle = os.open(path, os.O_RDONLY if path in folders else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_litter(path: Path) -> None:
    """Remove what a killed run was just writing: zarr's half files and ours."""
    for folder, _, names in os.walk(path):
        for name in names:
            if name.endswith((".partial", ".part")):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))


def check_place(path: Path) -> None:
    """Refuse, before any work is done, a place that no result can have.

    Raises
    ------
    DenoisingError
        If there is no folder to write into.
    """
    if not path.parent.is_dir():
        raise DenoisingError(
            f"There is no folder {path.parent} to write {path.name} into.",
            "Make it first, or choose another one.",
        )


def check_space(path: Path, needed: int) -> None:
    """Refuse a result that the disk has no room for.

    Raises
    ------
    DenoisingError
        If less is free where ``path`` lies than it needs.
    """
    with disk_errors(path):
        free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DenoisingError(
            f"The result needs up to {in_gigabytes(needed)} in {path.parent}, and "
            f"{in_gigabytes(free)} are free.",
            "Free some space, choose another disk, or a smaller dtype such as float16.",
        )


def in_gigabytes(size: int) -> str:
    """Return a number of bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say what the system refused, where, and how much room there is."""
    try:
        yield
    except OSError as error:
        free = ""
        with contextlib.suppress(OSError):
            free = f"; {in_gigabytes(shutil.disk_usage(path.parent).free)} are free there"
        raise DenoisingError(
            f"{path} could not be written: {error.strerror or error}{free}.",
            "Free some space or choose a folder that may be written to; the same call then goes "
            "on where it was.",
        ) from error
