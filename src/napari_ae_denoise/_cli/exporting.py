"""The command that writes models for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ae_denoise._cli import options
from napari_ae_denoise._cli.terminal import make_folder, refuse_existing

if TYPE_CHECKING:
    from napari_ae_denoise.denoiser import Denoiser


class Target(StrEnum):
    """What a model can be exported to."""

    KERAS = "keras"
    ONNX = "onnx"


def export(
    model: options.Exported,
    to: Annotated[Target, typer.Option("--to", help="Program to write for.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="File to write. Keras: .h5 (Keras 2 and 3) or .keras (Keras 3). ONNX: .onnx.",
        ),
    ],
    overwrite: options.Overwrite = False,
) -> None:
    """Write a model for another program.

    Keras takes networks of style plain without skips, such as classic. How grey values are mapped
    to what the network sees is not in the file, and is printed. ONNX takes any model, from grey
    values to grey values; docs/other-programs.md says how it is used.
    """
    from napari_ae_denoise.denoiser import Denoiser

    refuse_existing(output, overwrite=overwrite)
    denoiser = Denoiser.load(model)
    make_folder(output.parent)
    typer.echo("\n".join(_write(denoiser, to, output)))


def _write(denoiser: Denoiser, to: Target, output: Path) -> list[str]:
    """Write the file; return what to say about it."""
    match to:
        case Target.KERAS:
            from napari_ae_denoise.interop.keras_writer import save_keras

            written = save_keras(denoiser, output)
            return [f"wrote {written.absolute()}", f"grey values: {denoiser.card.normalization}"]
        case Target.ONNX:
            from napari_ae_denoise.interop.onnx import save_onnx

            return [f"wrote {save_onnx(denoiser, output).absolute()}"]
