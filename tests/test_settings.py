import math

import numpy as np
import pytest

from napari_ae_denoise import tutorial
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import PRESETS
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.objectives import Objective
from napari_ae_denoise.schedule import highest_rate, learning_rate
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.training_data import TrainingData


@pytest.mark.parametrize(
    ("changes", "words", "remedy"),
    [
        ({"preset": "unet"}, ["unet"], "classic"),
        ({"sigma": -1}, ["-1"], "0"),
        ({"sigma": (5, 2)}, ["5", "2"], "smaller one first"),
        ({"sigma": math.nan}, ["nan"], "finite"),
        ({"sigma": (0, math.inf)}, ["inf"], "finite"),
        ({"steps": 10, "minutes": 2}, ["steps=10", "minutes=2"], "one of them"),
        ({"steps": 0}, ["steps", "0"], "above 0"),
        ({"epochs": -1}, ["epochs", "-1"], "above 0"),
        ({"minutes": math.nan}, ["minutes", "nan"], "above 0"),
        ({"minutes": math.inf}, ["minutes", "inf"], "above 0"),
        ({"batch_size": 0}, ["batch_size", "0"], "above 0"),
        ({"learning_rate": -1e-3}, ["learning_rate", "-0.001"], "above 0"),
        ({"clip_norm": 0}, ["clip_norm"], "above 0"),
        ({"patch_size": 0}, ["0 pixels"], "above 0"),
        ({"patch_size": ()}, ["()"], "above 0"),
        ({"patch_size": (32, -4)}, ["-4"], "above 0"),
        ({"patch_size": 32.5}, ["32.5 pixels"], "whole number above 0"),
        ({"patch_size": (32, True)}, ["True"], "whole number above 0"),
        ({"patch_size": "64"}, ["'64'"], "whole number above 0"),
        ({"steps": "10"}, ["steps = '10'"], "above 0"),
        ({"batch_size": True}, ["batch_size = True"], "above 0"),
        ({"weight_decay": -5}, ["weight_decay = -5"], "above 0"),
        ({"weight_decay": math.nan}, ["weight_decay = nan"], "above 0"),
        ({"weight_decay": 1e-4, "optimizer": "adam"}, ["adam", "is 0.0001"], "adamw or muon"),
        ({"validation": "some"}, ["validation = 'some'"], "0.5"),
        ({"validation": 0.6}, ["validation", "0.6"], "0.5"),
        ({"validation": math.nan}, ["validation", "nan"], "0.5"),
        ({"average": 1}, ["average", "1"], "0.99999"),
        ({"optimizer": "sgd"}, ["optimizer", "sgd"], "adamw"),
        ({"schedule": "step"}, ["schedule", "step"], "cosine"),
        ({"preset": None}, ["preset = None"], "classic"),
        ({"network_changes": None}, ["network_changes = None"], "leave it out"),
        ({"network_changes": {"widths": 8}}, ["widths = 8"], "widths as"),
        ({"network_changes": {"width": 8, "stem": 2}}, ["no such fields: width."], "widths"),
        ({"normalization": "fixed"}, ["normalization = 'fixed'"], "Normalization("),
        ({"objective": None}, ["objective = None"], "Objective("),
    ],
)
def test_settings_that_cannot_be_trained_with_are_refused(refused, changes, words, remedy):
    with refused(*words, remedy=remedy):
        TrainSettings(**changes)


def test_one_sigma_is_a_range_of_no_width():
    assert TrainSettings(sigma=25).sigma_range == (25, 25)
    assert TrainSettings(sigma=[5, 50]).sigma_range == (5, 50)


def test_length_is_steps_or_epochs_or_minutes_or_the_default():
    assert TrainSettings(steps=7).steps_in_all(50) == 7
    assert TrainSettings(epochs=3).steps_in_all(50) == 150
    assert TrainSettings(epochs=0.5).steps_in_all(50) == 25
    assert TrainSettings(epochs=1e-6).steps_in_all(50) == 1
    assert TrainSettings(minutes=1).steps_in_all(50) is None
    assert TrainSettings().steps_in_all(50) == 1000


def test_patch_sizes_follow_each_other_in_equal_parts():
    grow = TrainSettings(patch_size=(16, 32, 64))
    sizes = [grow.patch_size_at(f) for f in np.linspace(0, 1, 301)]
    assert sizes == sorted(sizes)
    assert [sizes.count(s) for s in (16, 32, 64)] == pytest.approx([100, 100, 101], abs=1)
    assert TrainSettings(patch_size=40).patch_size_at(0.7) == 40


