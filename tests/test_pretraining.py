import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_ae_denoise import NetworkSpec, TrainingData, TrainSettings, train, training_run
from napari_ae_denoise.model_file import read_model
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder
from napari_ae_denoise.objectives import Objective
from napari_ae_denoise.pretraining import PRETRAINED, stage_at, stage_loss, stages
from napari_ae_denoise.steps import drain
from napari_ae_denoise.training import training_steps

SPECS = {
    "classic": PRESETS["classic"],
    "unequal": NetworkSpec("plain", widths=(4, 6, 8)),
    "sigmoid": NetworkSpec("plain", widths=(4, 6), code_channels=3, code_activation="sigmoid"),
    "residual": NetworkSpec("residual", widths=(4, 6, 8), blocks=1, code_channels=2, stem=2),
    "dense": NetworkSpec("dense", widths=(12, 6), code_channels=3, image_size=(8, 8)),
}
COUNTS = {"classic": 2, "unequal": 3, "sigmoid": 3, "residual": 3, "dense": 3}


@pytest.mark.parametrize("name", SPECS)
def test_stages_in_a_row_are_the_whole_network(name):
    torch.manual_seed(0)
    network = ConvAutoencoder(SPECS[name]).eval()
    parts = stages(network)
    assert len(parts) == COUNTS[name]
    side = 2 * network.stride
    x = h = torch.rand(2, 1, side, side)
    with torch.inference_mode():
        codes = [x]
        for stage in parts:
            codes.append(stage.encoder(codes[-1]))
        torch.testing.assert_close(codes[-1], network.encode(x))
        for stage, before in zip(reversed(parts), reversed(codes[:-1]), strict=True):
            h = stage.decoder(codes[-1] if stage is parts[-1] else h)
            assert h.shape == before.shape  # each undoes its own level
        torch.testing.assert_close(h, network(x))


@pytest.mark.parametrize("name", SPECS)
def test_each_weight_belongs_to_one_stage(name):
    network = ConvAutoencoder(SPECS[name])
    owned = [id(p) for stage in stages(network) for p in stage.parameters()]
    assert len(set(owned)) == len(owned)
    assert set(owned) == {id(p) for p in network.parameters()}


def test_stages_share_the_first_half_equally():
    found = [stage_at(f, 2) for f in np.linspace(0, 1, 101)]
    assert [found.count(n) for n in (0, 1, None)] == pytest.approx([25, 25, 51], abs=1)
    assert stage_at(PRETRAINED, 3) is None


def test_a_stage_trains_on_the_code_of_the_one_before_and_nothing_else():
    network = ConvAutoencoder(SPECS["unequal"])
    first, second, _ = stages(network)
    noisy, clean = torch.rand(2, 2, 1, 16, 16)
    loss = stage_loss([first], second, Objective(), noisy, clean)
    expected = (second(first.encoder(noisy)) - first.encoder(clean)).square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    trained = {id(p) for p in network.parameters() if p.grad is not None}
    assert trained == {id(p) for p in second.parameters()}


def settings(**changes):
    usual = {"batch_size": 2, "patch_size": 16, "device": "cpu", "precision": "float32"}
    usual |= {"schedule": "constant", "average": 0.0, "optimizer": "adam"}
    return TrainSettings.of_kind("stacked", **(usual | changes))


def test_training_goes_through_the_stages_and_then_the_whole(camera):
    steps = training_steps(TrainingData(clean=camera), settings(steps=12))
    told = [record.stage for record in steps]
    assert told[0] == "stage 1 of 3"
    assert told[-1] == ""
    assert list(dict.fromkeys(told)) == [f"stage {n} of 3" for n in (1, 2, 3)] + [""]


def test_a_pretraining_is_resumed_as_if_nothing_had_happened(camera, tmp_path, monkeypatch):
    import threading

    data, how = TrainingData(clean=camera), settings(steps=12)
    train(data, how, checkpoint=tmp_path / "whole")
    stop = threading.Event()
    for record in training_steps(data, how, stop=stop, checkpoint=tmp_path / "state"):
        if record.step == 4:
            stop.set()
    train(data, how, checkpoint=tmp_path / "state")
    whole, resumed = (read_model(tmp_path / name)[0] for name in ("whole", "state"))
    for name in (name for name in whole if name.startswith("network.")):
        torch.testing.assert_close(resumed[name], whole[name], rtol=1e-4, atol=1e-6)


def test_pretrained_stages_make_a_better_start(camera):
    """After the stages alone, the whole network is nearer to the image than at random."""
    network_error = {}
    for steps in (1, 60):
        how = settings(steps=2 * steps, batch_size=4, preset=SPECS["unequal"], sigma=10)
        run = training_steps(TrainingData(clean=camera), how)
        losses = [record.loss for record in run]
        network_error[steps] = losses[steps]  # the first step of the fine-tuning
    assert network_error[60] < 0.85 * network_error[1]


@pytest.mark.parametrize(
    ("changes", "word", "remedy"),
    [
        ({"network_changes": {"skips": True}}, "skip connections", "without"),
        ({"depth": 1}, "one stage", "more depth"),
        ({"preset": NetworkSpec("plain", widths=(4,), variational=True)}, "variational", ""),
    ],
)
def test_what_has_no_stages_is_refused_before_the_start(camera, refused, changes, word, remedy):
    with refused(word, remedy=remedy):
        next(training_steps(TrainingData(clean=camera), settings(steps=2, **changes)))


@pytest.mark.parametrize("pace", [0.2, 0.23, 0.26])  # seconds a look at the clock
def test_the_clock_may_pass_the_last_stage_at_any_moment(pace, monkeypatch):
    looks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: pace * next(looks))
    monkeypatch.setattr(training_run, "time", clock)
    image = np.random.default_rng(0).random((64, 64), np.float32)
    settings = TrainSettings.of_kind(
        "stacked", depth=2, minutes=0.2, pretraining="layerwise", patch_size=16, batch_size=2,
        sigma=0.1,
    )  # fmt: skip
    drain(training_steps(TrainingData(clean=image), settings))
