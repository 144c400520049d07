"""Images and classical methods compared with a reference: a table, and one plane of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.classical import denoise_classically
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.metrics import Nearness, compare_steps, data_range_steps, together
from napari_ae_denoise.steps import drain

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping

Planes = Literal["all", "each", "one"]
COLUMNS = ("Layer", "PSNR (dB)", "SSIM")
_METHOD_TAKES = 4  # times as long as a comparison, for the progress
_ALL = slice(None)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What to compare.

    Parameters
    ----------
    reference : array
        The clean image; numpy, dask or zarr, as are all others.
    axes : str or None
        Of the reference, and so of all.
    images : tuple of (str, array)
        Names and images.
    name : str
        Of the reference.
    data_range : float
        In grey values; 0 is for the reference's own, see `data_range_of`.
    planes : {"all", "each", "one"}
        A line for all planes of an image together, for each, or for one alone.
    plane : int
        Which one; it is also the one that is kept to be looked at.
    noisy : array, optional
        What classical methods are run on.
    methods : tuple of str
        Which ones; see `classical_methods`.
    """

    reference: Any
    axes: str | None
    images: tuple[tuple[str, Any], ...]
    name: str = "reference"
    data_range: float = 0.0
    planes: Planes = "all"
    plane: int = 0
    noisy: Any = None
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``problem`` says why a figure is missing (NaN)."""

    name: str
    psnr: float
    ssim: float
    problem: str = ""

    def cells(self) -> tuple[str, str, str]:
        """Return what the table shows."""
        return self.name, _figure(self.psnr, 2), _figure(self.ssim, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What came out.

    Parameters
    ----------
    reference : str
        The name of the reference.
    data_range : float
        What the figures hold in; NaN where it was stopped before that was known.
    rows : tuple of Row
        The lines that were finished.
    stopped : bool
        Whether some are missing.
    pictures : mapping of str to ndarray
        One plane of what each method has made: (Y, X) or (Y, X, 3).
    """

    reference: str
    data_range: float
    rows: tuple[Row, ...]
    stopped: bool
    pictures: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def as_text(self) -> str:
        """Return the table with tabs between the columns, as spreadsheets take it."""
        lines = [(*COLUMNS, "Data range (grey values)")]
        lines += [(*row.cells(), f"{self.data_range:g}") for row in self.rows]
        return "\n".join("\t".join(line) for line in lines)

    def as_markdown(self) -> str:
        """Return the table as Markdown, with a line that says what the figures hold for."""
        lines = [COLUMNS, (":--", "--:", "--:"), *(row.cells() for row in self.rows)]
        table = "\n".join(f"| {' | '.join(_escaped(c) for c in line)} |" for line in lines)
        return f"{table}\n\n{self.caption()}"

    def caption(self) -> str:
        """Return what the figures hold for."""
        return f'Against "{self.reference}", in a data range of {self.data_range:g} grey values.'


@dataclass(frozen=True, slots=True)
class Doing:
    """How far a comparison is, 0 to 1, and with what."""

    fraction: float
    what: str


def comparison_steps(
    what: Comparison, stop: threading.Event | None = None
) -> Generator[Doing, None, Table]:
    """Compare image by image and plane by plane.

    An image that cannot be compared gives a line that says why; the others go on.

    Parameters
    ----------
    what : Comparison
        What to compare.
    stop : threading.Event, optional
        Looked at after every plane; finished lines stay.

    Yields
    ------
    Doing
        After each plane.

    Returns
    -------
    Table
    """
    return (yield from _Run(what, stop).steps())


def pictures_of(what: Comparison, table: Table) -> dict[str, npt.NDArray[Any]]:
    """Return one plane of the reference and of each image and method, (Y, X) or (Y, X, 3)."""
    layout = plane_layout(what.reference.shape, what.axes)
    named = ((what.name, what.reference), *what.images)
    read = {
        name: _picture(layout.read(image, what.plane, _ALL, _ALL))
        for name, image in named
        if image.shape == what.reference.shape
    }
    return {**read, **table.pictures}


