"""Files of microscopes that other packages read: who reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from pathlib import Path

# By ending: who writes it, and the package that reads it.
_MICROSCOPES = {
    ".czi": ("Zeiss", "bioio-czi"),
    ".nd2": ("Nikon", "bioio-nd2"),
    ".lif": ("Leica", "bioio-lif"),
    ".dv": ("DeltaVision", "bioio-dv"),
    ".lsm": ("Zeiss LSM", "bioio-tifffile"),
    ".oir": ("Olympus", "bioio-bioformats"),
    ".oib": ("Olympus", "bioio-bioformats"),
    ".vsi": ("Olympus", "bioio-bioformats"),
    ".ims": ("Imaris", "bioio-bioformats"),
}


def refuse_microscope_file(path: Path) -> None:
    """Refuse a file that is known, but not read here.

    Raises
    ------
    DenoisingError
        Names the package and the napari plugin that read it.
    """
    found = _MICROSCOPES.get(path.suffix.lower())
    if found is None:
        return
    maker, package = found
    raise DenoisingError(
        f"{path} is a {maker} file, which is not read here.",
        f"In napari, install the plugins ndevio and {package}, open it and denoise the layer. "
        f"In a script, denoise bioio.BioImage(path).dask_data (pip install bioio {package}). "
        "Or save it as OME-TIFF first.",
    )
