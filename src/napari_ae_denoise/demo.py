"""The demo: a real noisy micrograph, denoised by a network trained on its neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.figures import before_after
from napari_ae_denoise.metrics import data_range_of, psnr
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.samples import Sample, mitochondria
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings
from napari_ae_denoise.training import Progress, training_steps
from napari_ae_denoise.training_data import TrainingData

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from matplotlib.figure import Figure

    from napari_ae_denoise.denoiser import Denoiser

# Small, for it has less than a minute on whatever processor there is. Without skips the image goes
# through the code, which then shows the image; with skips the code is mostly about the noise.
_SPEC = NetworkSpec("residual", widths=(32, 64), blocks=2, skips=False, stem=2)


@dataclass(frozen=True, slots=True, eq=False)
class Demo:
    """What the demo shows.

    Parameters
    ----------
    noisy, denoised : ndarray
        (Y, X) uint8.
    clean : ndarray
        The truth, which was not used but for the figures below.
    code : ndarray
        (C, Y/stride, X/stride) float32.
    denoiser : Denoiser
        What made them.
    scale : tuple of float
        Pixel size of the image along Y and X, in ``unit``.
    unit : str
        Such as ``"micrometer"``.
    noisy_psnr, denoised_psnr : float
        dB, against ``clean``.
    """

    noisy: npt.NDArray[Any]
    denoised: npt.NDArray[Any]
    clean: npt.NDArray[Any]
    code: npt.NDArray[np.float32]
    denoiser: Denoiser
    scale: tuple[float, ...]
    unit: str
    noisy_psnr: float
    denoised_psnr: float

    @property
    def stride(self) -> int:
        """Image pixels per code pixel."""
        return self.denoiser.stride

    @property
    def limits(self) -> tuple[float, float]:
        """The grey values to show as black and white."""
        low, high = np.percentile(self.denoised, [0.1, 99.9])
        return float(low), float(high)

    @property
    def channel(self) -> int:
        """The channel of the code that looks most like the image; the first one to show."""
        height, width = self.code.shape[1:]
        rows = np.minimum(np.arange(height) * self.stride, self.denoised.shape[0] - 1)
        columns = np.minimum(np.arange(width) * self.stride, self.denoised.shape[1] - 1)
        small = self.denoised[rows][:, columns].astype(np.float64).ravel()
        small -= small.mean()
        flat = self.code.reshape(len(self.code), -1).astype(np.float64)  # (C, Y * X)
        flat -= flat.mean(axis=1, keepdims=True)
        length = np.linalg.norm(flat, axis=1)
        return int(np.argmax(np.abs(flat @ small) / np.where(length > 0, length, np.inf)))


def make_demo(
    seconds: float = 40.0, *, device: str = "auto", stop: threading.Event | None = None
) -> Generator[Progress, None, Demo]:
    """Train on one half of a micrograph, then denoise and encode a part of the other.

    Parameters
    ----------
    seconds : float
        How long to train.
    device : str
        See `choose_device`.
    stop : threading.Event, optional
        Ends the training early.

    Yields
    ------
    Progress
        After each step of the training.

    Returns
    -------
    Demo
    """
    sample = mitochondria()
    height, width = (n // 2 for n in sample.noisy.shape)
    shown = np.s_[:height, width:]  # what is shown was not trained on
    noisy, clean = sample.noisy[shown], sample.clean[shown]
    denoiser = yield from _trained(sample, np.s_[height:], seconds, device, stop)
    settings = PredictSettings(device=device)
    made: Any = drain(denoiser.predict_steps(noisy, axes=sample.axes, settings=settings, code=True))
    span = data_range_of(clean)
    return Demo(
        noisy=noisy,
        denoised=made.denoised,
        clean=clean,
        code=made.code,
        denoiser=denoiser,
        scale=sample.scale,
        unit=sample.unit,
        noisy_psnr=psnr(clean, noisy, data_range=span),
        denoised_psnr=psnr(clean, made.denoised, data_range=span),
    )


def _trained(
    sample: Sample, part: slice, seconds: float, device: str, stop: threading.Event | None
) -> Generator[Progress, None, Denoiser]:
    """Train on clean and noisy rows of a micrograph."""
    data = TrainingData(clean=sample.clean[part], noisy=sample.noisy[part], axes=sample.axes)
    settings = TrainSettings(
        preset=_SPEC,
        minutes=seconds / 60,
        learning_rate=3e-3,
        device=device,
        name="demo",
    )
    return (yield from training_steps(data, settings, stop=stop))


def demo_figure(demo: Demo) -> Figure:
    """Draw the noisy image, the denoised one, and one channel of the latent code."""
    latent = f"latent code, channel {demo.channel} of {len(demo.code)}"
    images = {
        f"noisy, {demo.noisy_psnr:.1f} dB": demo.noisy,
        f"denoised, {demo.denoised_psnr:.1f} dB": demo.denoised,
        latent: demo.code[demo.channel],
    }
    return before_after(images, own_limits=[latent], limits=demo.limits)
