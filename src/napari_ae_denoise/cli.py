"""The command line: ``napari-ae-denoise demo | noise | train | denoise | encode | compare | info``.

Also ``replay``, ``export`` and ``fashion-mnist``, which have files of their own. Commands read
files, call the core and write files. Heavy imports are inside them, so that ``--help`` answers at
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from napari_ae_denoise._cli import options
from napari_ae_denoise._cli.exporting import export
from napari_ae_denoise._cli.fashion_mnist import fashion_mnist
from napari_ae_denoise._cli.replaying import replay
from napari_ae_denoise._cli.terminal import (
    PROGRAM,
    Batch,
    Commands,
    ManyPaths,
    say,
)
from napari_ae_denoise._cli.train_command import train
from napari_ae_denoise.image_files import check_exists, find_images
from napari_ae_denoise.output_names import (
    make_folder,
    output_paths,
    refuse_existing,
    resolve_outputs,
)

if TYPE_CHECKING:
    from napari_ae_denoise.noise_correlation import Correlated
    from napari_ae_denoise.resolving import NoiseModel

app = typer.Typer(
    name=PROGRAM,
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        from napari_ae_denoise import __version__

        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Denoise images with convolutional autoencoders.

    Images are .tif, .png, .jpg and .npy files, and .zarr folders.
    """


@app.command()
def demo(
    seconds: options.Seconds = 40.0,
    output: options.Picture = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
) -> None:
    """Show a denoised micrograph in napari.

    A small network is trained for it on the spot, on clean and noisy images of the other half of
    the micrograph. Without a display the same picture is written to demo-output/denoised.png.
    """
    from napari_ae_denoise._cli.display import why_no_window
    from napari_ae_denoise._cli.jobs import DEMO_PICTURE, run_demo, save_picture
    from napari_ae_denoise.figures import picture_kind

    if output is not None:
        picture_kind(output)
        refuse_existing(output, overwrite=overwrite)
        make_folder(output.parent)
    no_window = why_no_window()
    shown = run_demo(seconds, device)
    typer.echo(
        f"PSNR against the clean image: noisy {shown.noisy_psnr:.1f} dB, "
        f"denoised {shown.denoised_psnr:.1f} dB"
    )
    if no_window:
        say(f"note: {no_window} The picture goes to a file instead.")
    if output is not None or no_window:
        path = output or DEMO_PICTURE
        save_picture(shown, path)
        typer.echo(f"wrote {path.absolute()}")
    if not no_window:
        from napari_ae_denoise._qt.demo import show_demo

        show_demo(shown)