def test_learning_rate_warms_up_and_falls_to_a_hundredth():
    how = TrainSettings(learning_rate=0.01)
    rates = [learning_rate(f, how) for f in np.linspace(0, 1, 1001)]
    top = int(np.argmax(rates))
    assert 0 < rates[0] < 0.2 * max(rates)
    assert 0 < top <= 30
    assert 0.0098 < max(rates) <= 0.01
    assert all(a > b for a, b in zip(rates[top:], rates[top + 1 :], strict=False))
    assert rates[-1] == pytest.approx(1e-4)


def test_the_usual_rate_follows_from_network_optimizer_penalties_and_start():
    usual = highest_rate(TrainSettings())
    classic = TrainSettings(preset="classic")
    assert highest_rate(classic) == pytest.approx(3 * usual)
    assert highest_rate(TrainSettings(preset=PRESETS["classic"])) == highest_rate(classic)
    for network, rate in (("classic", highest_rate(classic)), ("better", usual)):
        how = tutorial.training_settings(network=network)
        assert highest_rate(how, fine_tuning=True) == rate  # its start is not a trained one
    assert highest_rate(TrainSettings(preset="classic", optimizer="adam")) == usual
    assert highest_rate(TrainSettings.of_kind("sparse")) == usual
    assert highest_rate(classic, fine_tuning=True) < usual
    given = TrainSettings(preset="classic", learning_rate=0.01)
    assert highest_rate(given) == highest_rate(given, fine_tuning=True) == 0.01


def test_constant_learning_rate_only_warms_up():
    how = TrainSettings(learning_rate=0.01, schedule="constant")
    rates = [learning_rate(f, how) for f in np.linspace(0, 1, 101)]
    assert rates[0] < 0.002
    assert set(rates[3:]) == {0.01}


def test_network_takes_colours_together_and_all_else_apart():
    how = TrainSettings(preset="classic")
    for shape, axes, channels in [((9, 9), None, 1), ((9, 9, 3), None, 3), ((9, 9, 4), "YXC", 3)]:
        spec = how.network_spec(TrainingData(clean=np.zeros(shape), axes=axes))
        assert spec.channels == channels
        assert spec.widths == PRESETS["classic"].widths
    assert how.network_spec(TrainingData(clean=np.zeros((5, 9, 9)), axes="CYX")).channels == 1


def test_own_network_is_taken_as_it_is():
    own = NetworkSpec("plain", widths=(3,), channels=2)
    assert TrainSettings(preset=own).network_spec(TrainingData(clean=np.zeros((9, 9)))) is own


@pytest.mark.parametrize("seed", [-1, 1.5])
def test_seeds_that_are_no_seeds_are_refused(refused, seed):
    with refused("seed", seed):
        TrainSettings(seed=seed)


@pytest.mark.parametrize("sigma", [(1, 2, 3), (1,), ()])
def test_a_noise_range_has_two_ends(refused, sigma):
    with refused("noise range", remedy="two"):
        TrainSettings(sigma=sigma)


@pytest.mark.parametrize("name", ["steps", "batch_size"])
def test_counts_are_whole_numbers(refused, name):
    with refused(name, "2.5", remedy="whole"):
        TrainSettings(**{name: 2.5})


def test_what_stands_for_a_setting_is_taken():
    settings = TrainSettings(objective="l1", patch_size=[32, 64], sigma=[1, 2])
    assert settings.objective == Objective("l1")
    assert settings.patch_sizes == (32, 64)
    assert settings.sigma_range == (1, 2)


def test_a_noise_range_that_is_no_number_is_refused(refused):
    with refused("'a'", remedy="two numbers"):
        TrainSettings(sigma="a")


def test_networks_with_a_sigmoid_map_the_whole_range():
    settings = TrainSettings()
    plain = settings.normalization_for(PRESETS["classic"])
    assert (plain.low, plain.high) == (0, 100)
    assert settings.normalization_for(PRESETS["residual"]) == Normalization()
    own = Normalization("fixed", offset=1, scale=2)
    assert TrainSettings(normalization=own).normalization_for(PRESETS["classic"]) is own


def test_a_seed_that_torch_has_not_is_refused(refused):
    assert TrainSettings(seed=2**64 - 1).seed == 2**64 - 1
    with refused("seed", str(2**64), remedy="at most"):
        TrainSettings(seed=2**64)
