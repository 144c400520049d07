"""The card: the readable record in a model file."""

from __future__ import annotations

import dataclasses
import math
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_ae_denoise import __version__
from napari_ae_denoise.errors import DenoisingError, plain_text
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.penalty_spec import Penalty
from napari_ae_denoise.plain_numbers import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
STATE = "training state"  # what a file says that holds no model
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Card:
    """What a model is, what made it, and what may be done with it.

    Parameters
    ----------
    network : NetworkSpec
        Rebuilds the network.
    normalization : Normalization
        How grey values are mapped.
    name, description : str
        For people.
    objective : str
        The reconstruction loss that the network was scored by.
    penalties : tuple of Penalty
        What was added to it.
    data_kind : str
        What it was trained on: ``"clean"``, ``"pairs"``, ``"noisy"`` or ``"two noisy"``.
    sigma : tuple of float, optional
        Range of the noise that it was trained for, in grey values, or as fractions of the data
        range if ``sigma_relative``.
    sigma_relative : bool
        See ``sigma``.
    noise : str
        Which synthetic noise it was trained for: ``"gaussian"``, ``"camera"`` or ``"photograph"``.
    axes : str
        Axes of the training images.
    metrics : mapping of str to float
        What was measured, such as ``validation_psnr`` in dB.
    training : mapping
        The settings of the training.
    versions : mapping of str to str
        Of the programs that made it.
    licence : str
        Of the weights.
    created : str
        Date and time, ISO 8601, UTC.
    format : int
        Version of this record.
    """

    network: NetworkSpec
    normalization: Normalization = field(default_factory=Normalization)
    name: str = "untitled"
    description: str = ""
    objective: str = "mse"
    penalties: tuple[Penalty, ...] = ()
    data_kind: str = ""
    sigma: tuple[float, float] | None = None
    sigma_relative: bool = False
    noise: str = "gaussian"
    axes: str = "YX"
    metrics: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    training: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    versions: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    licence: str = ""
    created: str = ""
    format: int = FORMAT

    @property
    def makes_worse(self) -> bool:
        """Whether parts that were held out of the training were better before than after."""
        before, after = (self.metrics.get(n) for n in ("noisy_psnr", "validation_psnr"))
        return before is not None and after is not None and after < before

    def to_record(self) -> dict[str, Any]:
        """Return the card as what json can hold."""
        # asdict would deep-copy the read-only mappings, which Python cannot
        record = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        record["network"] = dataclasses.asdict(self.network)
        record["normalization"] = dataclasses.asdict(self.normalization)
        record["penalties"] = [dataclasses.asdict(penalty) for penalty in self.penalties]
        for name in ("metrics", "training", "versions"):
            record[name] = dict(record[name])
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Card:
        """Return the card of a record, which is checked: it comes from a file.

        Raises
        ------
        DenoisingError
            If it is of a newer format, or lacks or misstates something.
        """
        number = record.get("format", FORMAT)
        if isinstance(number, int) and number > FORMAT:
            raise DenoisingError(
                f"The model has format {number}; this version of napari-ae-denoise "
                f"({__version__}) knows formats up to {FORMAT}.",
                "Update napari-ae-denoise.",
            )
        if record.get("kind") == STATE:
            raise DenoisingError(
                "The file is the state of a training, and no model.",
                "Give it as the checkpoint of a training, which goes on from it; the model is what "
                "that training saves.",
            )
        try:
            if type(number) is not int or number < 1:
                raise TypeError(f"its format is {number!r}")
            record = _plain(dict(record))
            values = {f.name: record[f.name] for f in dataclasses.fields(cls) if f.name in record}
            values["network"] = _spec(values["network"])
            values["normalization"] = Normalization(**values.get("normalization", {}))
            values["penalties"] = tuple(Penalty(**p) for p in values.get("penalties", ()))
            if values.get("sigma") is not None:
                low, high = (float(v) for v in values["sigma"])
                if not 0 <= low <= high < math.inf:
                    raise ValueError(f"its sigma is from {low} to {high}")
                values["sigma"] = (low, high)
            for name in (
                "name",
                "description",
                "objective",
                "data_kind",
                "noise",
                "axes",
                "licence",
                "created",
            ):
                if not isinstance(values.get(name, ""), str):
                    raise TypeError(f"{name} is no text")
            for name in ("metrics", "training", "versions"):
                values[name] = MappingProxyType(dict(values.get(name, {})))
            for name, value in values["metrics"].items():
                if not is_number(value) or math.isinf(value):
                    raise ValueError(f"its {name} is {value!r}")
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DenoisingError(
                f"The model's card cannot be used: {error}.",
                "Choose a file saved by napari-ae-denoise, or copy it again from its source.",
            ) from error


def _plain(value: Any) -> Any:
    """Return a record whose texts can be shown: people read what a card says, in a terminal too."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, dict):
        return {plain_text(str(name)): _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _spec(record: Mapping[str, Any]) -> NetworkSpec:
    values = {**record, "widths": tuple(record["widths"])}
    if values.get("image_size") is not None:
        values["image_size"] = tuple(values["image_size"])
    return NetworkSpec(**values)


def versions_now() -> dict[str, str]:
    """Return the versions of the programs that run, for a card."""
    import numpy
    import torch

    return {
        "napari-ae-denoise": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def now() -> str:
    """Return the time, for a card."""
    return datetime.now(UTC).isoformat(timespec="seconds")
