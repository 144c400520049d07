"""Model files: tensors and a readable card in one safetensors file. Knows no network.

Nothing in such a file can run: it holds numbers and text, and this module reads nothing else. The
header is checked before anything is allocated for the weights; a checksum tells damage that would
otherwise be other numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SUFFIX = ".safetensors"
_LARGEST_FILE = 2 * 1024**3  # bytes
_LARGEST_CARD = 1024**2  # characters
_LARGEST_HEADER = 2 * 1024**2  # bytes; as Python's objects up to thirty times that
_MOST_TENSORS = 20_000
_MOST_RECORDS = 100_000  # and lists, in a header or a card: each is an object of Python's
_MOST_AXES = 8
_CARD, _SUM = "card", "sha256"  # what is kept beside the tensors
_TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_NAMES = {kind: name for name, kind in _TYPES.items()}

# How files begin that people take for models, or that were renamed to look like one.
_FOREIGN = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (perhaps a Keras model)",
    b"PK": "a zip archive (perhaps a PyTorch .pt, a .keras or a bioimage.io file)",
    b"\x80": "a Python pickle, which could run code and is never opened",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"\x93NUMPY": "a numpy array",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where the numbers of a tensor lie, in bytes after the header."""

    kind: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class ModelContents:
    """What an open model file says of itself; its weights are not read yet.

    Attributes
    ----------
    card : dict
        As it stands in the file.
    shapes : dict of str to tuple of int
        Of the tensors. All of the file is accounted for by them.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        start = file.read(9)
        size = file.seek(0, 2)
        length = _header_length(path, start, size)
        file.seek(8)
        try:
            header = _loads(file.read(length))
            self._entries = _entries(path, header, size - 8 - length)
            about = header["__metadata__"]
            if not {_CARD} <= set(about) <= {_CARD, _SUM}:
                raise KeyError(_CARD)
            self._text, self._sum = about[_CARD], about.get(_SUM)
            card = _loads(self._text) if len(self._text) <= _LARGEST_CARD else None
        except DenoisingError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise _not_a_model(path, "its header or its card cannot be read") from error
        if not isinstance(card, dict):
            raise _not_a_model(path, "its card is no record")
        self.card: dict[str, Any] = card
        self.shapes = {name: entry.shape for name, entry in self._entries.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights, on the CPU, in the types that they were stored in, all finite."""
        data = bytearray(max((entry.end for entry in self._entries.values()), default=0))
        if self._file.readinto(data) != len(data):  # type: ignore[attr-defined]
            raise _not_a_model(self._path, "it became shorter while it was read")
        tensors = {}
        for name, entry in self._entries.items():
            count = math.prod(entry.shape)
            values = torch.frombuffer(data, dtype=entry.kind, count=count, offset=entry.begin)
            tensors[name] = values.reshape(entry.shape)
            if not torch.isfinite(values).all():
                raise _not_a_model(self._path, f'its weights "{name}" are not all finite')
        if self._sum is not None and self._sum != _checksum(tensors, self._text):
            raise _not_a_model(self._path, "its weights or its card are not those that were saved")
        return tensors


@contextlib.contextmanager
def opened_model(path: str | Path) -> Iterator[ModelContents]:
    """Open a model file and check its header; its weights can be read as long as it is open.

    Raises
    ------
    DenoisingError
        If the file is missing, truncated, damaged, or something else than a model.
    """
    path = Path(path)
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # opening a pipe would wait for its other end
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "no file on a disk"
            raise _not_a_model(path, f"it is {kind}")
        if about.st_size > _LARGEST_FILE:
            raise _not_a_model(path, f"it is {about.st_size / 1024**3:.1f} GiB large")
        with path.open("rb") as file:
            yield ModelContents(path, file)
    except FileNotFoundError as error:
        raise DenoisingError(
            f"There is no model file {path}.", "Check the path, or choose the file again."
        ) from error
    except OSError as error:
        raise DenoisingError(
            f"The model file {path} cannot be read: {error.strerror or error}.",
            "Check that you may read it and that its disk is there.",
        ) from error


