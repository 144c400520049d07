"""What a training will take, before it starts: time and memory."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from napari_ae_denoise.devices import (
    choose_device,
    free_memory,
    memory_given_back,
    spare_a_core,
    training_precision,
)
from napari_ae_denoise.lean_network import for_training
from napari_ae_denoise.networks import ConvAutoencoder, build_empty
from napari_ae_denoise.schedule import learning_rate
from napari_ae_denoise.steps import Stopped, look_for_stop, stopping
from napari_ae_denoise.training_run import TrainingRun

if TYPE_CHECKING:
    import threading

    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.network_spec import NetworkSpec
    from napari_ae_denoise.settings import TrainSettings
    from napari_ae_denoise.training_data import TrainingData

_COPIES = 5  # of the weights: themselves, gradients, their moments, the average, the best
_PASS_OF_STEP = 1 / 3  # what a pass without gradients takes of a step
_WARM_UP, _MEASURED = 1, 2  # steps
_MORE = 1.6  # gradients of features and workspace, of what is kept; measured: 1.6 and 1.4
_SEEN = 64  # pixels a side: what is kept grows with the area
_HALF = 2  # bytes of a bfloat16


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """What a training will take.

    Parameters
    ----------
    memory, free : int
        Bytes that the network and its patches take on the device, and that are free there now.
    seconds : float
        Of the whole training; NaN where it was not measured.
    seconds_a_step : float
        NaN where it was not measured.
    steps : int or None
        In all; None where minutes decide.
    """

    memory: int
    free: int
    seconds: float = math.nan
    seconds_a_step: float = math.nan
    steps: int | None = None


def training_memory(spec: NetworkSpec, settings: TrainSettings) -> int:
    """Return about the bytes that a training takes: what the network keeps for its gradients.

    A pass is run over one small patch, with weights of zero, and every tensor that is kept for the
    way back is counted once. Penalties that look at derivatives take more.
    """
    network = build_empty(spec)
    # not on torch's meta device, which would compute shapes only, but imports sympy: four seconds
    zeros = {name: torch.zeros(value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict(zeros, assign=True)
    network = for_training(network.requires_grad_(True).train())
    side = max(spec.image_size or settings.patch_sizes)
    side = -(-side // network.stride) * network.stride
    count = max(1, round(settings.batch_size * (settings.patch_sizes[0] / side) ** 2))
    if spec.image_size:
        count = settings.batch_size
    kept = _MORE * count * _kept_bytes(network, side)
    device = choose_device(settings.device)
    if training_precision(device, settings.precision).itemsize == _HALF:
        kept /= 2
    return round(4 * _COPIES * network.parameter_count + kept)


def _kept_bytes(network: ConvAutoencoder, side: int) -> float:
    """Return the bytes that a pass over a square patch keeps for its gradients."""
    weights = {id(p) for p in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}  # held: an address may be another one's later

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in weights:
            # several layers keep the same tensor, or parts of it: of one storage all of it, once
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage
        return tensor

    small = (
        side if network.spec.image_size else min(side, -(-_SEEN // network.stride) * network.stride)
    )
    image = torch.zeros(1, network.spec.channels, small, small)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(image)
    return sum(storage.nbytes() for storage in kept.values()) * (side / small) ** 2


def estimate_unmeasured(spec: NetworkSpec, settings: TrainSettings) -> TrainingEstimate:
    """Say what is known of a training without its images: the memory, and the time in minutes."""
    free = free_memory(choose_device(settings.device))
    seconds = math.nan if settings.minutes is None else 60 * settings.minutes
    return TrainingEstimate(training_memory(spec, settings), free, seconds)


def estimate_training(
    data: TrainingData,
    settings: TrainSettings,
    *,
    start: Denoiser | None = None,
    measure: bool = True,
    stop: threading.Event | None = None,
) -> TrainingEstimate:
    """Say what a training will take; nothing is kept of the few steps that are measured.

    Parameters
    ----------
    data : TrainingData
        What to train on.
    settings : TrainSettings
        How.
    start : Denoiser, optional
        What to start from.
    measure : bool
        Whether to take three steps to see how long one takes. The time of a training by minutes
        is known without.
    stop : threading.Event, optional
        Once set, the time is not measured any more.

    Returns
    -------
    TrainingEstimate

    Raises
    ------
    DenoisingError
        If data, settings and network do not fit.
    """
    spec = start.card.network if start else settings.network_spec(data)
    estimate = estimate_unmeasured(spec, settings)
    if not measure or estimate.memory > estimate.free:
        return estimate
    took = []
    try:
        with stopping(stop), memory_given_back(), spare_a_core():
            run = TrainingRun(data, settings, start, None)
            for step in range(_WARM_UP + _MEASURED):
                look_for_stop()
                began = time.perf_counter()
                run.step(step, learning_rate(0, settings, fine_tuning=start is not None))
                took.append(time.perf_counter() - began)
    except Stopped:
        return estimate
    one = min(took[_WARM_UP:])
    if run.steps is None:
        return replace(estimate, seconds_a_step=one)
    passes = len(run.held_out) * _PASS_OF_STEP / run.sampler.steps_per_epoch
    return replace(
        estimate, seconds=run.steps * one * (1 + passes), seconds_a_step=one, steps=run.steps
    )
