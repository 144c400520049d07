"""What is remembered from session to session: what forms said last, and models used last."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.errors import DenoisingError, plain_text
from napari_ae_denoise.storage import replacing
from napari_ae_denoise.training_data import kind_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_ae_denoise.card import Card

_MOST_MODELS = 8
_LARGEST = 2**20  # bytes of the file
_LONGEST = 500  # characters of a text in it
_one_at_a_time = threading.Lock()  # models are opened in threads


@dataclass(frozen=True, slots=True)
class UsedModel:
    """A model file that was opened or saved.

    Parameters
    ----------
    path : str
        Of the file.
    name : str
        Of the model.
    trained_on : str
        What its card says of its training data, in words; may be empty.
    created : str
        The day that it was made, ISO 8601; may be empty.
    """

    path: str
    name: str
    trained_on: str = ""
    created: str = ""

    @classmethod
    def of_card(cls, path: str, name: str, card: Card) -> UsedModel:
        """Return what is remembered of a model in a file."""
        return cls(path, name, kind_in_words(card.data_kind), card.created[:10])

    def __str__(self) -> str:
        """Return name, training data and day, for people."""
        trained = f"trained on {self.trained_on}" if self.trained_on else ""
        about = ", ".join(part for part in (trained, self.created) if part)
        return f"{self.name} ({about})" if about else self.name


class SessionMemory:
    """A small file of json; nothing of it is needed, so that what is wrong in it is left out.

    Parameters
    ----------
    path : Path
        Of the file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def form(self, panel: str) -> dict[str, Any]:
        """Return what the form of a panel said last: flags, finite numbers and texts by name."""
        with _one_at_a_time:  # Windows replaces no file that is being read
            forms = self._read().get("forms")
        said = forms.get(panel) if isinstance(forms, dict) else None
        return {k: v for k, v in said.items() if _plain(v)} if isinstance(said, dict) else {}

    def keep_form(self, panel: str, values: Mapping[str, Any]) -> None:
        """Remember what the form of a panel says; a file that cannot be written is no error."""
        with _one_at_a_time:
            record = self._read()
            forms = record.get("forms")
            forms = forms if isinstance(forms, dict) else {}
            forms[panel] = {name: value for name, value in values.items() if _plain(value)}
            self._write({**record, "forms": forms})

    def models(self) -> list[UsedModel]:
        """Return the model files that were used, the last one first."""
        with _one_at_a_time:
            return _models(self._read())

    def keep_model(self, model: UsedModel) -> None:
        """Remember a model file as the one that was used last."""
        with _one_at_a_time:
            record = self._read()
            others = [one for one in _models(record) if one.path != model.path]
            kept = [asdict(one) for one in [model, *others][:_MOST_MODELS]]
            self._write({**record, "models": kept})

    def _read(self) -> dict[str, Any]:
        try:
            if self._path.stat().st_size > _LARGEST:
                return {}
            record = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}

    def _write(self, record: dict[str, Any]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
        except (OSError, DenoisingError):
            return


def _models(record: dict[str, Any]) -> list[UsedModel]:
    kept = record.get("models")
    made = []
    for one in kept if isinstance(kept, list) else []:
        try:
            model = UsedModel(**{name: plain_text(text[:_LONGEST]) for name, text in one.items()})
        except (TypeError, AttributeError):
            continue
        if model.path and model.name:
            made.append(model)
    return made[:_MOST_MODELS]


def _plain(value: Any) -> bool:
    """Return whether a value is a flag, a finite number or a short text."""
    if isinstance(value, str):
        return len(value) <= _LONGEST
    return isinstance(value, bool | int | float) and math.isfinite(value)
