"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LONGEST = 80  # characters of a name in a hidden one: names have 255 at most
_LEFT = 3600  # seconds after which a folder that is made at once is one of a killed run


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
    if is_there(a) and is_there(b):
        return os.path.samefile(a, b)
    return a.resolve() == b.resolve()


class Precious:
    """Files and folders that no output may replace, nor a folder that they lie in.

    Parameters
    ----------
    files : iterable of Path
        As many as there are: each is looked at once, whatever is asked later.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._known: dict[tuple[int, int], Path] = {}
        seen: set[Path] = set()
        for file in files:
            for way in (file.absolute(), file.resolve()):  # a link may lie there, and its file
                for place in (way, *way.parents):
                    if place in seen:
                        break  # and so are the folders around it
                    seen.add(place)
                    with contextlib.suppress(OSError, ValueError):
                        self._known.setdefault(_identity(place), file)

    def lost_with(self, target: Path) -> Path | None:
        """Return the file that would be lost if something took a target's place; None if none."""
        return self._known.get(_identity(target)) if is_there(target) else None


def _identity(path: Path) -> tuple[int, int]:
    """Return what all names of a file or folder have in common."""
    found = path.stat()
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
    temporary = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(4)}.part")
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


@contextlib.contextmanager
def replacing_folder(path: Path, ending: str = "part") -> Iterator[Path]:
    """Give a temporary folder to fill; on success it takes the place of ``path``.

    What was there stays until then, and comes back if the last step fails. Nothing hidden is left,
    but by a kill. What a kill left of an ``old`` folder, or of one with the ending ``new``, which
    are filled in no time, goes with the next success at the same path.

    Parameters
    ----------
    path : Path
        Where the folder goes; a file or a folder that is there is replaced.
    ending : str
        Of the temporary folder's name.

    Raises
    ------
    OSError
        If the system refuses.
    """
    hidden, mark = f".{path.name[:_LONGEST]}", secrets.token_hex(4)
    temporary, old = (path.with_name(f"{hidden}.{mark}.{end}") for end in (ending, "old"))
    try:
        yield temporary
        try:
            if os.path.lexists(path):
                path.replace(old)
            temporary.replace(path)
        except BaseException:
            if os.path.lexists(old) and not os.path.lexists(path):
                old.replace(path)
            raise
        _remove_leftovers(path)
    finally:
        _remove(temporary)
        if os.path.lexists(path):  # else it is the only one
            _remove(old)


def _remove_leftovers(path: Path) -> None:
    """Remove what killed runs left beside a folder that is there."""
    if len(path.name) > _LONGEST:  # others may begin alike
        return
    ours = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{8}\.(old|new)")
    with contextlib.suppress(OSError):
        for place in path.parent.iterdir():
            if (found := ours.fullmatch(place.name)) is None:
                continue
            if found[1] == "old" or time.time() - place.stat().st_mtime > _LEFT:
                _remove(place)


def _remove(place: Path) -> None:
    """Remove a file, a link or a folder, as far as the system lets us."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            place.unlink()
