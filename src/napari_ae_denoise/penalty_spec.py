"""Penalties as records: which, how strong, and with what numbers, checked."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.plain_numbers import is_number, is_whole

PENALTY_NAMES = MappingProxyType(
    {
        "weights-l1": "absolute size of the weights",
        "weights-l2": "squared size of the weights",
        "sparsity": "divergence of each code unit's mean activity from a target",
        "activity-l1": "mean absolute activity of the code",
        "variational": "divergence of the code from the unit Gaussian",
        "contractive": "squared Frobenius norm of the encoder's Jacobian",
        "marginalized": "expected loss under all noise, to second order",
    }
)
"""The penalties that there are, and what each is; a closed list, for cards come from files."""

_LARGEST_WEIGHT = 1e6
_MOST_PROJECTIONS = 64


@dataclass(frozen=True, slots=True)
class Penalty:
    """One penalty of an `Objective`.

    Parameters
    ----------
    name : str
        One of `PENALTY_NAMES`; the equations are in `napari_ae_denoise.penalties`.
    weight : float
        How strong: the lambda or beta that the penalty is multiplied by before it is added to the
        reconstruction loss, which is a mean over pixels of normalized grey values.
    target : float
        Wanted mean activity of each code unit, between 0 and 1 (``sparsity`` only).
    projections : int
        Random projections for each image and step (``contractive`` only). 0: exact where an
        image's code has few values, and one projection elsewhere.

    Raises
    ------
    DenoisingError
        If there is no such penalty, or a number makes no sense.
    """

    name: str
    weight: float
    target: float = 0.05
    projections: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no penalty: it may come from a file."""
        if not isinstance(self.name, str) or self.name not in PENALTY_NAMES:
            raise DenoisingError(
                f"The penalty {self.name!r} is not known.",
                f"Use one of {', '.join(PENALTY_NAMES)}.",
            )
        if not (is_number(self.weight) and 0 <= self.weight <= _LARGEST_WEIGHT):
            raise DenoisingError(
                f"The penalty {self.name} cannot have the weight {self.weight!r}.",
                f"Give a number from 0 to {_LARGEST_WEIGHT:g}.",
            )
        if not (is_number(self.target) and 0 < self.target < 1):
            raise DenoisingError(
                f"Code units cannot be active {self.target!r} of the time.",
                "Give a target between 0 and 1, such as 0.05.",
            )
        count = self.projections
        if not (is_whole(count) and 0 <= count <= _MOST_PROJECTIONS):
            raise DenoisingError(
                f"A Jacobian cannot be projected {count!r} times.",
                f"Give a whole number from 0 to {_MOST_PROJECTIONS}.",
            )

        for name in ("weight", "target"):  # numbers of numpy are in no file
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "projections", int(count))

    def __str__(self) -> str:
        """Say it in a few characters: ``sparsity 0.1 (target 0.05)``."""
        more = {
            "sparsity": f" (target {self.target:g})",
            "contractive": f" ({self.projections} projections)" if self.projections else "",
        }
        return f"{self.name} {self.weight:g}{more.get(self.name, '')}"