@app.command()
def noise(
    images: options.Images,
    output: options.Output,
    sigma: options.Sigma = None,
    relative: options.RelativeNoise = False,
    mean: options.Mean = 0.0,
    gain: options.Gain = None,
    offset: options.Offset = 0.0,
    read_noise: options.ReadNoise = 0.0,
    clip: options.Clip = False,
    seed: options.NoiseSeed = 0,
    axes: options.Axes = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Add Gaussian noise (--sigma) or camera noise (--gain) to images.

    Integers are rounded and clipped to what their type holds.
    """
    from napari_ae_denoise._cli.jobs import add_noise_to, noise_law

    law = noise_law(sigma, mean, relative, gain, offset, read_noise)
    batch = Batch(find_images(images))
    targets = output_paths(batch.paths, output, overwrite=overwrite)
    for number, (path, target) in enumerate(zip(batch, targets, strict=True)):
        with batch.one(path):
            add_noise_to(path, target, law, axes, clip=clip, seed=seed + number)
    batch.end()


app.command(cls=ManyPaths)(train)


@app.command()
def denoise(
    images: options.Images,
    output: options.Output,
    model: options.ModelOrFitting = None,
    axes: options.Axes = None,
    tile: options.Tile = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    strength: options.Strength = 1.0,
    dtype: options.NumberType = None,
    noise_model: options.NoiseModelName = "auto",
    correlated: options.CorrelatedAxes = "auto",
    orientations: options.Orientations = 1,
    level: options.Level = 0,
    latent: options.Latent = None,
    removed: options.Removed = None,
    jobs: options.Jobs = 1,
    scheduler: options.Scheduler = None,
    report: options.Report = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
) -> None:
    """Denoise images: files, folders, patterns.

    One that fails is reported, the rest goes on, and the exit code is 1. Their size, type, axes and
    pixel size stay. From zarr to zarr they go tile by tile, whatever their size; after Ctrl-C or a
    crash the same command goes on where it was.
    """
    from napari_ae_denoise._cli.batch import run_batch
    from napari_ae_denoise._cli.choosing import fitting_model
    from napari_ae_denoise._cli.jobs import number_type
    from napari_ae_denoise.batch_report import check_report, write_report
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.devices import choose_device, choose_precision
    from napari_ae_denoise.file_jobs import Work
    from napari_ae_denoise.resolving import check_ways
    from napari_ae_denoise.tile_runner import PredictSettings

    if scheduler is not None and jobs > 1:
        raise typer.BadParameter("Give --jobs (here) or --scheduler (on a cluster), not both.")
    if overwrite and skip_existing:
        raise typer.BadParameter("Give --overwrite or --skip-existing, not both.")
    settings = PredictSettings(
        "auto" if tile is None else tile,
        device,
        precision,
        strength,
        number_type(dtype),
        noise_model=cast("NoiseModel", noise_model),
        correlated=cast("Correlated", correlated),
        orientations=orientations,
    )
    if scheduler is None:  # said once, and not of each image
        choose_precision(choose_device(device), precision)
    check_ways(noise_model, correlated)
    batch = Batch(find_images(images))
    model = model or fitting_model(batch.paths, axes, level)
    denoiser = Denoiser.load(model)
    replacing = overwrite or skip_existing  # of an image that lacks one, all are made anew
    outputs = resolve_outputs(batch.paths, output, latent, removed, overwrite=replacing)
    if report is not None:
        check_report(report, overwrite=replacing)
    work = Work(model, axes, settings, level, replacing, skip_existing)
    outcomes = run_batch(denoiser, batch, outputs, work, jobs, scheduler)
    if report is not None:
        write_report(report, outcomes, denoiser.card.name, axes=axes, level=level)
        typer.echo(f"wrote {report.absolute()}")
    batch.end()


@app.command()
def encode(
    image: options.Image,
    output: options.CodeFile,
    model: options.ModelName,
    axes: options.Axes = None,
    tile: options.Tile = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    noise_model: options.NoiseModelName = "auto",
    correlated: options.CorrelatedAxes = "auto",
    overwrite: options.Overwrite = False,
) -> None:
    """Write the latent code of an image.

    It is float32, with the axes (code channels, stack axes, Y/stride, X/stride) in .npy and .zarr;
    other formats have an order of their own, and say it. From zarr to zarr it goes tile by tile;
    after Ctrl-C or a crash the same command goes on where it was.
    """
    from napari_ae_denoise._cli.jobs import encode_file
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.tile_runner import PredictSettings

    check_exists(image)
    settings = PredictSettings(
        "auto" if tile is None else tile,
        device,
        precision,
        noise_model=cast("NoiseModel", noise_model),
        correlated=cast("Correlated", correlated),
    )
    denoiser = Denoiser.load(model)
    (target,) = output_paths(
        [image], output, overwrite=overwrite, ending="_latent.tif", unfinished=True
    )
    encode_file(denoiser, image, target, axes, settings, overwrite=overwrite)


@app.command()
def compare(
    reference: options.Reference,
    images: options.Compared,
    data_range: options.DataRange = None,
    axes: options.Axes = None,
) -> None:
    """Compare images with a reference.

    Prints a table of PSNR (dB) and SSIM.
    """
    from napari_ae_denoise._cli.reports import ComparisonTable

    batch = Batch(find_images(images))
    table = ComparisonTable(reference, batch.paths, axes, data_range)
    typer.echo(table.head())
    for path in batch:
        with batch.one(path):
            typer.echo(table.row(path))
    batch.end()


@app.command()
def info(model: options.Described = None) -> None:
    """Describe a model, or what there is here.

    Without a model: versions, devices and the bundled models.
    """
    from napari_ae_denoise._cli.reports import model_report, system_report

    if model is None:
        typer.echo("\n".join(system_report()))
        return
    from napari_ae_denoise.denoiser import Denoiser

    typer.echo("\n".join(model_report(Denoiser.load(model))))


app.command()(replay)
app.command()(export)
app.command()(fashion_mnist)


def run() -> None:
    """Run the command line; the entry point of ``napari-ae-denoise``."""
    app()


if __name__ == "__main__":
    run()
