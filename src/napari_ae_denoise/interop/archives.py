"""Zip archives from anywhere: a few members by name, read into memory, nothing ever unpacked."""

from __future__ import annotations

import re
import stat
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_END = b"PK\x05\x06"  # begins the last record, which says how long the list of members is
_LENGTH_OF_END, _LONGEST_COMMENT = 22, 2**16
_LARGEST_LIST = 2**20  # bytes; each member takes at least 46 of them
_ROOM = 64 * 1024**2  # bytes that members may be larger than the archive itself
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ELSEWHERE = re.compile(r"^([/\\]|[A-Za-z]:)|(^|[/\\])\.\.([/\\]|$)|\0")


def read_archive(path: Path, wanted: Mapping[str, int]) -> dict[str, bytes]:
    """Return members of an archive.

    Parameters
    ----------
    path : Path
        The archive.
    wanted : mapping of str to int
        How many bytes each wanted member may be long at most.

    Raises
    ------
    ValueError, OSError, zipfile.BadZipFile
        If it is no archive, is damaged (each member has a checksum), lacks one, would be far larger
        than itself in memory, or if any member is twice there, is a link, is encrypted, or has a
        name that leads elsewhere.
    """
    with path.open("rb") as file:
        size = check_list(file)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_members(entries)
            found = {entry.filename: entry for entry in entries}
            room, parts = size + _ROOM, {}
            for name, most in wanted.items():
                if name not in found:
                    raise ValueError(f"it holds 0 files {name} where it should hold one")
                if found[name].file_size > min(most, room):
                    raise ValueError(f"its {name} would be {found[name].file_size} bytes long")
                with archive.open(found[name]) as member:
                    # one byte more: where a member is longer than it says, this is noticed
                    parts[name] = member.read(found[name].file_size + 1)
                if len(parts[name]) != found[name].file_size:
                    raise ValueError(f"its {name} is not as long as it says")
                room -= len(parts[name])
    return parts


def check_list(file: BinaryIO) -> int:
    """Refuse a list of members that would fill the memory, before it is read.

    Returns
    -------
    int
        The bytes of the archive.

    Raises
    ------
    ValueError
        If its list is too long, or it has none.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - _LENGTH_OF_END - _LONGEST_COMMENT))
    _check_end(file.read())
    return size


def _check_end(tail: bytes) -> None:
    at = tail.rfind(_END)
    if at < 0:
        raise ValueError("it is cut off: a zip archive ends with a list of its files")
    if int.from_bytes(tail[at + 12 : at + 16], "little") > _LARGEST_LIST:
        raise ValueError("its list of files is too long")
    if b"PK\x06\x07" in tail[max(at - 20, 0) : at]:
        raise ValueError("it is of the kind for more than 4 GiB")


def _check_members(entries: list[zipfile.ZipInfo]) -> None:
    (name, count), *_ = Counter(entry.filename for entry in entries).most_common(1) or [("", 0)]
    if count > 1:
        raise ValueError(f"it holds {count} files {name} where it should hold one")
    for entry in entries:
        name = entry.orig_filename
        if _ELSEWHERE.search(name):
            raise ValueError(f"its file {name!r} would lie outside of it")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"its file {name!r} is a link")
        if entry.flag_bits & 1:
            raise ValueError(f"its file {name!r} is encrypted")
        if entry.compress_type not in _KINDS:
            raise ValueError(f"its file {name!r} is compressed in a way that is not read here")
