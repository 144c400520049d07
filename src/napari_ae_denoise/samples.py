"""Sample images: a real micrograph; a photograph and a z-stack with noise of known kinds.

The micrograph ships with the package. The others are made from pictures inside scikit-image's
wheel, by fixed seeds. So nothing is downloaded and everyone sees the same. The last functions wrap
them as napari's layer data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LayerData = tuple[Any, dict[str, Any], str]

PHOTOGRAPH_SIGMA = 25.0  # grey values of 255
PIXEL_SIZE = 0.5  # micrometers, nominal: what a slide scanner has at 20x
STACK_SCALE = (1.0, PIXEL_SIZE, PIXEL_SIZE)  # micrometers along Z, Y and X, nominal

_PHOTONS = 25.0  # of a pixel in the brightest nuclei
_GAIN = 12.0  # grey values a photon
_CAMERA_OFFSET = 100.0  # grey values
_READ_NOISE = 18.0  # grey values
_OPTICS = 1.0  # pixels: blur of the microscope in focus (sigma)
_STACK_PLANES = 24
_LAYERS = ((5, 0, 0, 0), (12, 0, 256, 1), (18, 256, 0, 2))  # plane, first row, column, turns
_DEFOCUS = 0.8  # pixels of blur (sigma) per plane out of focus


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A noisy image and the truth under it.

    Parameters
    ----------
    noisy : ndarray
        One exposure.
    noisy_again : ndarray or None
        Another exposure of the same thing, its noise independent of the first.
    clean : ndarray
        What they would be without noise, in the same grey values.
    axes : str
        One letter per axis.
    scale : tuple of float
        Distance of neighbours along each axis of ``axes`` but C, in ``unit``.
    unit : str
        ``"pixel"`` or ``"micrometer"``.
    """

    noisy: npt.NDArray[Any]
    noisy_again: npt.NDArray[Any] | None
    clean: npt.NDArray[Any]
    axes: str
    scale: tuple[float, ...]
    unit: str


def mitochondria() -> Sample:
    """Return a real micrograph and its clean partner, (1024, 1024) uint8.

    Mitochondria under a confocal microscope: one fast scan, and the average of many. The average
    has the grey values of the scan. There is no second scan.

    References
    ----------
    G. M. Hagen et al., "Fluorescence microscopy datasets for training deep neural networks",
    GigaScience 10(5), 2021, giab032 (CC0).
    """
    from importlib.resources import files

    from imageio.v3 import imread

    folder = files("napari_ae_denoise") / "data"
    noisy, clean = (
        np.asarray(imread((folder / f"mitochondria_{which}.png").read_bytes(), extension=".png"))
        for which in ("noisy", "clean")
    )
    return Sample(noisy, None, clean, "YX", (1.0, 1.0), "pixel")


def photograph() -> Sample:
    """Return an RGB photograph with Gaussian noise of sigma 25, (512, 512, 3) uint8.

    It is scikit-image's portrait of the astronaut Eileen Collins (NASA, public domain).
    """
    from skimage.data import astronaut

    from napari_ae_denoise.noise import add_gaussian_noise

    clean: npt.NDArray[np.uint8] = astronaut()
    noisy, again = (add_gaussian_noise(clean, PHOTOGRAPH_SIGMA, seed=seed) for seed in (0, 1))
    return Sample(noisy, again, clean, "YXC", (1.0, 1.0), "pixel")


def fluorescence() -> Sample:
    """Return a dim fluorescence image of nuclei in colon tissue, (512, 512) uint16.

    scikit-image's wheel holds no fluorescence image. So the nuclear stain of its micrograph of
    immunohistochemistry is separated from the other dye, and shown as the same amount of a
    fluorescent dye would look on a camera that counts some twenty photons a pixel: Poisson noise
    of the light, Gaussian noise of the camera.
    """
    glow = _nuclear_stain()
    rng = np.random.default_rng(0)
    return Sample(
        _exposed(glow, rng), _exposed(glow, rng), _grey(glow), "YX", (PIXEL_SIZE,) * 2, "micrometer"
    )


