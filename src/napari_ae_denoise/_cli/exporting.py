"""The command that writes models for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ae_denoise._cli import options
from napari_ae_denoise._cli.terminal import say
from napari_ae_denoise.output_names import make_folder, refuse_existing

if TYPE_CHECKING:
    from napari_ae_denoise.denoiser import Denoiser


class Target(StrEnum):
    """What a model can be exported to."""

    KERAS = "keras"
    ONNX = "onnx"
    BIOIMAGEIO = "bioimageio"


def export(
    model: options.Exported,
    to: Annotated[Target, typer.Option("--to", help="Program to write for.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="File to write. Keras: .h5 (Keras 2 and 3) or .keras (Keras 3). ONNX: .onnx. "
            "bioimage.io: .zip.",
        ),
    ],
    sample: Annotated[
        Path | None,
        typer.Option("--sample", help="bioimage.io: noisy image for its test and its cover."),
    ] = None,
    author: Annotated[
        list[str] | None,
        typer.Option("--author", help="bioimage.io: name of an author; may be repeated."),
    ] = None,
    licence: Annotated[
        str,
        typer.Option("--licence", help="bioimage.io: SPDX name. Default: that of the model."),
    ] = "",
    overwrite: options.Overwrite = False,
) -> None:
    """Write a model for another program.

    Keras takes networks of style plain without skips, such as classic. How grey values are mapped
    to what the network sees is not in the file, and is printed. ONNX takes any model of this
    package, from grey values to grey values, and so does bioimage.io; docs/other-programs.md says
    how they are used.
    """
    from napari_ae_denoise.denoiser import Denoiser

    if to is not Target.BIOIMAGEIO and (sample is not None or author or licence):
        raise typer.BadParameter("--sample, --author and --licence go with --to bioimageio.")
    refuse_existing(output, overwrite=overwrite)
    denoiser = Denoiser.load(model)
    denoiser.check_own("exported")
    make_folder(output.parent)
    match to:
        case Target.KERAS:
            from napari_ae_denoise.interop.keras_writer import save_keras

            typer.echo(f"wrote {save_keras(denoiser, output).absolute()}")
            typer.echo(f"grey values: {denoiser.card.normalization}")
        case Target.ONNX:
            from napari_ae_denoise.interop.onnx import save_onnx

            typer.echo(f"wrote {save_onnx(denoiser, output).absolute()}")
        case Target.BIOIMAGEIO:
            typer.echo(_package(denoiser, output, sample, author or [], licence))


def _package(
    denoiser: Denoiser, output: Path, sample: Path | None, authors: list[str], licence: str
) -> str:
    """Write a package of bioimage.io; return what to say about it."""
    from napari_ae_denoise.image_files import read_image
    from napari_ae_denoise.interop.bioimageio import save_package
    from napari_ae_denoise.interop.exports import known_authors

    image = None if sample is None else read_image(sample).array
    authors = authors or known_authors(denoiser)
    if not authors:
        say("note: no author is named; --author names one.")
    written = save_package(denoiser, output, sample=image, authors=authors, licence=licence)
    return f"wrote {written.absolute()}"
