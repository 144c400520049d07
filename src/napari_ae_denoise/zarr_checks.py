"""What a zarr array says of itself, checked before anything of it is decoded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Codecs that turn bytes into bytes or numbers into numbers; all others, such as pickle, which runs
# code when it decodes, are refused.
_COMPRESSORS = {"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"}
_FILTERS = {"adler32", "astype", "bitround", "crc32", "crc32c", "delta", "fixedscaleoffset"}
_FILTERS |= {"fletcher32", "packbits", "quantize", "shuffle"}
_LAYOUTS = {"bytes", "endian", "transpose", "sharding_indexed"}
_KNOWN = _COMPRESSORS | _FILTERS | _LAYOUTS
_LARGEST_CHUNK = 4 * 1024**3  # bytes: a chunk is decoded whole
_MOST_CHUNKS = 1_000_000  # along an axis


def check_array(path: Path, array: Any) -> None:
    """Refuse an array that could run code when it is read, or whose sizes make no sense.

    Raises
    ------
    DenoisingError
        If it holds anything but numbers, is encoded in a way that is not known to be harmless, or
        has chunks that are far too large or far too many. A compressed chunk that holds more than
        it says is not noticed before zarr has unpacked it.
    """
    if array.dtype.hasobject:
        raise DenoisingError(
            f"{path} holds Python objects, which could run code and are never opened.",
            "Save it as an array of numbers.",
        )
    strange = sorted({name for name in codec_names(array) if name not in _KNOWN})
    if strange:
        raise DenoisingError(
            f"{path} is encoded by {', '.join(strange)}, which could run code or is not known "
            "here, and is never decoded.",
            f"Save it with one of {', '.join(sorted(_COMPRESSORS))}.",
        )
    size = math.prod(array.chunks) * array.dtype.itemsize
    if size > _LARGEST_CHUNK:
        raise DenoisingError(
            f"{path} has chunks of shape {array.chunks}, {size / 1024**3:.0f} GiB each, and a "
            "chunk is read whole.",
            "Save it in smaller chunks, such as 512 x 512.",
        )
    counts = [-(-n // side) for n, side in zip(array.shape, array.chunks, strict=True)]
    if max(counts, default=0) > _MOST_CHUNKS:
        raise DenoisingError(
            f"{path} of shape {array.shape} has {max(counts)} chunks along an axis.",
            "Save it in larger chunks, such as 512 x 512.",
        )


def codec_names(array: Any) -> Iterator[str]:
    """Go through the names of the codecs of an array of either format, those in shards too."""
    about = array.metadata
    if hasattr(about, "codecs"):
        yield from _of_format_3(list(about.codecs))
        return
    for codec in [*(about.filters or ()), about.compressor]:
        if codec is not None:
            yield str(getattr(codec, "codec_id", type(codec).__name__))


def _of_format_3(codecs: list[Any]) -> Iterator[str]:
    for codec in codecs:
        yield str(codec.to_dict()["name"]).removeprefix("numcodecs.")
        for inner in ("codecs", "index_codecs"):
            yield from _of_format_3(list(getattr(codec, inner, ())))
