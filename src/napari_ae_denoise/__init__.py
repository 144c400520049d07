"""Denoising autoencoders for microscopy images and photographs.

The public names are loaded when they are first used: importing the package loads neither torch
nor Qt nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ae_denoise.bundled import bundled_models
    from napari_ae_denoise.camera_noise import CameraNoise, estimate_camera_noise
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.errors import DenoisingError
    from napari_ae_denoise.kinds import KINDS
    from napari_ae_denoise.metrics import psnr, ssim
    from napari_ae_denoise.network_spec import NetworkSpec
    from napari_ae_denoise.networks import PRESETS, ConvAutoencoder
    from napari_ae_denoise.noise import add_camera_noise, add_gaussian_noise
    from napari_ae_denoise.noise_level import estimate_sigma
    from napari_ae_denoise.objectives import Objective
    from napari_ae_denoise.penalty_spec import Penalty
    from napari_ae_denoise.training import Progress, TrainSettings, train, training_steps
    from napari_ae_denoise.training_data import TrainingData

    __version__: str

_HOME = {
    "CameraNoise": "camera_noise",
    "ConvAutoencoder": "networks",
    "Denoiser": "denoiser",
    "DenoisingError": "errors",
    "KINDS": "kinds",
    "NetworkSpec": "network_spec",
    "Objective": "objectives",
    "PRESETS": "networks",
    "Penalty": "penalty_spec",
    "Progress": "training",
    "TrainSettings": "training",
    "TrainingData": "training_data",
    "add_camera_noise": "noise",
    "add_gaussian_noise": "noise",
    "bundled_models": "bundled",
    "estimate_camera_noise": "camera_noise",
    "estimate_sigma": "noise_level",
    "psnr": "metrics",
    "ssim": "metrics",
    "train": "training",
    "training_steps": "training",
}

__all__ = [
    "KINDS",
    "PRESETS",
    "CameraNoise",
    "ConvAutoencoder",
    "Denoiser",
    "DenoisingError",
    "NetworkSpec",
    "Objective",
    "Penalty",
    "Progress",
    "TrainSettings",
    "TrainingData",
    "add_camera_noise",
    "add_gaussian_noise",
    "bundled_models",
    "estimate_camera_noise",
    "estimate_sigma",
    "psnr",
    "ssim",
    "train",
    "training_steps",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _version()
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_HOME[name]}")
    except (ImportError, OSError) as error:
        from napari_ae_denoise.errors import about_torch

        said = about_torch(error)
        if not said:
            raise
        raise ImportError(said) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    """Return the version that was installed; it comes from the tags of the repository."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-ae-denoise")
    except PackageNotFoundError:  # a tree of sources that is used as it stands
        return "0.1.0.dev0"
