import dataclasses
import threading

import numpy as np
import pytest
import torch
from fashion import COUNTS, write_small_fashion_mnist

from napari_ae_denoise import tutorial
from napari_ae_denoise.fashion_mnist import FOLDER_VARIABLE
from napari_ae_denoise.steps import drain


@pytest.fixture
def small(tmp_path, monkeypatch):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    write_small_fashion_mnist(folder)
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))


def settings(**how):
    return dataclasses.replace(tutorial.training_settings(**how), device="cpu")


def test_the_tutorial_draws_its_noise_once_and_trains_on_all_images(small):
    data = tutorial.training_data(as_tutorial=True)
    assert data.kind == "pairs"
    assert data.noisy.shape == data.clean.shape == (COUNTS["train"], 28, 28)
    assert 0 == data.noisy.min() < data.noisy.max() == 1
    how = tutorial.training_settings(as_tutorial=True)
    assert (how.batch_size, how.epochs, how.optimizer) == (128, 100, "adam")
    assert (how.learning_rate, how.schedule, how.warm_up) == (1e-3, "constant", 0)
    assert how.validation == how.average == 0
    assert not how.augment


def test_by_default_noise_is_drawn_afresh_and_clipped(small):
    data = tutorial.training_data(as_tutorial=False)
    assert data.kind == "clean"
    how = tutorial.training_settings()
    assert how.clip
    assert how.sigma_range == (0.5, 0.5)
    assert how.optimizer == "muon"
    assert tutorial.training_settings(optimizer="adam").optimizer == "adam"


def test_weights_begin_as_in_keras():
    """Glorot: uniform within sqrt(6 / (inputs + outputs)), counted with the 9 taps."""
    network = tutorial.untrained(seed=1).network
    convs = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [32, 32, 32, 32, 1]
    for conv in convs:
        limit = (6 / (9 * (conv.in_channels + conv.out_channels))) ** 0.5
        assert 0.9 * limit < conv.weight.abs().max() <= limit
        assert conv.weight.std() == pytest.approx(limit / 3**0.5, rel=0.15)
        assert not conv.bias.any()
    again = tutorial.untrained(seed=1).network
    assert torch.equal(again.head[0].weight, network.head[0].weight)


@pytest.mark.parametrize(
    ("as_tutorial", "network"), [(True, "classic"), (False, "classic"), (False, "better")]
)
def test_a_short_training_denoises(small, as_tutorial, network):
    how = settings(as_tutorial=as_tutorial, network=network, epochs=1)
    how = dataclasses.replace(how, batch_size=16)
    data = tutorial.training_data(as_tutorial=as_tutorial)
    denoiser = drain(tutorial.tutorial_steps(data, how))
    assert denoiser.card.network == tutorial.NETWORKS[network]
    shown = tutorial.examples()
    made = denoiser.denoise(shown.noisy, axes="NYX", device="cpu")
    before, after = (np.mean((images - shown.clean) ** 2) for images in (shown.noisy, made))
    assert after < 0.75 * before


def test_a_stopped_training_gives_its_best_weights(small):
    stop = threading.Event()
    steps = tutorial.tutorial_steps(
        tutorial.training_data(as_tutorial=False), settings(epochs=1), stop=stop
    )
    next(steps)
    stop.set()
    assert drain(steps).card.training["steps_done"] == 1


def test_the_summary_lists_the_layers_of_the_tutorial():
    lines = tutorial.layer_summary(tutorial.NETWORKS["classic"])
    names = [line.split()[0] for line in lines[1:-1]]
    assert [n for n in names if n != "ReLU"] == [
        *("Conv2d", "MaxPool2d") * 2,
        *("Conv2d", "Upsample") * 2,
        *("Conv2d", "Sigmoid"),
    ]
    assert "(32, 14, 14)" in lines[3]
    assert "9,248" in "".join(lines)
    assert lines[-1].split()[-1] == "28,353"


def test_unknown_networks_are_refused(refused):
    with refused('"large"', remedy="classic or better"):
        tutorial.training_settings(network="large")
    with refused('"better"', remedy="classic"):
        tutorial.training_settings(as_tutorial=True, network="better")


def test_other_optimizers_than_the_tutorials_are_refused_with_it(refused):
    with refused('"muon"', remedy="adam"):
        tutorial.training_settings(as_tutorial=True, optimizer="muon")
    with refused('"sgd"', remedy="muon or adam"):
        tutorial.training_settings(optimizer="sgd")
