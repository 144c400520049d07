"""What the disk does: room, refusals, and when something is really on it."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def alone(path: Path) -> Iterator[Callable[[], None]]:
    """Let nobody else write to a result; the system lets go of the lock if we are killed.

    Yields
    ------
    callable
        Refuses to go on once the folder is not the one any more that was there at the beginning.
        zarr would make it anew, with nothing in it of what was written before.

    Raises
    ------
    DenoisingError
        If the folder is not there, or another run writes to it.
    """
    if not path.is_dir():
        raise gone(path)
    lock, file = FileLock(path / ".lock", blocking=False), path / ".lock"
    with disk_errors(path):
        try:
            lock.acquire()
        except Timeout as error:
            raise DenoisingError(
                f"Another run is writing to {path}.", "Wait for it to end, or stop it."
            ) from error
        ours = file.stat()

    def check() -> None:
        try:
            same = os.path.samestat(file.stat(), ours)
        except OSError:
            same = False
        if not same:
            raise gone(path)

    try:
        yield check
    except DenoisingError:
        check()  # or what is said is that some file is not there
        raise
    finally:
        lock.release()


def gone(path: Path) -> DenoisingError:
    """Return the error of a result that somebody takes away while it is made."""
    return DenoisingError(
        f"{path} was removed, moved or overwritten while it was written.",
        "Leave it where it is until it is finished. The same call makes it anew.",
    )
