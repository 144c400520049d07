"""The record of which parts of a result are on the disk, kept beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.disk import gone
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE_NAME = "denoising.json"
_FORMAT = 1
_SUM = "sha256"  # of all the rest; records of the first days have none


@dataclass(slots=True, eq=False)
class DoneRecord:
    """Which parts of a result are made, and what of.

    The file is replaced whole each time, after the parts that it newly names are on the disk. So
    after a crash at any moment it never claims a part that is not there.

    Parameters
    ----------
    folder : Path
        Of the result.
    made_of : mapping of str to str
        What decides about the numbers in the result: a few words or a hash of image, model and
        settings each. A result is continued only where all of them are the same.
    how : mapping
        What the computation goes on with as it began: tile, precision, how many planes a pass.
    done : ndarray of bool
        One flag for each part.
    invalid_pixels : int
        NaN and infinite pixels found in the parts that are done.
    notes : mapping
        What the image on the disk says of how it was made, for people and other programs: model,
        version, strength, and how the image was seen, with which the result is gone on with: see
        `as_begun`.
    """

    folder: Path
    made_of: Mapping[str, str]
    how: Mapping[str, Any]
    done: npt.NDArray[np.bool_]
    invalid_pixels: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> float:
        """Fraction of the parts that are made."""
        return float(self.done.mean())

    @property
    def _kept(self) -> tuple[Mapping[str, Any], ...]:
        """All that stays the same while parts are made."""
        return self.made_of, self.how, self.notes

    def mark(self, parts: Iterable[int], invalid_pixels: int = 0) -> None:
        """Record that parts are on the disk."""
        self.done[list(parts)] = True
        self.invalid_pixels += invalid_pixels
        self.save(self.folder)

    def save(self, folder: Path) -> None:
        """Write the record into a folder, whole or not at all."""
        told = {
            "format": _FORMAT,
            "made_of": dict(self.made_of),
            "how": dict(self.how),
            "parts": int(self.done.size),
            "done": np.packbits(self.done).tobytes().hex(),
            "invalid_pixels": self.invalid_pixels,
            "notes": dict(self.notes),
        }
        text = json.dumps({**told, _SUM: _checksum(told)}, indent=1)
        with replacing(folder / FILE_NAME) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> DoneRecord | None:
        """Return the record in a folder; None where there is none.

        Raises
        ------
        DenoisingError
            If it cannot be read.
        """
        from napari_ae_denoise.devices import PRECISIONS  # here, for it brings torch

        path = folder / FILE_NAME
        if not path.is_file():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["format"] != _FORMAT:
                raise ValueError(f"its format is {record['format']}")
            if record.pop(_SUM, None) not in (None, _checksum(record)):
                raise ValueError("it is damaged")
            bits = np.frombuffer(bytes.fromhex(record["done"]), np.uint8)
            if type(record["parts"]) is not int or -(-record["parts"] // 8) != bits.size:
                raise ValueError(f"it has {record['parts']} parts and {bits.size} bytes for them")
            done = np.unpackbits(bits, count=record["parts"]).astype(bool)
            how, made_of, notes = (dict(record[name]) for name in ("how", "made_of", "notes"))
            if any(type(how[name]) is not int or how[name] < 1 for name in ("tile", "together")):
                raise ValueError("its tiles have no size")
            if how["precision"] not in PRECISIONS:
                raise ValueError(f"its precision is {how['precision']}")
            return cls(folder, made_of, how, done, int(record["invalid_pixels"]), notes)
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise _unusable(path, str(error)) from error

    def check_parts(self, parts: int) -> None:
        """Refuse to go on where there are not as many parts to make as the record has.

        Raises
        ------
        DenoisingError
            If it has more or fewer.
        """
        if self.done.size != parts:
            reason = f"it has {self.done.size} parts, and there are {parts} to make"
            raise self.unusable(reason)

    def unusable(self, reason: str) -> DenoisingError:
        """Return the error of a record that nothing can be gone on with."""
        return _unusable(self.folder / FILE_NAME, reason)

    def take_up(self) -> None:
        """Read again which parts are done: another run may have made some meanwhile.

        Raises
        ------
        DenoisingError
            If the folder holds something else by now.
        """
        now = DoneRecord.load(self.folder)
        if now is None or now._kept != self._kept:
            raise gone(self.folder)
        now.check_parts(self.done.size)
        self.done[:], self.invalid_pixels = now.done, now.invalid_pixels

    def check_same(self, made_of: Mapping[str, str]) -> None:
        """Refuse to go on with a result that is made of something else.

        Raises
        ------
        DenoisingError
            If image, model or settings differ; names which, with both values where they are short.
        """
        differ = [name for name in made_of if self.made_of.get(name) != made_of[name]]
        if differ:
            said = "; ".join(
                f"{n}: {self.made_of.get(n, 'nothing')}, now {made_of[n]}" for n in differ
            )
            raise DenoisingError(
                f"{self.folder} holds a result ({self.finished:.0%} of it) of another "
                f"{' and '.join(differ)} ({said}).",
                "Choose another output, or overwrite this one.",
            )


def _checksum(told: Mapping[str, Any]) -> str:
    """Return what changes with anything that a record says."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _unusable(path: Path, reason: str) -> DenoisingError:
    return DenoisingError(
        f"The record of finished tiles {path} cannot be used: {reason}.",
        "Choose another output, or overwrite this one.",
    )
