"""How an image was seen where a result was begun: kept in its record, and gone on with.

What is estimated from an image may come out otherwise at another time: of an array in memory all
of its range is known, of a lazy one that of a sample. So a result that is continued takes the
estimates of its beginning; it would be of two halves else.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_ae_denoise import __version__
from napari_ae_denoise.camera_noise import CameraNoise, StabilizedMap
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import GreyMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ae_denoise.done_record import DoneRecord
    from napari_ae_denoise.grey_map import ValueMap
    from napari_ae_denoise.resolving import Resolved

_STEPS = (1, 2)  # pixels whose noise is seen apart: see `steps_for`


def notes_of(seen: Resolved) -> dict[str, Any]:
    """Return what a record notes of how an image is seen, as json gives it back."""
    return {
        "normalization": list(seen.normalization),
        "steps": [int(step) for step in seen.steps],
        "remarks": list(seen.remarks),
        "warnings": list(seen.warnings),
    }


def as_begun(seen: Resolved, record: DoneRecord) -> Resolved:
    """Return how the image was seen where a result of it was begun.

    Parameters
    ----------
    seen : Resolved
        How the image is seen now.
    record : DoneRecord
        Of the result; of the same image, model and settings.

    Returns
    -------
    Resolved
        With maps, steps, remarks and warnings of the record, and a warning where another version
        began it.

    Raises
    ------
    DenoisingError
        If the record says what cannot be. Or if it is of an earlier version, which noted less:
        the grey values are mapped otherwise by now, and parts of the result are missing.
    """
    notes = record.notes
    if "steps" not in notes:  # an earlier version's: the maps tell whether all was seen the same
        if record.finished < 1 and notes.get("normalization") != list(seen.normalization):
            raise DenoisingError(
                f"{record.folder} holds a result ({record.finished:.0%} of it) that an earlier "
                "version began, and that mapped the image's grey values otherwise "
                f"({notes.get('normalization')!s:.200}, now {list(seen.normalization)!s:.200}).",
                "Give the image as it was given then (in memory, or dask), choose another output, "
                "or overwrite this one.",
            )
        began = seen
    else:
        try:
            maps = [_map_of(told) for told in notes["normalization"]]
            y, x = notes["steps"]
            if not {y, x} <= set(_STEPS) or len(maps) != len(seen.maps):
                raise ValueError(f"{len(maps)} grey maps, steps {y} and {x}")
            remarks, warnings = (tuple(map(str, notes[n])) for n in ("remarks", "warnings"))
        except (DenoisingError, LookupError, TypeError, ValueError) as error:
            raise record.unusable(f"how it saw the image is damaged ({error})") from error
        began = replace(seen, maps=maps, steps=(y, x), remarks=remarks, warnings=warnings)
    before = notes.get("version", __version__)
    if record.finished < 1 and before != __version__:
        said = f"The result was begun by version {before}; the rest is made by {__version__}."
        began = replace(began, warnings=(*began.warnings, said))
    return began


def _map_of(told: Mapping[str, Any]) -> ValueMap:
    """Return the map of its record, as `ValueMap.to_record` gives it."""
    if "camera" in told:
        camera = CameraNoise(**told["camera"])
        return StabilizedMap(camera, _affine(told["affine"]), float(told["fill"]))
    return _affine(told)


def _affine(told: Mapping[str, Any]) -> GreyMap:
    found = GreyMap(**{name: float(value) for name, value in dict(told).items()})
    if not (all(map(math.isfinite, (found.offset, found.scale))) and found.scale > 0):
        raise ValueError(f"{found} cannot be undone")
    return found
