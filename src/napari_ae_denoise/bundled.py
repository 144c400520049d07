"""The models that come with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_ae_denoise.card import Card
from napari_ae_denoise.model_file import SUFFIX, opened_model

if TYPE_CHECKING:
    from collections.abc import Mapping


def bundled_models() -> Mapping[str, Card]:
    """Return the cards of the models that come with the package, by name."""
    cards = {}
    for name, path in bundled_files().items():
        with opened_model(path) as model:
            cards[name] = Card.from_record(model.card)
    return MappingProxyType(cards)


def bundled_names() -> list[str]:
    """Return the names of the bundled models; no file is opened."""
    return list(bundled_files())


def bundled_files() -> dict[str, Path]:
    """Return the files of the bundled models by name."""
    folder = Path(str(files("napari_ae_denoise") / "models"))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}
