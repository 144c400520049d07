"""A training that goes on for longer than it was begun for."""

import pytest
import torch

from napari_ae_denoise.going_on import longer
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.training import train
from napari_ae_denoise.training_data import TrainingData


def settings(**changes):
    few = {"preset": "classic", "batch_size": 4, "patch_size": 32, "device": "cpu"}
    return TrainSettings(**{**few, "schedule": "constant", "warm_up": 0.0, **changes})


def test_on_and_on_is_the_same_as_at_once(camera, tmp_path):
    data, state = TrainingData(clean=camera), tmp_path / "state"
    first = train(data, settings(steps=5), checkpoint=state)
    how = longer(settings(steps=7), first.card.training)
    second = train(data, how, checkpoint=state)
    at_once = train(data, settings(steps=12))
    assert second.card.training["steps_done"] == 12
    # else the weights kept could be those of the first training
    assert second.card.metrics["validation_psnr"] > first.card.metrics["validation_psnr"]
    assert second.card.metrics == pytest.approx(at_once.card.metrics, abs=1e-4)
    for a, b in zip(second.network.parameters(), at_once.network.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"minutes": 2}, "minutes", 3.5),
        ({"epochs": 4}, "epochs", 4.4),
        ({"steps": 30}, "steps", 50),
        ({}, "steps", 1020),
    ],
)
def test_the_length_counts_from_what_is_done(changes, name, expected):
    done = {"steps_done": 20, "epochs_done": 0.4, "seconds": 90.0}
    assert getattr(longer(settings(**changes), done), name) == pytest.approx(expected)
