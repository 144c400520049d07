"""Model files: tensors and a readable card in one safetensors file. Knows no network.

Nothing in such a file can run: safetensors holds numbers and text, and this module reads nothing
else.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping

SUFFIX = ".safetensors"
_LARGEST_FILE = 2 * 1024**3  # bytes
_LARGEST_CARD = 1024**2  # characters
_LARGEST_HEADER = 8 * 1024**2  # bytes
_WEIGHT_TYPES = {"F32": 4, "F16": 2, "BF16": 2}  # bytes a number

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
        # not safetensors' own save_file, whose errors hide the system's reason
        temporary.write_bytes(save(contiguous, metadata={"card": text}))
        back, _ = read_model(temporary)
        if any(not torch.equal(back[name], t) for name, t in contiguous.items()):
            raise DenoisingError(
                f"{path} did not read back as it was written.",
                "The disk may be damaged: save to another one.",
            )


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
    path = Path(path)
    try:
        size = path.stat().st_size
        if path.is_dir() or size > _LARGEST_FILE:
            what = "a folder" if path.is_dir() else f"{size / 1024**3:.1f} GiB large"
            raise _not_a_model(path, f"it is {what}")
        blob = path.read_bytes()
    except FileNotFoundError as error:
        raise DenoisingError(
            f"There is no model file {path}.", "Check the path, or choose the file again."
        ) from error
    except OSError as error:
        raise DenoisingError(
            f"The model file {path} cannot be read: {error.strerror or error}.",
            "Check that you may read it and that its disk is there.",
        ) from error
    return model_from_bytes(path, blob)


def model_from_bytes(path: Path, blob: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and card of a model file that was read; ``path`` is for messages.

    Raises
    ------
    DenoisingError
        See `read_model`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    card = _card_in(path, blob)
    try:
        tensors = load(blob)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _not_a_model(path, f"it is damaged ({error})") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise _not_a_model(path, f'its weights "{name}" are not all finite')
    return tensors, card


def _card_in(path: Path, blob: bytes) -> dict[str, Any]:
    """Check the header before anything is made from it, and return the card inside."""
    for start, what in _FOREIGN.items():
        if blob.startswith(start) and not blob[8:9] == b"{":
            raise _not_a_model(path, f"it is {what}")
    if len(blob) < 10:
        raise _not_a_model(path, f"it is only {len(blob)} bytes long")
    length = int.from_bytes(blob[:8], "little")
    if length > _LARGEST_HEADER or blob[8:9] != b"{":
        raise _not_a_model(path, "it does not begin as a safetensors file does")
    if length + 8 > len(blob):
        raise _not_a_model(path, f"it was cut off after {len(blob)} bytes")
    try:
        header = json.loads(blob[8 : 8 + length])
        entries = {k: v for k, v in header.items() if k != "__metadata__"}
        end = max((int(e["data_offsets"][1]) for e in entries.values()), default=0)
        for name, entry in entries.items():
            begin, stop = entry["data_offsets"]
            if math.prod(entry["shape"]) * _WEIGHT_TYPES[entry["dtype"]] != stop - begin:
                raise _not_a_model(path, f'the size of its weights "{name}" contradicts itself')
        if end != len(blob) - 8 - length:
            raise _not_a_model(
                path, f"{end} bytes of weights are announced and {len(blob) - 8 - length} are there"
            )
        text = header["__metadata__"]["card"]
        card = json.loads(text) if len(text) <= _LARGEST_CARD else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        if isinstance(error, DenoisingError):
            raise
        raise _not_a_model(path, "its header or its card cannot be read") from error
    if not isinstance(card, dict):
        raise _not_a_model(path, "its card is no record")
    return card


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
