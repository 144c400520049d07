"""The program of the classic tutorial: a denoising autoencoder for Fashion-MNIST, step by step.

Images of clothes, 28 x 28 pixels, under Gaussian noise of half their range, clipped to it. As the
original, a Keras program, has it: the noise is drawn once, and the network, `classic`, is trained
by Adam at a constant learning rate. Here by default the noise is drawn afresh for every batch, so
that no image is seen twice with the same noise, and the optimizer is Muon, which gets farther in
the same time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.fashion_mnist import TUTORIAL_SIGMA, add_tutorial_noise, load_fashion_mnist
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder, build_empty
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.schedule import highest_rate
from napari_ae_denoise.seeding import seeded
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.training import Progress, training_steps
from napari_ae_denoise.training_data import TrainingData

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

Network = Literal["classic", "better"]
Optimizer = Literal["muon", "adam"]
NETWORKS: MappingProxyType[str, NetworkSpec] = MappingProxyType(
    {
        "classic": replace(PRESETS["classic"], edge="zero"),
        "better": NetworkSpec(
            "residual", widths=(24, 48), blocks=1, skips=True, stem=2, edge="zero"
        ),
    }
)
"""The tutorial's network, and one that works at a half and a quarter of the resolution only.

``better`` has 73 thousand weights instead of 28 and takes 1.5 times the multiply-adds.
"""
EPOCHS = 100
BATCH_SIZE = 128
_SIDE = 28  # pixels
_HELD_OUT = 0.01  # of the training images
_NEVER = 1e9  # a length of the gradient that is not reached, so that none is cut
_TEST_SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The 10,000 test images: clean and noisy, (N, 28, 28) float32 from 0 to 1."""

    clean: npt.NDArray[np.float32]
    noisy: npt.NDArray[np.float32]


def examples(*, count: int | None = None) -> Examples:
    """Return the test images, or the first of them, with noise that is always the same.

    Raises
    ------
    DenoisingError
        If Fashion-MNIST is not on this computer.
    """
    images = load_fashion_mnist("test")[0][:count]
    return Examples(_clean(images), add_tutorial_noise(images, seed=_TEST_SEED))


def _clean(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return images.astype(np.float32) / np.float32(255)


def training_data(*, as_tutorial: bool, count: int | None = None, seed: int = 0) -> TrainingData:
    """Return the training images, or the first of them.

    Parameters
    ----------
    as_tutorial : bool
        Whether the noise is drawn here, once, or in each batch of the training.
    count : int, optional
        How many; by default all 60,000.
    seed : int
        Of the noise.
    """
    images = load_fashion_mnist("train")[0][:count]
    clean = _clean(images)
    if as_tutorial:
        return TrainingData(clean, add_tutorial_noise(images, seed=seed), axes="NYX")
    return TrainingData(clean, axes="NYX")


def training_settings(
    *,
    as_tutorial: bool = False,
    network: Network = "classic",
    optimizer: Optimizer | None = None,
    epochs: float = EPOCHS,
    seed: int = 0,
    device: str = "auto",
) -> TrainSettings:
    """Return the settings of the training.

    Those of the tutorial are Keras's own: Adam at 0.001 throughout, all images for training. By
    default Muon takes Adam's place, the learning rate falls along a cosine and the weights are
    averaged; a hundredth of the images is held out, and the weights that did best on some of them
    are kept.

    Parameters
    ----------
    as_tutorial : bool
        Whether to train as the tutorial does.
    network : {"classic", "better"}
        The tutorial's network, or one that is better after the same time; see `NETWORKS`.
    optimizer : {"muon", "adam"}, optional
        By default Adam with ``as_tutorial``, which has no other, and Muon without.
    epochs : float
        Passes over the images.
    seed : int
        Same seed, same weights, on the CPU.
    device : str
        See `choose_device`.

    Raises
    ------
    DenoisingError
        If the tutorial is asked for with another network or optimizer than its own.
    """
    if network not in NETWORKS:
        raise DenoisingError(
            f'There is no network "{network}" for Fashion-MNIST.',
            f"Choose {' or '.join(NETWORKS)}.",
        )
    if as_tutorial and network != "classic":
        raise DenoisingError(
            f'The tutorial has no network "{network}".',
            "Choose classic, or train without the tutorial's settings.",
        )
    if optimizer not in (None, *get_args(Optimizer)):
        raise DenoisingError(
            f'There is no optimizer "{optimizer}" for Fashion-MNIST.', "Choose muon or adam."
        )
    if as_tutorial and optimizer not in (None, "adam"):
        raise DenoisingError(
            f'The tutorial does not train with "{optimizer}".',
            "Choose adam, or train without the tutorial's settings.",
        )
    shared: dict[str, Any] = {
        "preset": NETWORKS[network],
        "sigma": TUTORIAL_SIGMA,
        "epochs": epochs,
        "batch_size": BATCH_SIZE,
        "patch_size": _SIDE,
        "augment": False,
        "clip": True,
        "seed": seed,
        "device": device,
        "name": "fashion-mnist",
    }
    if as_tutorial:
        return TrainSettings(
            **shared,
            optimizer="adam",
            learning_rate=1e-3,
            schedule="constant",
            warm_up=0.0,
            clip_norm=_NEVER,
            average=0.0,
            validation=0.0,
        )
    made = TrainSettings(**shared, optimizer=optimizer or "muon", validation=_HELD_OUT)
    # said, for `tutorial_steps` starts from weights of its own, and does not fine-tune them
    return replace(made, learning_rate=highest_rate(made))


def tutorial_steps(
    data: TrainingData, settings: TrainSettings, *, stop: threading.Event | None = None
) -> Generator[Progress, None, Denoiser]:
    """Train, step by step, from weights as Keras draws them; see `training_steps`."""
    spec = settings.network_spec(data)
    start = untrained(spec, seed=settings.seed) if spec == NETWORKS["classic"] else None
    return (yield from training_steps(data, settings, start=start, stop=stop))


def layer_summary(spec: NetworkSpec, side: int = _SIDE) -> list[str]:
    """Return a table of the layers, with the output of each for one image and its weights.

    Parameters
    ----------
    spec : NetworkSpec
        Of the network.
    side : int
        Of the image, in pixels; a multiple of the stride.
    """
    rows: list[tuple[str, str, str]] = [("layer", "output (C, Y, X)", "weights")]
    twin = build_empty(spec)

    def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
        name = f"{type(module).__name__}"
        if isinstance(module, nn.Conv2d):
            name += f" {module.kernel_size[0]}x{module.kernel_size[1]}"
        count = sum(weights.numel() for weights in module.parameters())
        rows.append((name, str(tuple(output.shape[1:])), f"{count:,}"))

    for module in twin.modules():
        if not list(module.children()) and not isinstance(module, nn.Identity):
            module.register_forward_hook(note)
    twin(torch.empty(1, spec.channels, side, side, device="meta"))
    rows.append(("in all", "", f"{twin.parameter_count:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>9}" for a, b, c in rows]


def untrained(spec: NetworkSpec | None = None, *, seed: int = 0) -> Denoiser:
    """Return a denoiser with random weights as Keras draws them.

    Glorot's uniform distribution [1]_ for the weights, biases of zero.

    Parameters
    ----------
    spec : NetworkSpec, optional
        Of the network; by default `classic`.
    seed : int
        Same seed, same weights.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    """
    spec = spec or NETWORKS["classic"]
    with seeded(seed):
        network = ConvAutoencoder(spec)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return Denoiser(network, Card(spec, Normalization(low=0, high=100), name="untrained"))
