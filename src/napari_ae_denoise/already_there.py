"""Which results of a batch are there already, and whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.done_record import FILE_NAME, DoneRecord
from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_ae_denoise.output_names import Outputs


def all_there(targets: Outputs) -> bool:
    """Return whether all that is asked for of an image is there."""
    return all(_whole(target) for target in targets if target is not None)


def _whole(target: Path) -> bool:
    """Return whether a result is there; one with a record of its parts, if that has them all."""
    if not target.exists():
        return False
    if not (target / FILE_NAME).exists():
        return True
    try:
        record = DoneRecord.load(target)
    except DenoisingError:  # damaged
        return False
    return record is not None and record.finished == 1
