"""What is missing in a TIFF file: tifffile only logs that it has put black in its place."""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from pathlib import Path

# in what tifffile logs: of broken files, of files of a set, and of pages of Micro-Manager's
_DAMAGE = (
    *("invalid page offset", "invalid offset to page", "corrupted file", "corrupted tag list"),
    "incompletely written",
)
_ABSENT = re.compile(r"failed to read (['\"])(.+?)\1, raised|MMStack series is missing files")
_CUT_OFF = re.compile(r"MMStack is missing (\d+) pages")


class _Thread(threading.local):
    """The log of tifffile in one thread, where somebody listens."""

    lines: list[str] | None = None


_here = _Thread()


def _keep(record: logging.LogRecord) -> bool:
    """Take a record out of the log, where its thread listens; it is called in that thread."""
    if _here.lines is None:
        return True
    _here.lines.append(record.getMessage())
    return False  # what is said of odd but whole files is no news for the user


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what tifffile logs of the files that this thread reads, and of no others.

    Raises
    ------
    ValueError
        In the end, if a file was damaged: tifffile would return the planes that are left, as if
        there had never been others.
    """
    import tifffile

    tifffile.logger().addFilter(_keep)  # once: it stays, and lets through what no thread waits for
    before, lines = _here.lines, list[str]()
    _here.lines = lines
    try:
        yield lines
    except ValueError as error:  # such as that it cannot be told how many planes are missing
        name = _absent(lines)
        if name and not isinstance(error, DenoisingError):
            what = f'it is one of several files, and "{name}" is not beside it'
            raise ValueError(what) from error
        raise
    finally:
        _here.lines = before
    damage = [line for line in lines if any(word in line for word in _DAMAGE)]
    if damage:
        raise ValueError(f"a part of it is missing ({damage[0]})")


def _absent(lines: list[str]) -> str | None:
    """Return a file of the same set that is not there; empty if it has no name, None without."""
    found = next((found for line in lines if (found := _ABSENT.search(line))), None)
    return None if found is None else found[2] or ""


def refuse_missing(path: Path, series: Any, lines: list[str]) -> None:
    """Refuse an image some of whose planes are in no file; warn of one that is a part of a set.

    Parameters
    ----------
    path : Path
        The file.
    series : tifffile.TiffPageSeries
        The image, before it is read.
    lines : list of str
        What was logged when it was opened.
    """
    cut_off = [int(found[1]) for line in lines if (found := _CUT_OFF.search(line))]
    holes = 0 if series.dataoffset is not None else sum(page is None for page in series)
    missing = max([holes, *cut_off])
    absent = _absent(lines)
    if missing:
        among = f"{missing} of {len(series)} planes"
        if absent is not None:
            which = f'such as "{absent}", ' if absent else ""
            raise DenoisingError(
                f"{among} that {path} tells of are missing: they are in other files, {which}which "
                "are not beside it.",
                "Put all files of the set into one folder, under the names that they were written "
                "with.",
            )
        raise DenoisingError(
            f"{among} that {path} tells of are missing in it.",
            "Copy it again from its source; if it was never complete, save the planes that are "
            "there as a file of their own (in Fiji, for example), and open that.",
        )
    if absent is not None:
        which = f' ("{absent}" is not beside it)' if absent else ""
        planes = "1 plane" if len(series) == 1 else f"{len(series)} planes"
        warnings.warn(
            f"{path.name} says that it is one of several files{which}; only what is in it is read: "
            f"{planes}.",
            stacklevel=3,
        )
