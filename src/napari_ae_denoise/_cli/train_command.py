"""The command ``train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import typer

from napari_ae_denoise._cli import options  # noqa: TC001 (typer reads the annotations)
from napari_ae_denoise._cli.terminal import INTERRUPTED, say, stop_on_interrupt

if TYPE_CHECKING:
    from napari_ae_denoise.self_supervision import Scheme
    from napari_ae_denoise.training_noise import NoiseChoice


def train(
    output: options.ModelFile,
    clean: options.Clean = None,
    noisy: options.Noisy = None,
    noisy_again: options.NoisyAgain = None,
    kind: options.Kind = "denoising",
    preset: options.Preset = None,
    depth: options.Depth = None,
    code_channels: options.CodeChannels = None,
    penalty: options.Penalty = None,
    penalty_weight: options.PenaltyWeight = None,
    sparsity_target: options.SparsityTarget = None,
    noise: options.TrainingNoise = "auto",
    sigma: options.SigmaRange = None,
    relative: options.RelativeRange = False,
    epochs: options.Epochs = None,
    steps: options.Steps = None,
    minutes: options.Minutes = None,
    batch_size: options.BatchSize = 8,
    patch_size: options.PatchSize = 64,
    learning_rate: options.LearningRate = None,
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
    from napari_ae_denoise._cli.reports import training_report
    from napari_ae_denoise._cli.train_jobs import TrainingFiles, model_path, train_from_files
    from napari_ae_denoise.settings import TrainSettings

    settings = TrainSettings.of_kind(
        kind,
        preset=preset,
        depth=depth,
        code_channels=code_channels,
        penalty=penalty,
        weight=penalty_weight,
        target=sparsity_target,
        loss=loss,
        **({} if sigma is None else {"sigma": sigma}),
        relative=relative,
        noise=cast("NoiseChoice", noise),
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
    if start is not None:
        _refuse(
            {"--preset": preset, "--depth": depth, "--code-channels": code_channels},
            f"describes a new network, but the training goes on from {start}",
        )
    if noisy or noisy_again:
        _refuse(
            {
                "--noise": None if noise == "auto" else noise,
                "--sigma": sigma,
                "--relative": relative or None,
            },
            "is noise that is added to clean images, but noisy ones are given",
        )
    if clean or noisy_again:
        asked = None if scheme == "auto" else scheme
        _refuse(
            {"--scheme": asked, "--noise-sigma": noise_sigma},
            "is for --noisy images alone, but others are given",
        )
    if relative and sigma is None:
        raise typer.BadParameter(
            "--relative says what --sigma is a fraction of. Give both, such as --sigma 0 0.2."
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


def _refuse(given: dict[str, object], why: str) -> None:
    """Refuse options that would not be used; those that are None are not given."""
    for option, value in given.items():
        if value is not None:
            raise typer.BadParameter(f"{option} {why}. Leave {option} out.")
