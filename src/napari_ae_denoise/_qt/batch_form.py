"""The fields of the *Batch* panel, and what they say."""

from __future__ import annotations

import glob
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit, LineEdit

from napari_ae_denoise._qt.batch_job import BatchChoices
from napari_ae_denoise._qt.denoise_fields import PredictFields
from napari_ae_denoise._qt.forms import field, on_change
from napari_ae_denoise.batch import Work
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from napari_ae_denoise._qt.model_choice import ModelChoice

_TYPES = [("that of the image", None), *((name, name) for name in ("uint8", "uint16", "float32"))]


class BatchFields:
    """The fields, one attribute each; `read` reads them.

    Parameters
    ----------
    models : ModelChoice
        The choice of the model.
    """

    def __init__(self, models: ModelChoice) -> None:
        self._models = models
        self.folder = FileEdit(
            name="folder",
            label="Folder",
            mode=FileDialogMode.EXISTING_DIRECTORY,
            nullable=True,
            tooltip="Its images are denoised.",
        )
        self.folder.choose_btn.text = "Choose …"
        self.patterns = _text(
            "patterns",
            "Files",
            'Empty: all images of the folder. Or patterns within it, such as "*.tif" or '
            '"**/cells*.tif"; those with spaces in quotes. Without a folder: paths and patterns.',
            "all images of the folder",
        )
        self.output = _text(
            "output",
            "Output",
            "A folder for the results, which is made; or a pattern such as "
            '"out/{stem}_clean{suffix}", within the folder unless it begins at the root.',
            "out/{stem}_clean{suffix}",
        )
        self.output.value = "denoised"
        self.latent = field(
            "latent", False, "Latent code", "Write the code of each image too: NAME_latent.tif."
        )
        self.noise = field(
            "noise",
            False,
            "Removed noise",
            "Write image minus result too, in grey values: NAME_noise.tif.",
        )
        self.report = field(
            "report", True, "Report", "Write report.html beside the results: figures and pictures."
        )
        self.overwrite = field(
            "overwrite", False, "Overwrite", "Replace results that are there. Inputs never are."
        )
        self.skip = field(
            "skip",
            False,
            "Skip what is there",
            "Leave images alone whose results are all there, so that a cancelled batch continues "
            "where it was.",
        )
        _one_or_none(self.overwrite, self.skip)
        self.axes = _text("axes", "Axes", "Of all images. Empty: as each file says.", "by the file")
        self.how = how = PredictFields()
        self.device = how.device
        self.level = field(
            "level",
            0,
            "Level",
            "Of OME-Zarr images: 0 is full resolution, 1 the next coarser one, and so on.",
            min=0,
            max=20,
        )
        self.dtype = ComboBox(
            name="dtype", label="Type", tooltip="Type of the results' pixels.", choices=_TYPES
        )
        self.at_once = field(
            "at_once",
            1,
            "Images at once",
            "Several small images at once use more of the processor, and more memory.",
            min=1,
            max=64,
        )
        self.main = (self.folder, self.patterns, self.output, models.field)
        self.written = (self.latent, self.noise, self.report, self.overwrite, self.skip)
        said = (self.axes, how.strength, *how.ways, self.level, self.dtype)
        self.more = (*said, self.at_once, how.device, how.tile)

    @property
    def all(self) -> tuple[Any, ...]:
        """Every field."""
        return (*self.main, *self.written, *self.more)

    @property
    def remembered(self) -> tuple[Any, ...]:
        """The fields that begin as they were at the last start."""
        return (self.latent, self.noise, self.report, *self.how.ways, self.at_once)

    def wanted(self) -> list[Path]:
        """Return the paths and patterns that are named; refuse none at all."""
        return _wanted(self._base(), self.patterns.value)

    def _base(self) -> Path | None:
        folder = str(self.folder.value or "").strip()
        return Path(folder).expanduser() if folder not in ("", ".") else None

    def read(self) -> BatchChoices:
        """Return what the form says; refuse what it lacks."""
        wanted, output = tuple(self.wanted()), self.output.value.strip()
        if not output:
            raise DenoisingError(
                "There is no place for the results.",
                "Give a folder in Output, or a pattern such as out/{stem}_clean{suffix}.",
            )
        overwrite = self.overwrite.value or self.skip.value  # what is not whole is made anew
        axes, settings = self.axes.value.strip() or None, self.how.settings(dtype=self.dtype.value)
        model, level, skip = self._models.field.value, self.level.value, self.skip.value
        return BatchChoices(
            wanted,
            self._base(),
            output,
            latent=self.latent.value,
            noise=self.noise.value,
            report=self.report.value,
            found=self._models.reading(),
            work=Work(model, axes, settings, level, overwrite, skip),
            at_once=self.at_once.value,
        )


def _one_or_none(*ticks: Any) -> None:
    """Let ticking one of some boxes untick the others."""

    def untick_others(ticked: Any) -> None:
        for other in ticks:
            if ticked.value and other is not ticked:
                other.value = False

    for tick in ticks:
        on_change([tick], partial(untick_others, tick))


def _text(name: str, label: str, tooltip: str, empty: str) -> LineEdit:
    """Return a line of text that says what it means while it is empty."""
    made = LineEdit(name=name, label=label, tooltip=tooltip)
    made.native.setPlaceholderText(empty)
    return made


def _wanted(base: Path | None, told: str) -> list[Path]:
    """Return the paths and patterns that the fields name."""
    try:
        words = shlex.split(told) if "\\" not in told else told.split()
    except ValueError as error:
        raise DenoisingError(
            f"The files {told} cannot be read: {error}.", "Close each quote that is opened."
        ) from error
    if base is None and not words:
        raise DenoisingError("No images are chosen.", "Choose a folder, or name files.")
    if base is None:
        return [Path(word).expanduser() for word in words]
    within = Path(glob.escape(str(base)))  # its own name is no pattern
    return [within / word for word in words] or [base]
