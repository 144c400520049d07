"""Where results go: names made from those of the inputs, and nothing that is there gets lost."""

from __future__ import annotations

import os
import string
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_ae_denoise.done_record import FILE_NAME
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import format_of
from napari_ae_denoise.storage import Precious, is_there, same_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OF_CODE, OF_NOISE = "_latent.tif", "_noise.tif"  # ends of names in a folder: any image fits


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
        found = list(string.Formatter().parse(str(pattern)))
    except ValueError as error:
        wrong = str(error)
    else:
        odd = [p for _, p, spec, how in found if p is not None and (p not in places or spec or how)]
        wrong = f"{{{odd[0]}}} is no place for a name, or is formatted" if odd else ""
    if wrong:
        raise DenoisingError(
            f'The output "{pattern}" is no pattern: {wrong}.',
            f"Use {', '.join('{' + place + '}' for place in places)} in it.",
        )
    return type(pattern)(str(pattern).format_map(places))


def output_paths(
    inputs: Sequence[Path],
    output: Path,
    *,
    overwrite: bool,
    ending: str = "",
    unfinished: bool = False,
) -> list[Path]:
    """Return where the result of each input goes, and refuse to lose a file.

    Parameters
    ----------
    inputs : sequence of Path
        The images.
    output : Path
        A file, for one input. For several, or if it is a folder or has no ending, such as ``out``
        or ``out/``: a folder, which is made if it is not there. A pattern with {stem}, {suffix},
        {name} or {folder} of each input, such as ``out/{stem}_clean{suffix}``.
    overwrite : bool
        Whether results may replace files that are there. Inputs are never replaced.
    ending : str
        Of the names in a folder, in place of the inputs' own, such as ``"_latent.tif"``.
    unfinished : bool
        Whether a folder that holds a result with a record of its tiles is taken: it is gone on
        with, or refused later.

    Raises
    ------
    DenoisingError
        If an output is an input or holds one, is there already, or stands for two inputs.
    """
    pattern = is_pattern(output)
    there = is_there(output)  # or it is refused here: pathlib has no answer to long names
    folder = not pattern and (len(inputs) > 1 or _is_folder(output))
    if pattern:
        made = [named_by(output, path) for path in inputs]
    elif folder:
        if len(inputs) > 1 and not there and _names_a_file(output):
            raise DenoisingError(
                f"{len(inputs)} results cannot be one file {output}.",
                "Give a folder, or a pattern such as out/{stem}_clean{suffix}.",
            )
        if there and not output.is_dir():
            what = f"{len(inputs)} results need a folder" if len(inputs) > 1 else "has no ending"
            raise DenoisingError(
                f"{output} is a file, but {what}.",
                "Give the name of a folder, or for one image that of a file with an ending such as "
                ".tif.",
            )
        made = [output / (path.stem + ending if ending else path.name) for path in inputs]
    else:
        made = [output]
    seen: dict[Path, Path] = {}
    precious = Precious(inputs)
    for source, target in zip(inputs, made, strict=True):
        format_of(target)
        if (lost := precious.lost_with(target)) is not None:
            what = "is an input" if same_file(target, lost) else f"holds the input {lost}"
            raise DenoisingError(f"{target} {what}, which would be lost.", "Give another output.")
        if target in seen:
            raise DenoisingError(
                f"{seen[target]} and {source} would both be written to {target}.",
                "Do them one by one, or rename one of them.",
            )
        seen[target] = source
        if not (unfinished and is_there(target / FILE_NAME)):
            refuse_existing(target, overwrite=overwrite)
    for parent in {target.parent for target in made} if pattern else ():
        make_folder(parent)
    if folder:
        make_folder(output)
    return made


def _names_a_file(output: Path) -> bool:
    """Return whether a path ends as files of images do."""
    try:
        format_of(output)
    except DenoisingError:
        return False
    return True


def _is_folder(output: Path) -> bool:
    """Return whether one result goes into a folder: a path does not keep a slash at its end."""
    suffix = output.suffix.lower()
    return not suffix or (output.is_dir() and suffix != ".zarr")


def each_once(paths: Sequence[Path]) -> list[Path]:
    """Return paths without those that name the same file again, in their order.

    Links stay: whoever gives a file several names may want several results.
    """
    first: dict[str, Path] = {}
    for path in paths:
        first.setdefault(os.path.normcase(os.path.abspath(path)), path)
    return list(first.values())


def make_folder(path: Path) -> None:
    """Make a folder, if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DenoisingError(
            f"The folder {path} cannot be made: {error.strerror or error}.",
            "Choose another place that may be written to.",
        ) from error


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse an output that is there already."""
    if is_there(path) and not overwrite:
        raise DenoisingError(
            f"{path} is there already.",
            "Choose another output, or let what is there be overwritten or skipped.",
        )


class Outputs(NamedTuple):
    """Where the results of one image go."""

    denoised: Path
    latent: Path | None
    removed: Path | None


def resolve_outputs(
    inputs: Sequence[Path],
    output: Path,
    latent: Path | None,
    removed: Path | None,
    *,
    overwrite: bool,
) -> list[Outputs]:
    """Return where the results of each input go; refuse what would lose a file."""
    nothing: list[Path | None] = [None] * len(inputs)
    columns: list[Sequence[Path | None]] = [
        output_paths(inputs, output, overwrite=overwrite, unfinished=True)
    ]
    for place, ending, unfinished in ((latent, OF_CODE, True), (removed, OF_NOISE, False)):
        how: dict[str, Any] = {"overwrite": overwrite, "unfinished": unfinished}
        found = nothing if place is None else output_paths(inputs, place, ending=ending, **how)
        columns.append(found)
    rows = [Outputs(*row) for row in zip(*columns, strict=True)]
    targets = Counter(target.resolve() for row in rows for target in row if target is not None)
    doubled = {str(target) for target, times in targets.items() if times > 1}
    if doubled:
        raise DenoisingError(
            f"Two results would be written to {', '.join(sorted(doubled))}.",
            "Choose another output: the image, its latent code and its removed noise need names "
            "of their own.",
        )
    return rows
