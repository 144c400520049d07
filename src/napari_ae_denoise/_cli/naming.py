"""Names of output files, made from those of the inputs by a pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from pathlib import Path


def is_pattern(output: Path) -> bool:
    """Return whether a path has places for the names of inputs."""
    return "{" in str(output)


def named_by(pattern: Path, source: Path) -> Path:
    """Return what a pattern makes of the name of an input.

    Raises
    ------
    DenoisingError
        If the pattern has other places than those that there are.
    """
    stem, suffix = source.stem, source.suffix
    if stem.lower().endswith(".ome"):  # .ome.tif and .ome.zarr are endings in two parts
        stem, suffix = stem[:-4], stem[-4:] + suffix
    places = {"stem": stem, "suffix": suffix, "name": source.name, "folder": source.parent.name}
    try:
        return type(pattern)(str(pattern).format_map(places))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise DenoisingError(
            f'The output "{pattern}" is no pattern: {type(error).__name__} {error}.',
            f"Use {', '.join('{' + place + '}' for place in places)} in it.",
        ) from error
