"""Time and memory of a training, said before it."""

import math
import threading
import time
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise import training_estimate, training_run
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.networks import PRESETS
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.training import train
from napari_ae_denoise.training_data import TrainingData
from napari_ae_denoise.training_estimate import estimate_training, training_memory


def settings(**changes):
    few = {"preset": "classic", "batch_size": 4, "patch_size": 32, "device": "cpu"}
    return TrainSettings(**{**few, **changes})


def test_memory_grows_with_the_patches_and_with_the_network():
    little = training_memory(PRESETS["classic"], settings())
    assert 1e5 < little < 1e8
    more = training_memory(PRESETS["classic"], settings(batch_size=40))
    wider = training_memory(PRESETS["classic"], settings(patch_size=96))
    assert 5 < more / little <= 10
    assert 5 < wider / little <= 10
    large, usual = (
        training_memory(PRESETS[name], settings()) for name in ("residual-large", "residual")
    )
    assert large > usual


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_estimated(name):
    assert training_memory(PRESETS[name], settings(preset=name)) > 0


def test_the_time_of_steps_is_about_what_they_take(camera, monkeypatch):
    """In processor time: other programs may run beside one of the two only."""
    clock = SimpleNamespace(perf_counter=time.process_time, monotonic=time.process_time)
    monkeypatch.setattr(training_estimate, "time", clock)
    monkeypatch.setattr(training_run, "time", clock)
    data = TrainingData(clean=camera)
    told = estimate_training(data, settings(steps=150))
    took = train(data, settings(steps=150)).card.training["seconds"]
    assert told.steps == 150
    assert 0.2 < told.seconds / took < 5
    assert told.memory < told.free


def test_an_epoch_is_as_many_steps_as_the_training_will_have(camera):
    data = TrainingData(clean=camera)
    told = estimate_training(data, settings(epochs=0.1))
    assert told.steps == train(data, settings(epochs=0.1)).card.training["steps_done"]


def test_minutes_are_known_without_measuring(camera):
    told = estimate_training(TrainingData(clean=camera), settings(minutes=3), measure=False)
    assert told.seconds == 180
    assert math.isnan(told.seconds_a_step)


def test_measuring_can_be_stopped_and_the_memory_is_told_all_the_same(camera):
    stop = threading.Event()
    stop.set()
    told = estimate_training(TrainingData(clean=camera), settings(steps=9), stop=stop)
    assert math.isnan(told.seconds)
    assert told.memory > 0


def test_what_is_started_from_stays_as_it_was(camera, untrained):
    start = untrained("classic")
    before = {name: weight.clone() for name, weight in start.network.state_dict().items()}
    assert isinstance(start, Denoiser)
    estimate_training(TrainingData(clean=camera), settings(steps=9), start=start)
    after = start.network.state_dict()
    assert all((after[name] == weight).all() for name, weight in before.items())


def test_what_cannot_be_trained_is_refused(camera):
    with pytest.raises(DenoisingError, match="skip connections"):
        estimate_training(
            TrainingData(clean=camera), settings(preset="residual", sigma=0.0, steps=5)
        )


def test_a_stop_is_obeyed_while_the_images_are_looked_at():
    stop, read = threading.Event(), []

    def slow(block_info=None):
        if block_info:
            read.append(1)
            stop.set()
        return np.random.default_rng(0).random((64, 64)).astype("f4") * 255

    lazy = [da.map_blocks(slow, chunks=((64,), (64,)), dtype="f4") for _ in range(20)]
    read.clear()
    stop.clear()
    estimate = estimate_training(TrainingData(clean=lazy), settings(steps=5), stop=stop)
    assert math.isnan(estimate.seconds_a_step)
    assert len(read) < 5
