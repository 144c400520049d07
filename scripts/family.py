"""Make the pictures of docs/family.md: one for each kind of autoencoder, on Fashion-MNIST.

make family
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from napari_ae_denoise import (
    KINDS,
    Denoiser,
    TrainingData,
    TrainSettings,
    add_gaussian_noise,
    psnr,
    train,
)
from napari_ae_denoise.fashion_mnist import CLASSES, load_fashion_mnist
from napari_ae_denoise.figures import save_figure
from napari_ae_denoise.latent_tools import scatter_coordinates, scatter_figure
from napari_ae_denoise.msda import marginalized_linear

SIGMA = 60.0  # grey values of 255
SHOWN = 12  # images a row
USUAL = {
    "batch_size": 16,
    "patch_size": 28,
    "average": 0.98,  # the trainings are short
    "device": "cpu",
    "precision": "float32",
}


class Gallery:
    """Trains and draws; what a picture is compared with is trained once."""

    def __init__(self, folder: Path, steps: int, count: int) -> None:
        self.folder, self.steps = folder, steps
        folder.mkdir(parents=True, exist_ok=True)
        self.train_images = load_fashion_mnist("train")[0][:count]
        images, labels = load_fashion_mnist("test")
        self.test_images, self.labels = images[:2000], labels[:2000]
        self.clean = self.test_images[:SHOWN]
        self.noisy = add_gaussian_noise(self.clean.astype(np.float32), SIGMA, seed=0)

    def trained(self, kind: str, **options: Any) -> Denoiser:
        """Train a kind, with the noise of the pictures unless the kind has none."""
        if kind not in ("autoencoder", "linear"):
            options = {"sigma": SIGMA, **options}
        dense = options.get("preset", KINDS[kind].preset) == "dense"
        steps = self.steps * (2 if dense else 1)  # its steps are as much shorter
        settings = TrainSettings.of_kind(kind, steps=steps, **{**USUAL, **options})
        denoiser = train(TrainingData(clean=self.train_images, axes="NYX"), settings)
        print(f"{kind} {options}: {denoiser.card.training['seconds']} s", flush=True)
        return denoiser

    def quality(self, images: np.ndarray[Any, Any]) -> str:
        """Return the PSNR of a row."""
        return f"{psnr(self.clean, images, data_range=255, axes='NYX'):.1f} dB"

    def save(self, name: str, figure: Figure) -> None:
        """Save a picture with few colours: small."""
        path = self.folder / f"{name}.png"
        save_figure(figure, path, dpi=100)
        Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)
        print(path, path.stat().st_size // 1024, "KiB", flush=True)

    def rows(self, name: str, rows: dict[str, np.ndarray[Any, Any]], limits=(0, 255)) -> None:
        """Draw rows of images with a word on the left of each."""
        figure = canvas(8.4, 0.62 * len(rows))
        for number, (title, images) in enumerate(rows.items()):
            axes = figure.add_axes((0.2, 1 - (number + 1) / len(rows), 0.8, 1 / len(rows)))
            axes.imshow(strip(images), cmap="gray", vmin=limits[0], vmax=limits[1])
            axes.set_axis_off()
            figure.text(0.195, 1 - (number + 0.5) / len(rows), title, ha="right", va="center",
                        fontsize=8)  # fmt: skip
        self.save(name, figure)

    def before_after(self, name: str, denoiser: Denoiser) -> None:
        """Draw noisy images and what a denoiser makes of them."""
        made = denoiser.denoise(self.noisy, axes="NYX")
        self.rows(
            name,
            {
                f"noisy, {self.quality(self.noisy)}": self.noisy,
                f"{name}, {self.quality(made)}": made,
                "clean": self.clean,
            },
        )


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure in inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def strip(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a stack of images side by side."""
    return np.concatenate([np.asarray(image, np.float32) for image in images], axis=1)


def autoencoder(gallery: Gallery) -> None:
    """Draw images and what comes back from their codes."""
    denoiser = gallery.trained("autoencoder")
    code = denoiser.encode(gallery.clean, axes="NYX")
    back = denoiser.decode(code, like=gallery.clean, axes="NYX")
    parts = {"x": gallery.clean, f"r = g(f(x)), {gallery.quality(back)}": back}
    gallery.rows("autoencoder", parts)


def denoising(gallery: Gallery) -> None:
    """Draw what the usual kind makes of noisy images."""
    gallery.before_after("denoising", gallery.trained("denoising"))


def convolutional(gallery: Gallery) -> None:
    """Draw what the tutorial's network makes of noisy images."""
    gallery.before_after("convolutional", gallery.trained("convolutional"))


