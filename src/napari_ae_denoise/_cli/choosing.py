"""The model of the command ``denoise``, where none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise._cli.terminal import say
from napari_ae_denoise.file_proposal import file_proposal_steps
from napari_ae_denoise.steps import drain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def fitting_model(paths: Sequence[Path], axes: str | None, level: int) -> str:
    """Return the bundled model that fits the first image that can be read, and say so.

    Raises
    ------
    DenoisingError
        If no image can be read; says why of the first.
    """
    found = drain(file_proposal_steps(paths, axes, level))
    assert found is not None  # nothing stops it
    path, proposal = found
    say(f"note: {path.name}: {proposal.reason}, so {proposal.name} is taken; -m names another.")
    return proposal.name
