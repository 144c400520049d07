"""The command line: ``napari-ae-denoise demo | noise | train | denoise | encode | compare | info``.

Commands read files, call the core and write files. Their heavy imports are inside them, so that
``--help`` answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from napari_ae_denoise._cli import options
from napari_ae_denoise._cli.terminal import (
    INTERRUPTED,
    PROGRAM,
    Batch,
    Commands,
    ManyPaths,
    make_folder,
    output_paths,
    refuse_existing,
    say,
    stop_on_interrupt,
)
from napari_ae_denoise.image_files import check_exists, find_images

if TYPE_CHECKING:
    from napari_ae_denoise.self_supervision import Scheme

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

    if output is not None:
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
    sigma: options.Sigma,
    relative: options.RelativeNoise = False,
    mean: options.Mean = 0.0,
    clip: options.Clip = False,
    seed: options.NoiseSeed = 0,
    axes: options.Axes = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Add Gaussian noise to images.

    Integers are rounded and clipped to what their type holds.
    """
    from napari_ae_denoise._cli.jobs import add_noise_to
    from napari_ae_denoise.noise_cells import check_noise

    check_noise(sigma, mean)
    batch = Batch(find_images(images))
    targets = output_paths(batch.paths, output, overwrite=overwrite)
    for number, (path, target) in enumerate(zip(batch, targets, strict=True)):
        how = {"mean": mean, "relative": relative, "clip": clip, "seed": seed + number}
        with batch.one(path):
            add_noise_to(path, target, sigma, axes, **how)
    batch.end()


@app.command(cls=ManyPaths)
def train(
    output: options.ModelFile,
    clean: options.Clean = None,
    noisy: options.Noisy = None,
    noisy_again: options.NoisyAgain = None,
    preset: options.Preset = "residual",
    sigma: options.SigmaRange = (0.0, 50.0),
    relative: options.RelativeRange = False,
    epochs: options.Epochs = None,
    steps: options.Steps = None,
    minutes: options.Minutes = None,
    batch_size: options.BatchSize = 8,
    patch_size: options.PatchSize = 64,
    learning_rate: options.LearningRate = 2e-3,
    loss: options.Loss = "mse",
    scheme: options.Scheme = "auto",
    noise_sigma: options.NoiseSigma = None,
    seed: options.TrainingSeed = 0,
    device: options.Device = "auto",
    axes: options.Axes = None,
    start: options.Start = None,
    checkpoint: options.Checkpoint = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Train a denoiser on images.

    Give --clean images, to which noise is added; or --clean and --noisy ones; or --noisy ones
    alone; or --noisy and --noisy-again ones, two of each thing.

    Ctrl-C stops it and saves the best weights so far.
    """
    if not (clean or noisy or noisy_again):
        raise typer.BadParameter(
            "Give --clean, --noisy, --clean and --noisy, or --noisy and --noisy-again."
        )
    from napari_ae_denoise._cli.jobs import TrainingFiles, model_path, train_from_files
    from napari_ae_denoise._cli.reports import training_report
    from napari_ae_denoise.objectives import Objective
    from napari_ae_denoise.settings import TrainSettings

    settings = TrainSettings(
        preset=preset,
        objective=Objective(loss),
        sigma=sigma,
        relative=relative,
        epochs=epochs,
        steps=steps,
        minutes=minutes,
        batch_size=batch_size,
        patch_size=patch_size,
        learning_rate=learning_rate,
        scheme=cast("Scheme", scheme),
        noise_sigma=noise_sigma,
        seed=seed,
        device=device,
        name=output.stem,
    )
    files = TrainingFiles(clean, noisy, noisy_again, axes, start, checkpoint)
    target = model_path(output, files, overwrite=overwrite)
    with stop_on_interrupt() as stop:
        denoiser = train_from_files(files, settings, stop)
    if denoiser is None:
        say("Stopped before the first step: there is nothing to save.")
        raise typer.Exit(INTERRUPTED)
    denoiser.save(target)
    typer.echo("\n".join(training_report(denoiser, target)))
    if stop.is_set():
        raise typer.Exit(INTERRUPTED)


@app.command()
def denoise(
    images: options.Images,
    output: options.Output,
    model: options.ModelName,
    axes: options.Axes = None,
    tile: options.Tile = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    strength: options.Strength = 1.0,
    dtype: options.NumberType = None,
    level: options.Level = 0,
    latent: options.Latent = None,
    removed: options.Removed = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Denoise images.

    Their size, type, axes and pixel size stay. From zarr to zarr they go tile by tile, whatever
    their size; after Ctrl-C or a crash the same command goes on where it was.
    """
    from napari_ae_denoise._cli.jobs import denoise_file, number_type, resolve_outputs
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.tile_runner import PredictSettings

    settings = PredictSettings(
        "auto" if tile is None else tile, device, precision, strength, number_type(dtype)
    )
    batch = Batch(find_images(images))
    denoiser = Denoiser.load(model)
    outputs = resolve_outputs(batch.paths, output, latent, removed, overwrite=overwrite)
    for path, targets in zip(batch, outputs, strict=True):
        with batch.one(path):
            denoise_file(denoiser, path, targets, axes, settings, level, overwrite=overwrite)
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
    overwrite: options.Overwrite = False,
) -> None:
    """Write the latent code of an image.

    It has the axes (code channels, stack axes, Y/stride, X/stride), float32.
    """
    from napari_ae_denoise._cli.jobs import encode_file
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.tile_runner import PredictSettings

    check_exists(image)
    settings = PredictSettings("auto" if tile is None else tile, device, precision)
    denoiser = Denoiser.load(model)
    (target,) = output_paths([image], output, overwrite=overwrite, ending="_latent.tif")
    encode_file(denoiser, image, target, axes, settings)


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


def run() -> None:
    """Run the command line; the entry point of ``napari-ae-denoise``."""
    app()


if __name__ == "__main__":
    run()