def stacked(gallery: Gallery) -> None:
    """Draw what a network makes of noisy images that was pretrained layer by layer."""
    gallery.before_after("stacked", gallery.trained("stacked", depth=2))


def code_sizes(gallery: Gallery) -> None:
    """Draw denoised images by the size of the code."""
    rows = {f"noisy, {gallery.quality(gallery.noisy)}": gallery.noisy}
    for kind, channels in (("under-complete", 2), ("under-complete", 8), ("over-complete", 64)):
        denoiser = gallery.trained(kind, code_channels=channels)
        made = denoiser.denoise(gallery.noisy, axes="NYX")
        rows[f"{denoiser.network.code_ratio:g} a pixel, {gallery.quality(made)}"] = made
    gallery.rows("code-size", rows)


def dense(gallery: Gallery) -> None:
    """Draw what a fully-connected network makes, and a scatter of its codes."""
    denoiser = gallery.trained("fully-connected")
    gallery.before_after("fully-connected", denoiser)
    code = denoiser.encode(gallery.test_images, axes="NYX")
    title = "codes of 2,000 images, by label"
    gallery.save(
        "scatter",
        scatter_figure(
            scatter_coordinates(code), [CLASSES[n] for n in gallery.labels], title=title
        ),
    )


def linear(gallery: Gallery) -> None:
    """Draw what a linear code spans, beside the principal components."""
    denoiser = gallery.trained("linear", code_channels=SHOWN, batch_size=64)
    decoder = decoder_images(denoiser)
    flat = gallery.train_images.reshape(len(gallery.train_images), -1).astype(np.float64)
    components = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)[2][:SHOWN]
    base = np.linalg.qr(decoder.reshape(SHOWN, -1).T)[0]
    shared = np.linalg.svd(base.T @ components.T)[1]
    print("cosines of the angles between the two subspaces:", shared.round(3))
    inside = (components @ base) @ base.T
    gallery.rows(
        "linear",
        {
            "decoder's weights": scaled(decoder),
            "principal components": scaled(components.reshape(-1, 28, 28)),
            "the same, from the weights": scaled(inside.reshape(-1, 28, 28)),
        },
        limits=(-1, 1),
    )


def decoder_images(denoiser: Denoiser) -> np.ndarray[Any, Any]:
    """Return what one unit of a fully-connected linear code makes, each as an image."""
    units = denoiser.network.spec.code_width
    with torch.inference_mode():
        zero = denoiser.network.decode(torch.zeros(1, units, 1, 1))
        made = denoiser.network.decode(torch.eye(units)[:, :, None, None]) - zero
    return made[:, 0].numpy()


