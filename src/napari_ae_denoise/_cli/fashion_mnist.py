"""The command that goes through the classic tutorial: clothes of Fashion-MNIST, denoised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import typer

from napari_ae_denoise._cli import options
from napari_ae_denoise._cli.terminal import INTERRUPTED, say, stop_on_interrupt
from napari_ae_denoise.output_names import make_folder, refuse_existing

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_ae_denoise.training import Progress
    from napari_ae_denoise.tutorial import Examples, Network, Optimizer

FOLDER = Path("fashion-mnist-output")
NAMES = ("noisy.png", "loss.png", "pairs.png", "autoencoder.safetensors")
_ROW, _PAIRS = 10, 20  # images in the pictures
_POINTS = 1000  # of the loss curve


def fashion_mnist(
    output: options.ResultFolder = FOLDER,
    as_tutorial: options.AsTutorial = False,
    network: options.TutorialNetwork = "classic",
    optimizer: options.TutorialOptimizer = None,
    epochs: options.TutorialEpochs = 100,
    seed: options.TrainingSeed = 0,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
) -> None:
    """Go through the classic tutorial.

    Trains an autoencoder on Fashion-MNIST under strong noise, and writes pictures of the noisy
    images, of pairs of noisy and denoised ones, and of the loss; the model; and how good it is.

    Ctrl-C stops the training, and goes on with the best weights so far.
    """
    from napari_ae_denoise import tutorial
    from napari_ae_denoise._cli.train_jobs import with_training_bar
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.fashion_mnist import fetch_fashion_mnist
    from napari_ae_denoise.figures import image_row, loss_curve, pair_grid, save_figure

    row, curve, pairs, model = (output / name for name in NAMES)
    for path in (row, curve, pairs, model):
        refuse_existing(path, overwrite=overwrite)
    settings = tutorial.training_settings(
        as_tutorial=as_tutorial,
        network=cast("Network", network),
        optimizer=cast("Optimizer | None", optimizer),
        epochs=epochs,
        seed=seed,
        device=device,
    )
    fetch_fashion_mnist(lambda name: say(f"Downloading {name} ..."))
    shown = tutorial.examples()
    data = tutorial.training_data(as_tutorial=as_tutorial, seed=seed)
    make_folder(output)
    save_figure(image_row(shown.noisy[:_ROW], limits=(0, 1)), row)
    typer.echo(f"wrote {row}")
    spec = settings.network_spec(data)
    typer.echo("\n".join(tutorial.layer_summary(spec)))

    seen: list[Progress] = []
    with stop_on_interrupt() as stop:
        steps = tutorial.tutorial_steps(data, settings, stop=stop)
        denoiser = with_training_bar(steps, seen.append)
    if not seen:
        say("Stopped before the first step: there is nothing to save.")
        raise typer.Exit(INTERRUPTED)
    denoiser.save(model)
    losses, numbers = _thinned([p.loss for p in seen]), _thinned([p.step for p in seen])
    rated = {p.step: p.validation_psnr for p in seen if np.isfinite(p.validation_psnr)}
    save_figure(loss_curve(list(numbers), list(losses), _last_of_each(rated)), curve)

    denoised = Denoiser.load(model).denoise(shown.noisy, axes="NYX", device=device)
    figure = pair_grid(shown.noisy[:_PAIRS], denoised[:_PAIRS], columns=_ROW, limits=(0, 1))
    save_figure(figure, pairs)
    typer.echo("\n".join([f"wrote {path}" for path in (model, curve, pairs)]))
    typer.echo("\n".join(_table(shown, denoised)))
    if stop.is_set():
        raise typer.Exit(INTERRUPTED)


def _thinned(values: list[float]) -> npt.NDArray[np.float64]:
    """Return the means of many values in a row, few enough for a picture."""
    parts = np.array_split(np.asarray(values, np.float64), min(len(values), _POINTS))
    return np.array([part.mean() for part in parts])


def _last_of_each(rated: dict[int, float]) -> dict[int, float]:
    """Return the steps at which the validation changed; each value stands until the next."""
    steps = list(rated)
    return {
        step: rated[step]
        for before, step in zip([None, *steps], steps, strict=False)
        if before is None or rated[before] != rated[step]
    }


def _table(shown: Examples, denoised: npt.NDArray[Any]) -> list[str]:
    from napari_ae_denoise.metrics import compare_steps
    from napari_ae_denoise.steps import drain

    lines = [f"{len(shown.clean):,} test images    MSE  PSNR (dB)    SSIM"]
    for name, images in (("noisy", shown.noisy), ("denoised", denoised)):
        error = float(np.mean((images.astype(np.float64) - shown.clean) ** 2))
        near = drain(compare_steps(shown.clean, images, data_range=1.0, axes="NYX"))
        lines.append(f"{name:<18}  {error:.5f}  {near.psnr:>9.2f}  {near.ssim:>6.4f}")
    return lines
