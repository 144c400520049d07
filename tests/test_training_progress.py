"""What a training shows of itself: its validation loss, and what it makes of a part of the data."""

import math

import numpy as np
import pytest
import torch

from napari_ae_denoise import training_progress
from napari_ae_denoise.batches import Patch
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.steps import drain
from napari_ae_denoise.training import training_steps
from napari_ae_denoise.training_data import TrainingData
from napari_ae_denoise.training_progress import Watch


def settings(**changes):
    few = {"preset": "classic", "steps": 60, "batch_size": 4, "patch_size": 32, "device": "cpu"}
    return TrainSettings(**{**few, **changes})


def drained(steps):
    records = []
    return records, drain(steps, records.append)


@pytest.fixture
def looks_at_every_step(monkeypatch):
    monkeypatch.setattr(training_progress, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(training_progress, "_LEAST_SHARE", 0)


@pytest.mark.usefixtures("looks_at_every_step")
def test_the_part_gets_better_and_watching_changes_no_weight(camera):
    data = TrainingData(clean=camera)
    records, watched = drained(training_steps(data, settings(), watch=True))
    looks = [record.look for record in records]
    assert [look.step for look in looks] == list(range(1, 61))
    assert all((look.given == looks[0].given).all() for look in looks)
    assert looks[-1].made_psnr > looks[5].made_psnr
    assert looks[-1].given_psnr == pytest.approx(looks[0].given_psnr)
    assert looks[0].given.shape == looks[0].made.shape
    _, alone = drained(training_steps(data, settings()))
    for name, weight in alone.network.state_dict().items():
        assert torch.equal(weight, watched.network.state_dict()[name])


@pytest.mark.usefixtures("looks_at_every_step")
def test_the_part_is_what_the_averaged_weights_make_of_it(camera):
    how = settings(
        steps=3, average=0.0, precision="float32"
    )  # one epoch: the last weights are those that are kept
    records, denoiser = drained(training_steps(TrainingData(clean=camera), how, watch=True))
    look = records[-1].look  # of the last weights, which are those that are kept
    with torch.inference_mode():
        made = denoiser.network(torch.from_numpy(look.given)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(look.made, made, atol=1e-5)


@pytest.mark.usefixtures("looks_at_every_step")
def test_without_clean_images_there_is_a_look_and_no_psnr(camera):
    noisy = camera + np.random.default_rng(0).normal(0, 20, camera.shape)
    records, _ = drained(training_steps(TrainingData(noisy=noisy), settings(steps=2), watch=True))
    assert math.isnan(records[0].look.made_psnr)
    assert math.isnan(records[0].look.given_psnr)
    assert records[0].look.given.std() > 0


@pytest.mark.usefixtures("looks_at_every_step")
def test_colours_are_shown_as_colours():
    image = np.random.default_rng(0).integers(0, 255, (64, 48, 3)).astype(np.uint8)
    how = settings(steps=1, preset="residual")
    records, _ = drained(training_steps(TrainingData(clean=image), how, watch=True))
    assert records[0].look.made.shape == (64, 48, 3)


def test_nobody_looks_unless_asked(camera):
    records, _ = drained(training_steps(TrainingData(clean=camera), settings(steps=2)))
    assert records[-1].look is None


def test_looks_are_rare_enough_to_cost_little(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(training_progress.time, "monotonic", lambda: clock[0])

    def slowly(batches):
        clock[0] += 1.0
        return list(batches)

    ones = np.ones((1, 8, 8), np.float32)
    watch = Watch(Patch(ones, ones, 1.0), slowly, clean=True)
    began, seen = clock[0], set()
    for step in range(1000):
        seen.add(watch.after_step(step).step)
        clock[0] += 0.2
    share = len(seen) / (clock[0] - began)  # a look takes a second
    assert 0.01 < share < 0.05


def test_a_look_that_fails_ends_the_looking_and_nothing_else():
    calls = []

    def fails(batches):
        calls.append(1)
        raise RuntimeError("out of memory")

    ones = np.ones((1, 8, 8), np.float32)
    watch = Watch(Patch(ones, ones, 1.0), fails, clean=True)
    assert [watch.after_step(step) for step in range(3)] == [None] * 3
    assert len(calls) == 1


def test_the_validation_loss_is_of_the_training_loss_size(camera):
    how = settings(steps=100)
    records, _ = drained(training_steps(TrainingData(clean=camera), how))
    assert math.isnan(records[10].validation_loss)
    last = np.mean([record.loss for record in records[-20:]])
    assert 0.5 < records[-1].validation_loss / last < 2
    assert records[-1].validation_loss < records[49].validation_loss