def scaled(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return images each scaled to -1 to 1."""
    return images / np.abs(images).max(axis=(1, 2), keepdims=True)


def regularized(gallery: Gallery) -> None:
    """Draw weights of the first layer with and without their penalty."""
    rows = {}
    for name, weight in (("none", 0.0), ("weights-l2", 3e-5), ("weights-l1", 3e-6)):
        penalty = {"penalty": None if name == "none" else name, "weight": weight}
        denoiser = gallery.trained("regularized", preset="dense", **penalty)
        weights = first_layer(denoiser)
        strongest = np.argsort(-np.square(weights).sum(axis=(1, 2)))[:SHOWN]
        share = np.mean(np.abs(weights) < 1e-3)
        rows[f"{name}, {share:.0%} near 0"] = scaled(weights[strongest])
    gallery.rows("regularized", rows, limits=(-1, 1))


def first_layer(denoiser: Denoiser) -> np.ndarray[Any, Any]:
    """Return the weights of the first layer of a fully-connected network, as images."""
    return denoiser.network.features[0][0].weight.detach().numpy().reshape(-1, 28, 28)


def sparse(gallery: Gallery) -> None:
    """Draw how active each code unit is, with and without the penalty."""
    figure = canvas(6.4, 2.8)
    axes = figure.add_axes((0.1, 0.18, 0.88, 0.78))
    for weight in (0.0, 1e-1):
        denoiser = gallery.trained("sparse", preset="dense", code_channels=64, weight=weight)
        code = denoiser.encode(gallery.test_images, axes="NYX")
        active = np.sort(code.mean(axis=(1, 2, 3)))[::-1]
        axes.plot(active, label=f"weight {weight:g}")
    axes.axhline(0.05, color="0.6", linewidth=0.8, linestyle="--", label="target 0.05")
    axes.set_xlabel("code unit, the most active first")
    axes.set_ylabel("mean activity")
    axes.legend(fontsize=8)
    gallery.save("sparse", figure)


def variational(gallery: Gallery) -> None:
    """Draw images from the code's Gaussian, and the codes of the test images."""
    denoiser = gallery.trained(
        "variational", preset="dense", sigma=0.0, code_channels=8, weight=5e-2
    )
    drawn = denoiser.sample(3 * SHOWN, seed=1)
    gallery.rows(
        "variational",
        {
            f"drawn, {first + 1} to {first + SHOWN}": drawn[first : first + SHOWN]
            for first in range(0, len(drawn), SHOWN)
        },
        limits=(0, 1),
    )
    mean = denoiser.encode(gallery.test_images, axes="NYX")
    variance = denoiser.encode_variance(gallery.test_images, axes="NYX")
    spread = np.sqrt(mean.var(axis=(1, 2, 3)) + variance.mean(axis=(1, 2, 3)))
    print("standard deviation of each unit over all images:", spread.round(2))
    title = "mean codes of 2,000 images, by label"
    gallery.save(
        "variational-scatter",
        scatter_figure(
            scatter_coordinates(mean), [CLASSES[n] for n in gallery.labels], title=title
        ),
    )


def contractive(gallery: Gallery) -> None:
    """Draw how far the code moves with the image, with and without the penalty."""
    figure = canvas(6.4, 2.8)
    axes = figure.add_axes((0.1, 0.18, 0.88, 0.78))
    sigmas = np.linspace(0, 100, 11)
    for weight in (0.0, 1e-1):
        options = {"preset": "dense", "weight": weight, "sigma": 0.0, "code_channels": 16}
        denoiser = gallery.trained("contractive", **options)
        clean = gallery.test_images[:200].astype(np.float32)
        code = denoiser.encode(clean, axes="NYX")
        size = np.sqrt(np.square(code - code.mean(axis=1, keepdims=True)).mean())
        moved = []
        for sigma in sigmas:
            noisy = clean if sigma == 0 else add_gaussian_noise(clean, sigma, seed=2)
            other = encode_as(denoiser, clean, noisy)
            moved.append(np.sqrt(np.square(other - code).mean()) / size)
        axes.plot(sigmas, moved, label=f"weight {weight:g}")
    axes.set_xlabel("sigma of the noise (grey values of 255)")
    axes.set_ylabel("change of the code / its spread")
    axes.legend(fontsize=8)
    gallery.save("contractive", figure)


def encode_as(
    denoiser: Denoiser, clean: np.ndarray[Any, Any], noisy: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Return the code of noisy images whose grey values are mapped as the clean ones' are."""
    (grey_map,) = denoiser.resolve(clean, "NYX").maps
    batch = torch.from_numpy(grey_map.apply(noisy))[:, None]
    with torch.inference_mode():
        return denoiser.network.encode(batch).movedim(1, 0).numpy()


def marginalized(gallery: Gallery) -> None:
    """Draw what networks that never saw noise make of it, and the closed-form linear map."""
    rows = {f"noisy, {gallery.quality(gallery.noisy)}": gallery.noisy}
    plain = gallery.trained("autoencoder", preset="dense", code_channels=64)
    made = plain.denoise(gallery.noisy, axes="NYX")
    rows[f"autoencoder, {gallery.quality(made)}"] = made
    denoiser = gallery.trained("marginalized", preset="dense", code_channels=64)
    made = denoiser.denoise(gallery.noisy, axes="NYX")
    rows[f"marginalized, {gallery.quality(made)}"] = made
    flat = gallery.train_images.reshape(len(gallery.train_images), -1)
    mapping = marginalized_linear(flat, sigma=SIGMA)
    made = mapping(gallery.noisy.reshape(SHOWN, -1)).reshape(gallery.noisy.shape)
    rows[f"linear, closed form, {gallery.quality(made.astype(np.float32))}"] = made
    gallery.rows("marginalized", rows)


PICTURES = {
    one.__name__: one
    for one in (
        autoencoder,
        denoising,
        convolutional,
        stacked,
        code_sizes,
        dense,
        linear,
        regularized,
        sparse,
        variational,
        contractive,
        marginalized,
    )
}


def main() -> None:
    """Draw all pictures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], help="default: all")
    parser.add_argument("--steps", type=int, default=1000, help="of each convolutional training")
    parser.add_argument("--images", type=int, default=6000, help="to train on")
    args = parser.parse_args()
    gallery = Gallery(args.folder, args.steps, args.images)
    for name in args.names or PICTURES:
        PICTURES[name](gallery)


if __name__ == "__main__":
    main()