class _Run:
    """One comparison: what its parts share."""

    def __init__(self, what: Comparison, stop: threading.Event | None) -> None:
        self.what, self._stop = what, stop
        self.layout = plane_layout(what.reference.shape, what.axes)
        self.rows: list[Row] = []
        self.pictures: dict[str, npt.NDArray[Any]] = {}
        self._done = 0.0
        self._all = 1 + len(what.images) + _METHOD_TAKES * len(what.methods)

    def steps(self) -> Generator[Doing, None, Table]:
        what, finished = self.what, 0
        data_range: float | None = what.data_range or None
        if data_range is None:
            search = data_range_steps(what.reference, what.axes)
            data_range = yield from self._pass(search, "the data range", 1)
        if data_range is not None:
            for name, image in what.images:
                near = yield from self._pass(self._near(image, data_range), name, 1)
                if near is None:
                    break
                self.add(name, near)
                finished += 1
            for method in what.methods if finished == len(what.images) else ():
                made = self._classical(method, data_range)
                near = yield from self._pass(made, method, _METHOD_TAKES)
                if near is None:
                    break
                self.add(method, near)
                finished += 1
        wanted = len(what.images) + len(what.methods)
        known = math.nan if data_range is None else data_range
        return Table(what.name, known, tuple(self.rows), finished < wanted, self.pictures)

    def add(self, name: str, near: Nearness) -> None:
        """Add the line of an image, or one for each of its planes."""
        if self.what.planes != "each" or not near.planes:
            self.rows.append(Row(name, near.psnr, near.ssim, near.problem))
            return
        for plane, (db, alike) in enumerate(near.planes):
            place = zip(self.layout.stack_axes, self.layout.stack_index(plane), strict=True)
            where = " ".join(f"{axis}{number}" for axis, number in place)
            self.rows.append(Row(f"{name} {where}".strip(), db, alike, near.problem))

    def read(self, image: Any, plane: int) -> npt.NDArray[Any]:
        """Return a plane, (channels, Y, X)."""
        return self.layout.read(image, plane, _ALL, _ALL)

    def _near(self, image: Any, data_range: float) -> Generator[float, None, Nearness]:
        reference, axes = self.what.reference, self.what.axes
        try:
            if self.what.planes == "one" and image.shape == reference.shape:
                plane = self.what.plane
                reference, image = self.read(reference, plane), self.read(image, plane)
                axes = "CYX"
            return (yield from compare_steps(reference, image, data_range=data_range, axes=axes))
        except DenoisingError as error:
            return Nearness(math.nan, math.nan, str(error))

    def _classical(self, method: str, data_range: float) -> Generator[float, None, Nearness]:
        """Denoise and compare plane by plane: no more than one is held."""
        what = self.what
        planes = [what.plane] if what.planes == "one" else range(self.layout.planes)
        axes = "YXC" if self.layout.plane_channels == 3 else "CYX"
        found: list[Nearness] = []
        try:
            if what.noisy.shape != what.reference.shape:
                raise DenoisingError(
                    f"The noisy image differs in shape from the reference: {what.noisy.shape} and "
                    f"{what.reference.shape}.",
                    "Choose one of the same shape.",
                )
            for number, plane in enumerate(planes):
                noisy, clean = self.read(what.noisy, plane), self.read(what.reference, plane)
                if axes == "YXC":  # one plane, not three
                    noisy, clean = (np.moveaxis(side, 0, -1) for side in (noisy, clean))
                made = denoise_classically(noisy, method, axes=axes)
                if plane == what.plane:
                    self.pictures[method] = made if axes == "YXC" else made[0]
                how = compare_steps(clean, made, data_range=data_range, axes=axes)
                found.append(drain(how))
                yield (number + 1) / len(planes)
        except DenoisingError as error:
            return Nearness(math.nan, math.nan, str(error))
        return together(found, data_range)

    def _pass(
        self, steps: Generator[float, None, Result], name: str, share: float
    ) -> Generator[Doing, None, Result | None]:
        """Go through planes; yield how far all is, return None if stopped."""
        yield Doing(self._done / self._all, name)
        if self._stop is not None and self._stop.is_set():
            return None
        while True:
            try:
                part = next(steps)
            except StopIteration as end:
                self._done += share
                return end.value  # type: ignore[no-any-return]
            yield Doing((self._done + share * part) / self._all, name)
            if part < 1 and self._stop is not None and self._stop.is_set():
                return None


def _picture(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.moveaxis(plane, 0, -1) if len(plane) == 3 else plane[0]


def _figure(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