def z_stack() -> Sample:
    """Return a noisy wide-field z-stack of nuclei, (24, 256, 256) uint16, axes ZYX.

    Three parts of the image of `fluorescence` lie at three depths; each plane sees all of them,
    the more blurred the farther they are from its focus.
    """
    from skimage.filters import gaussian

    stain = np.maximum(_nuclear_stain() - 0.25, 0)  # fewer and clearer nuclei in each layer
    glow = np.zeros((_STACK_PLANES, 256, 256))
    for focus, row, column, turns in _LAYERS:
        layer = np.rot90(stain[row : row + 256, column : column + 256], turns)
        for plane in range(_STACK_PLANES):
            glow[plane] += gaussian(layer, _DEFOCUS * abs(plane - focus), mode="reflect")
    glow /= np.percentile(glow, 99.9)
    rng = np.random.default_rng(0)
    exposures = _exposed(glow, rng), _exposed(glow, rng)
    return Sample(*exposures, _grey(glow), "ZYX", STACK_SCALE, "micrometer")


def _nuclear_stain() -> npt.NDArray[np.float64]:
    """Return the amount of haematoxylin in scikit-image's micrograph, about 0 to 1, (512, 512)."""
    from skimage.color import rgb2hed
    from skimage.data import immunohistochemistry
    from skimage.filters import gaussian

    amount = gaussian(rgb2hed(immunohistochemistry())[..., 0], _OPTICS)
    low, high = np.percentile(amount, [5, 99.8])
    return np.asarray(np.clip((amount - low) / (high - low), 0, 1.5), dtype=np.float64)


def _grey(glow: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
    return np.rint(_CAMERA_OFFSET + _GAIN * _PHOTONS * glow).astype(np.uint16)


def _exposed(glow: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    """Return what a camera reads: Poisson noise of the photons, Gaussian noise of reading them."""
    photons = rng.poisson(_PHOTONS * glow)
    read = _CAMERA_OFFSET + _GAIN * photons + _READ_NOISE * rng.standard_normal(glow.shape)
    return np.clip(np.rint(read), 0, 65535).astype(np.uint16)


# ---- as napari's layer data, for its menu File > Open Sample


def mitochondria_layers() -> list[LayerData]:
    """Return the micrograph as two layers, the noisy one on top."""
    sample = mitochondria()
    noisy, how, kind = _layer(sample, "mitochondria")
    clean = (sample.clean, {**how, "name": "mitochondria, clean"}, kind)
    return [clean, (noisy, how, kind)]


def photograph_layers() -> list[LayerData]:
    """Return the noisy photograph as a layer."""
    return [_layer(photograph(), "noisy photograph")]


def fluorescence_layers() -> list[LayerData]:
    """Return the noisy fluorescence image as a layer."""
    return [_layer(fluorescence(), "noisy fluorescence")]


def z_stack_layers() -> list[LayerData]:
    """Return the noisy z-stack as a layer."""
    return [_layer(z_stack(), "noisy z-stack")]


def _layer(sample: Sample, name: str) -> LayerData:
    axes = sample.axes.removesuffix("C")
    how: dict[str, Any] = {
        "name": name,
        "scale": sample.scale,
        "units": (sample.unit,) * len(axes),
        "axis_labels": tuple(axes.lower()),
    }
    if sample.axes.endswith("C"):
        how["rgb"] = True
    else:
        low, high = np.percentile(sample.noisy, [0.1, 99.9])
        how |= {"contrast_limits": (float(low), float(high)), "colormap": "gray"}
    return sample.noisy, how, "image"


def fashion_mnist_layers() -> list[LayerData]:
    """Return Fashion-MNIST's 10,000 test images, noisy and clean, as two layers of axes NYX.

    Raises
    ------
    DenoisingError
        If its files are not on this computer: this function never downloads, for napari calls it
        in the thread of its window. `napari_ae_denoise.fashion_mnist.fetch_fashion_mnist` does.
    """
    from napari_ae_denoise.fashion_mnist import CLASSES, add_tutorial_noise, load_fashion_mnist

    images, labels = load_fashion_mnist("test")
    clean = images.astype(np.float32) / 255
    how = {
        "axis_labels": ("n", "y", "x"),
        "contrast_limits": (0.0, 1.0),
        "colormap": "gray",
        "metadata": {"labels": [CLASSES[label % len(CLASSES)] for label in labels]},
    }
    return [
        (clean, {"name": "Fashion-MNIST clean", **how}, "image"),
        (add_tutorial_noise(images, seed=0), {"name": "Fashion-MNIST noisy", **how}, "image"),
    ]
