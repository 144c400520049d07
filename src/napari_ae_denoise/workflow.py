"""A workflow: a file that says how a result was made, and makes the same of other images."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.axes import check_axes
from napari_ae_denoise.card import versions_now
from napari_ae_denoise.devices import PRECISIONS
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.noise_correlation import CORRELATED
from napari_ae_denoise.orientations import COUNTS
from napari_ae_denoise.provenance import CODE, DENOISED, REMOVED
from napari_ae_denoise.resolving import NOISE_MODELS
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_ae_denoise.denoiser import Denoiser

FORMAT = "napari-ae-denoise workflow"
VERSION = 1
_LARGEST = 64 * 1024  # bytes of a file
_LONGEST = 4096  # characters of a text
_REMEDY = "Save it again from a result of the Denoise panel."


@dataclass(frozen=True, slots=True)
class Workflow:
    """How a result is made of an image.

    Parameters
    ----------
    what : str
        ``"denoised"``, ``"removed noise"`` or ``"latent code"``.
    model : str
        Name of the model.
    model_file : str
        Its file; empty for one that is bundled.
    weights_hash : str
        What tells its weights from others.
    axes : str
        One letter per axis of the image.
    strength : float
        From 0 to 1.
    noise_model, correlated, device, precision : str
        As `PredictSettings` has them.
    tile : int
        Side of the tiles in pixels; 0 chooses it by the free memory.
    orientations : int
        As `PredictSettings` has it; 1 in workflows that do not say it.
    on_disk : bool
        Whether it was written tile by tile: then the strength is applied before integers are
        rounded, and else to the finished result.
    """

    what: str
    model: str
    model_file: str
    weights_hash: str
    axes: str
    strength: float
    noise_model: str
    correlated: str
    device: str
    precision: str
    tile: int
    orientations: int
    on_disk: bool

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Workflow:
        """Return the workflow of a result's record; see `provenance.record_of`.

        Raises
        ------
        DenoisingError
            If the record does not say enough, or names a model that is in no file.
        """
        from napari_ae_denoise.bundled import bundled_names

        try:
            told = {name.name: record.get(name.name) for name in fields(cls)}
            told["tile"] = 0 if record["tile"] == "auto" else record["tile"]
            told["orientations"] = record.get("orientations", 1)
            told["on_disk"] = bool(record.get("folder"))
        except KeyError as error:
            raise DenoisingError(
                f"The layer does not say enough of what made it ({error} is missing).",
                "Choose a result of the Denoise panel of this version.",
            ) from error
        made = cls._checked(told, "The layer's record")
        if not made.model_file and made.model not in bundled_names():
            raise DenoisingError(
                f'The model "{made.model}" was in no file when the result was made.',
                "Press Save model, denoise again, and save the workflow of that result.",
            )
        return made

    @classmethod
    def load(cls, path: str | Path) -> Workflow:
        """Read a workflow from its file; nothing in it is run.

        Raises
        ------
        DenoisingError
            If it cannot be read, is no workflow, or one of a newer version.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                held = file.read(_LARGEST + 1)
            if len(held) > _LARGEST:
                raise ValueError(f"it is larger than {_LARGEST} bytes")
            told = json.loads(held.decode("utf-8"))
            if not isinstance(told, dict) or told.get("format") != FORMAT:
                raise ValueError(f'it does not begin with the format "{FORMAT}"')
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DenoisingError(
                f"{path} cannot be used as a workflow: {reason}.",
                f"Give a file that *Save workflow* wrote. {_REMEDY}",
            ) from error
        version = told.get("version")
        if type(version) is int and version > VERSION:
            raise DenoisingError(
                f"{path} is a workflow of version {version}; this program knows {VERSION}.",
                "Install a newer napari-ae-denoise.",
            )
        if type(version) is not int or version < 1:
            raise DenoisingError(f"{path} is a workflow of no known version.", _REMEDY)
        rest = {name: value for name, value in told.items() if name not in _HEAD}
        return cls._checked(rest, str(path))

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, whole or not at all; return the path."""
        path = Path(path)
        head = {"format": FORMAT, "version": VERSION, "made_with": versions_now()}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({**head, **asdict(self)}, indent=1), encoding="utf-8")
        return path

    @classmethod
    def _checked(cls, told: Mapping[str, Any], where: str) -> Workflow:
        """Return the workflow of values that may be anything."""
        names, told = {one.name for one in fields(cls)}, {"orientations": 1, **told}
        if set(told) != names:
            wrong = [f'"{name}" is missing' for name in sorted(names - set(told))]
            wrong += [f'"{name}" is unknown' for name in sorted(set(told) - names)]
            raise DenoisingError(f"{where} is no workflow: {', '.join(wrong)}.", _REMEDY)
        for name, good in _CHECKS.items():
            value = told[name]
            if not good(value):
                raise DenoisingError(
                    f'{where} is no workflow: "{name}" cannot be {value!r:.200}.', _REMEDY
                )
        return cls(**{**told, "strength": float(told["strength"])})

    def denoiser(self) -> Denoiser:
        """Open the model, and check that it is the one.

        Raises
        ------
        DenoisingError
            If its file is gone, or holds other weights.
        """
        from napari_ae_denoise.denoiser import Denoiser
        from napari_ae_denoise.fingerprints import of_network

        made = Denoiser.load(Path(self.model_file) if self.model_file else self.model)
        if of_network(made.network) != self.weights_hash:
            raise DenoisingError(
                f"{self.model_file or self.model} is another model than that of the workflow.",
                "Put the model file back, or save a workflow of a result of this one.",
            )
        return made

    def axes_of(self, axes: str | None, shape: Sequence[int]) -> str:
        """Return the axes of an image and its result, where the workflow is for such images.

        Parameters
        ----------
        axes : str or None
            One letter per axis, as its file says; None if it does not, for those of the workflow.
        shape : sequence of int
            Of the image. What kind of stack it is makes no difference to its planes.

        Raises
        ------
        DenoisingError
            If it has more or fewer axes, or rows, columns or channels elsewhere.
        """
        known = check_axes(axes, shape) if axes else self.axes
        if len(shape) != len(self.axes) or _planes(known) != _planes(self.axes):
            raise DenoisingError(
                f'The workflow is for images of axes "{self.axes}", not "{known}" of shape '
                f"{tuple(shape)}.",
                "Give an image with as many axes of the same kinds, or, where its file names them "
                f"wrongly, give the axes {self.axes}.",
            )
        return known

    def run(self, denoiser: Denoiser, image: Any) -> Any:
        """Make the result of an image.

        Parameters
        ----------
        denoiser : Denoiser
            What `denoiser` gave.
        image : array
            Of the workflow's axes.

        Returns
        -------
        array
            numpy; or lazy, for a lazy image of a workflow that was on disk.

        Raises
        ------
        DenoisingError
            If the image has more or fewer axes, or the model cannot take it.
        """
        from napari_ae_denoise.strength import difference, mixed

        self.axes_of(None, image.shape)
        how: dict[str, Any] = {
            "axes": self.axes,
            "device": self.device,
            "precision": self.precision,
            "noise_model": self.noise_model,
            "correlated": self.correlated,
            "tile": self.tile or "auto",
        }
        image = image if self.on_disk else np.asarray(image)
        if self.what == CODE:
            return denoiser.encode(image, **how)
        how["orientations"] = self.orientations
        if self.on_disk:  # written at its strength
            made = denoiser.denoise(image, strength=self.strength, **how)
        else:
            made = denoiser.denoise(image, **how)
        if self.what == REMOVED:
            return difference(image, made)
        return made if self.on_disk else mixed(image, made, self.strength)


_HEAD = ("format", "version", "made_with")


def _planes(axes: str) -> str:
    """Return axes without the kinds of stacks."""
    return "".join(axis if axis in "CYX" else "." for axis in axes)


def _text(value: Any, *, empty: bool = False) -> bool:
    return isinstance(value, str) and (empty or value != "") and len(value) <= _LONGEST


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "what": lambda v: isinstance(v, str) and v in (DENOISED, REMOVED, CODE),
    "model": _text,
    "model_file": lambda v: _text(v, empty=True),
    "weights_hash": _text,
    "axes": lambda v: _text(v) and v.isalpha() and v.isupper() and len(set(v)) == len(v) <= 6,
    "strength": lambda v: _number(v) and 0 <= v <= 1,
    "noise_model": lambda v: isinstance(v, str) and v in NOISE_MODELS,
    "correlated": lambda v: isinstance(v, str) and v in CORRELATED,
    "device": _text,
    "precision": lambda v: isinstance(v, str) and v in PRECISIONS,
    "tile": lambda v: type(v) is int and 0 <= v <= 2**20,
    "orientations": lambda v: type(v) is int and v in COUNTS,
    "on_disk": lambda v: isinstance(v, bool),
}
