"""Which images go to disk, and where they go."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from napari_ae_denoise import fingerprints
from napari_ae_denoise.done_record import DoneRecord
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.output_names import make_folder
from napari_ae_denoise.storage import is_there
from napari_ae_denoise.units import distances

if TYPE_CHECKING:
    from napari_ae_denoise._qt.layers import Source
    from napari_ae_denoise._qt.results import DenoiseChoices

_SHARE = 0.25  # of the free memory that a result may take


def too_large(image: Any, limit: float) -> bool:
    """Return whether a result goes to disk: above ``limit`` GB, or what memory has room for."""
    size = math.prod(image.shape) * image.dtype.itemsize
    return bool(size > limit * 1e9 or size > _SHARE * psutil.virtual_memory().available)


def folder_for(chosen: str, source_path: str | None) -> Path:
    """Return the folder to write into: the chosen one, that of the image, or a temporary one.

    Raises
    ------
    DenoisingError
        If the chosen one is not there, nor the one that it would be in.
    """
    if chosen:
        if not os.path.isdir(chosen):  # pathlib has no answer where a name is too long
            if not os.path.isdir(os.path.dirname(os.path.abspath(chosen))):
                raise DenoisingError(f"There is no folder {chosen}.", "Choose one that exists.")
            make_folder(Path(chosen))
        return Path(chosen)
    beside = Path(source_path).parent if source_path else None
    if beside is not None and beside.is_dir() and os.access(beside, os.W_OK):
        return beside
    return _temporary()


def _temporary() -> Path:
    """Return a temporary folder of ours, the same each time: people share computers."""
    usual = Path(tempfile.gettempdir()) / "napari-ae-denoise"
    ours = usual.with_name(f"{usual.name}-{os.getuid()}") if os.name == "posix" else usual
    for place in (usual, ours):
        with contextlib.suppress(OSError):
            place.mkdir(exist_ok=True)
            if os.access(place, os.W_OK):
                return place
    return Path(tempfile.mkdtemp(prefix=f"{usual.name}-"))


def place_for(folder: Path, choices: DenoiseChoices, image: str, code: bool) -> Path:
    """Return where a result goes: the same for the same call, another one for another call.

    ``image`` is what tells the image from others. What cannot be continued is left alone.
    """
    source, settings = choices.source, replace(choices.settings, tile="auto", device="auto")
    said = repr((source.axes, tuple(source.image.shape), settings, image))
    mark = hashlib.sha256((said + fingerprints.of_model(choices.denoiser)).encode()).hexdigest()
    plain = re.sub(r"[^\w.+ -]+", "_", source.name).strip(" .")[:80] or "image"
    name = f"{plain} {'latent' if code else 'denoised'} {mark[:6]}"
    numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    return next(filter(_usable, (folder / f"{name}{end}.ome.zarr" for end in numbers)))


def _usable(path: Path) -> bool:
    """Return whether a place is free, or holds a result that says what is done of it."""
    if not is_there(path):
        return True
    try:
        return DoneRecord.load(path) is not None
    except DenoisingError:  # it is damaged
        return False


def placement_of(source: Source) -> dict[str, Any]:
    """Return pixel size, unit and origin of a layer, as image files keep them.

    Along axes without a unit of length or of time nothing is known. A rotation or a shear, which
    files cannot keep, is left out.
    """
    axes = [a for a in source.axes if not (source.rgb and a == "C")]
    scale, translate, units = (
        dict(zip(axes, source.transforms[key], strict=True))
        for key in ("scale", "translate", "units")
    )
    unit = units["X"] if units["X"] != "pixel" else ""
    known = [a for a in axes if a in "ZYX" and unit and units[a] == unit]
    known += ["T"] if units.get("T") == "second" else []
    return {
        "spacing": distances({a: scale[a] for a in known}),  # a mirrored axis has none
        "unit": unit,
        "origin": {a: float(translate[a]) for a in known if translate[a]},
    }
