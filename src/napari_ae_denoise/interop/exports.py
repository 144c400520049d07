"""Models for other programs, by the ending of the file's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ae_denoise.errors import DenoisingError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_ae_denoise.denoiser import Denoiser

# The endings, and what people call what is written.
FORMATS = {
    ".zip": "bioimage.io package",
    ".onnx": "ONNX",
    ".keras": "Keras 3",
    ".h5": "Keras 2 and 3",
}
_DEVELOPERS = "The napari-ae-denoise developers"


def export_model(denoiser: Denoiser, path: Path) -> Path:
    """Write a denoiser for another program.

    Parameters
    ----------
    denoiser : Denoiser
        Any; Keras takes networks of style ``plain`` without skip connections only.
    path : Path
        Its ending says the program, as in `FORMATS`.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    DenoisingError
        If the ending is another one, the packages for it are missing, the program cannot take the
        network, or the file cannot be written.
    """
    denoiser.check_own("exported")
    match path.suffix.lower():
        case ".zip":
            from napari_ae_denoise.interop.bioimageio import save_package

            return save_package(denoiser, path, authors=known_authors(denoiser))
        case ".onnx":
            from napari_ae_denoise.interop.onnx import save_onnx

            return save_onnx(denoiser, path)
        case ".keras" | ".h5":
            from napari_ae_denoise.interop.keras_writer import save_keras

            return save_keras(denoiser, path)
    endings = ", ".join(f"{ending} ({name})" for ending, name in FORMATS.items())
    raise DenoisingError(
        f'A model cannot be exported with the ending "{path.suffix}".', f"Use one of {endings}."
    )


def known_authors(denoiser: Denoiser) -> list[str]:
    """Return the authors of a model, where they are known: of those that come with the package."""
    from napari_ae_denoise.bundled import bundled_models

    return [_DEVELOPERS] if denoiser.card.name in bundled_models() else []