def read_model(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and card; the inverse of `write_model`.

    Returns
    -------
    tensors : dict of str to Tensor
        On the CPU, in the types that they were stored in, all finite.
    card : dict

    Raises
    ------
    DenoisingError
        If the file is missing, truncated, damaged, or something else than a model.
    """
    with opened_model(path) as model:
        return model.tensors(), model.card


def model_from_bytes(path: Path, blob: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and card of a model file that was read; ``path`` is for messages.

    Raises
    ------
    DenoisingError
        See `read_model`.
    """
    model = ModelContents(path, io.BytesIO(blob))
    return model.tensors(), model.card


def write_model(path: str | Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write tensors and a card, whole or not at all.

    Parameters
    ----------
    path : path-like
        The file; the ending ``.safetensors`` is the usual one.
    tensors : mapping of str to Tensor
        float32, float16 or bfloat16.
    card : mapping
        What json can hold.

    Raises
    ------
    DenoisingError
        If the file cannot be written, or does not read back as it was written.
    """
    from safetensors.torch import save

    path = Path(path)
    contiguous = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    with replacing(path) as temporary:
        text = json.dumps(card, allow_nan=False, default=_plain_number)
        about = {_CARD: text, _SUM: _checksum(contiguous, text)}
        # not safetensors' own save_file, whose errors hide the system's reason
        temporary.write_bytes(save(contiguous, metadata=about))
        back, _ = read_model(temporary)
        if any(not torch.equal(back[name], t) for name, t in contiguous.items()):
            raise DenoisingError(
                f"{path} did not read back as it was written.",
                "The disk may be damaged: save to another one.",
            )


def _header_length(path: Path, start: bytes, size: int) -> int:
    """Return how long the header is that a file begins with, or say what else the file is."""
    for sign, what in _FOREIGN.items():
        if start.startswith(sign) and start[8:9] != b"{":
            raise _not_a_model(path, f"it is {what}")
    if size < 10:
        raise _not_a_model(path, f"it is only {size} bytes long")
    length = int.from_bytes(start[:8], "little")
    if length > _LARGEST_HEADER or start[8:9] != b"{":
        raise _not_a_model(path, "it does not begin as a safetensors file does")
    if length + 8 > size:
        raise _not_a_model(path, f"it was cut off after {size} bytes")
    return length


def _loads(text: str | bytes) -> Any:
    """Return what json says; names twice in a record, and numbers that are none, are refused."""
    text = text if isinstance(text, str) else text.decode("utf-8")
    if text.count("{") + text.count("[") > _MOST_RECORDS:
        raise ValueError("it holds too many records")
    return json.loads(text, object_pairs_hook=_record, parse_constant=_finite, parse_float=_finite)


def _record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a name stands in it twice")
    return record


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _entries(path: Path, header: dict[str, Any], room: int) -> dict[str, _Entry]:
    """Return where each tensor lies: one behind the other, none shared, nothing left over."""
    records = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if len(records) > _MOST_TENSORS:
        raise _not_a_model(path, f"it announces {len(records)} tensors")
    entries = {}
    for name, entry in records.items():
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        numbers = [*shape, begin, end]
        if any(type(n) is not int or not 0 <= n <= _LARGEST_FILE for n in numbers):
            raise _not_a_model(path, f'the size of its weights "{name}" is no size')
        kind = _TYPES[entry["dtype"]]
        whole = len(shape) <= _MOST_AXES and 0 not in shape and begin % kind.itemsize == 0
        if not whole or math.prod(shape) * kind.itemsize != end - begin:
            raise _not_a_model(path, f'the size of its weights "{name}" contradicts itself')
        entries[name] = _Entry(kind, tuple(shape), begin, end)
    at = 0
    for name, place in sorted(entries.items(), key=lambda item: item[1].begin):
        if place.begin != at:
            raise _not_a_model(path, f'its weights "{name}" do not begin where others end')
        at = place.end
    if at != room:
        raise _not_a_model(path, f"{at} bytes of weights are announced and {room} are there")
    return entries


def _checksum(tensors: Mapping[str, Tensor], card: str) -> str:
    """Return what changes with every name, type, shape and number, and with the card."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name]
        said = [name, _NAMES.get(values.dtype, str(values.dtype)), list(values.shape)]
        total.update(json.dumps(said).encode())
        total.update(values.reshape(-1).view(torch.uint8).numpy().data)
    total.update(card.encode("utf-8", "surrogatepass"))
    return total.hexdigest()


def _plain_number(value: Any) -> Any:
    """Return a number of numpy as json knows it."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a card cannot hold a {type(value).__name__}")


def _not_a_model(path: Path, reason: str) -> DenoisingError:
    return DenoisingError(
        f"{path} is not a model file that can be opened: {reason}.",
        "Choose a .safetensors file saved by napari-ae-denoise, or copy it again from its source.",
    )
