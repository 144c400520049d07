"""The report of a batch: a page with a picture and figures of each image."""

from __future__ import annotations

import base64
import html
import io
import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import check_axes, guess_axes, is_rgb
from napari_ae_denoise.card import now
from napari_ae_denoise.errors import DenoisingError, problem_of
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.noise_level import estimate_sigma
from napari_ae_denoise.output_names import make_folder, refuse_existing
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ae_denoise.batch import Outcome
    from napari_ae_denoise.image_record import ImageFile

ENDINGS = (".md", ".html")
_SIDE = 256  # pixels of a picture's halves: the middle of the image, pixel for pixel
_HEADINGS = ("image", "result", "shape", "type", "noise before", "noise after", "seconds")
_STYLE = (
    "body{font-family:sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse}"
    "td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left}img{image-rendering:pixelated}"
    ".failed{color:#a00}"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a report says of an image that was denoised."""

    cells: tuple[str, ...]
    picture: bytes
    problem: str = ""  # why there is no picture


def check_report(path: Path, *, overwrite: bool) -> None:
    """Refuse a report that cannot be written, before any work is done."""
    if path.suffix.lower() not in ENDINGS:
        raise DenoisingError(
            f'A report cannot be written with the ending "{path.suffix}".',
            f"Use {' or '.join(ENDINGS)}.",
        )
    refuse_existing(path, overwrite=overwrite)
    make_folder(path.parent)


def write_report(
    path: Path,
    outcomes: Sequence[Outcome],
    model: str,
    *,
    axes: str | None = None,
    level: int = 0,
) -> None:
    """Write the report of a batch.

    Parameters
    ----------
    path : Path
        ``.html``, with the pictures in it; or ``.md``, with the pictures in a folder beside it.
    outcomes : sequence of Outcome
        Of each image.
    model : str
        Name of the model.
    axes : str, optional
        Of the images, as they were denoised; by default those of their files.
    level : int
        Of OME-Zarr images, the one that was denoised.
    """
    done = [outcome for outcome in outcomes if not outcome.problem]
    entries = [_entry(outcome, path.parent, axes, level) for outcome in done]
    failed = [(str(o.path), o.problem) for o in outcomes if o.problem]
    seconds = sum(outcome.seconds for outcome in outcomes)
    there = sum(outcome.skipped for outcome in outcomes)
    made = sum(not (outcome.problem or outcome.skipped) for outcome in outcomes)
    summary = (
        f"{made} of {len(outcomes)} images denoised with {model} in {seconds:.0f} seconds, {now()}."
    )
    summary += f" {there} skipped, for their results were there." if there else ""
    make = _as_html if path.suffix.lower() == ".html" else _as_markdown
    text = make(path, entries, failed, summary)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _entry(outcome: Outcome, folder: Path, axes: str | None, level: int) -> _Entry:
    """Read what was written, and measure it; what fails costs the picture and the figures."""
    names = outcome.path.name, _relative(outcome.targets.denoised, folder)
    seconds = "skipped" if outcome.skipped else f"{outcome.seconds:.1f}"
    try:
        noisy = read_image(outcome.path, level)
        clean = read_image(outcome.targets.denoised)
        of_noisy = check_axes(
            axes or noisy.axes or guess_axes(noisy.array.shape), noisy.array.shape
        )
        of_clean = _axes_of_result(clean, of_noisy, noisy.array.shape)
        colours = is_rgb(of_noisy, noisy.array.shape)
        parts = (
            _middle(noisy.array, of_noisy, colours=colours),
            _middle(clean.array, of_clean, colours=colours),
        )
        shape = " x ".join(map(str, clean.array.shape))
        figures = (shape, str(clean.array.dtype), *map(_sigma, parts))
        return _Entry((*names, *figures, seconds), _picture(*parts))
    except Exception as error:  # noqa: BLE001 (the batch is done; its report must not be lost)
        unknown = ("unknown",) * (len(_HEADINGS) - len(names) - 1)
        return _Entry((*names, *unknown, seconds), b"", f"No picture: {problem_of(error)}")


def _axes_of_result(clean: ImageFile, of_noisy: str, shape: tuple[int, ...]) -> str:
    """Return the axes of a result in its file: formats put axes into an order of their own."""
    known = clean.axes
    told = known is not None and (sorted(known) == sorted(of_noisy) or clean.array.shape != shape)
    return known if known is not None and told else of_noisy


def _middle(array: Any, axes: str, *, colours: bool) -> npt.NDArray[np.float64]:
    """Return the middle of the middle plane, (Y, X), or with its three colours (Y, X, 3)."""
    kept = "YXC" if colours else "YX"
    place: list[Any] = []
    for axis, size in zip(axes, array.shape, strict=True):
        if axis in "YX":
            first = max(size - _SIDE, 0) // 2
            place.append(slice(first, first + _SIDE))
        else:
            place.append(slice(0, 3) if axis in kept else size // 2)
    plane = np.asarray(array[tuple(place)], np.float64)
    left = [axis for axis in axes if axis in kept]
    return plane.transpose([left.index(axis) for axis in kept])


def _sigma(part: npt.NDArray[np.float64]) -> str:
    try:
        return f"{float(estimate_sigma(part, axes='YXC' if part.ndim == 3 else 'YX')):.3g}"
    except DenoisingError:
        return "unknown"


def _picture(noisy: npt.NDArray[Any], clean: npt.NDArray[Any]) -> bytes:
    """Return noisy and denoised part side by side, as PNG, with the same range of grey values."""
    import imageio.v3 as iio

    finite = noisy[np.isfinite(noisy)]
    low, high = np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0)
    # a result that was there may be of another image
    pair = np.concatenate([noisy, clean], axis=1) if noisy.shape == clean.shape else noisy
    grey = np.clip((np.nan_to_num(pair) - low) / max(high - low, 1e-20), 0, 1)
    file = io.BytesIO()
    iio.imwrite(file, np.rint(255 * grey).astype(np.uint8), extension=".png", plugin="pillow")
    return file.getvalue()


def _relative(target: Path, folder: Path) -> str:
    """Return a path as seen from a folder; as it is where no way leads there, as between drives."""
    try:
        return os.path.relpath(target, folder)
    except ValueError:
        return str(target)


def _url(path: str) -> str:
    """Return a relative path as a link: names may have characters that mean something in one."""
    return urllib.parse.quote(Path(path).as_posix())


def _as_html(
    path: Path, entries: Sequence[_Entry], failed: Sequence[tuple[str, str]], summary: str
) -> str:
    rows = []
    for entry in entries:
        name, link, *others = (html.escape(cell) for cell in entry.cells)
        cells = [name, f'<a href="{_url(entry.cells[1])}">{link}</a>', *others]
        data = base64.b64encode(entry.picture).decode()
        picture = f'<img alt="noisy and denoised: {name}" src="data:image/png;base64,{data}">'
        cells.append(html.escape(entry.problem) or picture)
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = "".join(f"<th>{head}</th>" for head in (*_HEADINGS, "noisy, denoised"))
    problems = "".join(
        f'<p class="failed">{html.escape(name)}: {html.escape(problem)}</p>'
        for name, problem in failed
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Denoised images</title>'
        f"<style>{_STYLE}</style><h1>Denoised images</h1><p>{html.escape(summary)}</p>{problems}"
        f"<table><tr>{heads}</tr>{''.join(rows)}</table></html>\n"
    )


def _as_markdown(
    path: Path, entries: Sequence[_Entry], failed: Sequence[tuple[str, str]], summary: str
) -> str:
    folder = path.with_name(f"{path.stem}_files")
    lines = ["# Denoised images", "", summary, ""]
    lines += [f"- **failed** {_cell(name)}: {problem}" for name, problem in failed]
    if entries:
        make_folder(folder)
        heads = (*_HEADINGS, "noisy, denoised")
        lines += ["", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for number, entry in enumerate(entries):
        picture = folder / f"{number:04}.png"
        shown = _cell(entry.problem)
        if not entry.problem:
            with replacing(picture) as temporary:
                temporary.write_bytes(entry.picture)
            shown = f"![]({_url(f'{folder.name}/{picture.name}')})"
        cells = [*map(_cell, entry.cells), shown]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split("\n"))
