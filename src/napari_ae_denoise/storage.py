"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def is_there(path: Path) -> bool:
    """Return whether there is something at a path.

    Raises
    ------
    DenoisingError
        If the system cannot say, as for a name that is too long.
    """
    try:  # Path.exists takes any error for a no since Python 3.14
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EBADF):
            return False
        raise DenoisingError(
            f"Whether there is a {path} cannot be said: {error.strerror or error}.",
            "Choose a folder that can be read, and a shorter name.",
        ) from error
    return True


def same_file(a: Path, b: Path) -> bool:
    """Return whether two paths are one file or folder, also where it does not exist yet."""
    return identity(a) == identity(b)


def identity(path: Path) -> tuple[int, int] | Path:
    """Return what a file or folder has alone, under whatever name; also where it is not there yet.

    To be kept in a set, where one path is compared with many.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return path.resolve()
    return found.st_dev, found.st_ino


def check_name(path: Path) -> None:
    """Refuse what no file can be called.

    Raises
    ------
    DenoisingError
        If it has no name, or one with a zero byte.
    """
    if not path.name or "\0" in str(path):
        raise DenoisingError(
            f"A file cannot be called {str(path)!r}.", "Give a folder and a name, as in a/b."
        )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success it takes the place of ``path``.

    The temporary file lies in the same folder, so that the last step is one atomic rename: after
    a crash, a full disk or a kill the old file is still whole.

    Raises
    ------
    DenoisingError
        If the file cannot be written; names the path and the system's reason.
    """
    check_name(path)
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DenoisingError(
            f"{path} could not be written: {error.strerror or error}.",
            "Choose a folder that exists, may be written to and has space left.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
