"""Trainings that cannot be: refused before they start, with what to change."""

import numpy as np
import pytest

from napari_ae_denoise import NetworkSpec, Objective, Penalty, TrainingData, TrainSettings
from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.training import train, training_steps
from napari_ae_denoise.training_data import kind_in_words

PLAIN = NetworkSpec("plain", widths=(4,))
SKIPS = NetworkSpec("residual", widths=(4, 4), blocks=1, skips=True)
VARIATIONAL = NetworkSpec("plain", widths=(4,), variational=True)
SIGMOID = NetworkSpec("plain", widths=(4,), code_activation="sigmoid")
QUICK = {"steps": 1, "batch_size": 1, "patch_size": 16, "device": "cpu"}
IMAGE = np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8)


def begin(spec, *penalties, loss="mse", data=None, start=None, **settings):
    objective = Objective(loss, tuple(Penalty(name, 0.1) for name in penalties))
    how = TrainSettings(preset=spec, objective=objective, **(QUICK | settings))
    next(training_steps(data or TrainingData(clean=IMAGE), how, start=start))


@pytest.mark.parametrize(
    ("spec", "penalties", "settings", "words", "remedy"),
    [
        (PLAIN, ["variational"], {}, ["plain code"], "variational=True"),
        (VARIATIONAL, [], {}, ["variational", "no Gaussian"], "Penalty"),
        (VARIATIONAL, ["variational", "marginalized"], {}, ["noise of its own"], "one of the two"),
        (PLAIN, ["sparsity"], {}, ["between 0 and 1", "no sigmoid"], "activity-l1"),
        (SKIPS, ["contractive"], {}, ["contractive", "skip"], "without skips"),
        (SKIPS, ["activity-l1"], {}, ["activity-l1", "skip"], "without skips"),
        (SKIPS, ["marginalized"], {}, ["marginalized", "skip"], "without skips"),
        (PLAIN, ["marginalized"], {"loss": "l1"}, ["l1", "curvature"], "mse"),
        (PLAIN, ["marginalized"], {"sigma": 0}, ["nothing to marginalize"], "above 0"),
        (SKIPS, [], {"sigma": 0}, ["sigma 0", "copy"], "above 0"),
    ],
)
def test_contradictions_are_refused_with_what_to_change(
    refused, spec, penalties, settings, words, remedy
):
    with refused(*words, remedy=remedy):
        begin(spec, *penalties, **settings)


@pytest.mark.parametrize("sides", [{"noisy": IMAGE}, {"noisy": IMAGE, "noisy_again": IMAGE}])
def test_noise_is_marginalized_around_clean_images_only(refused, sides):
    words = {1: "these are noisy images only.", 2: "these are pairs of noisy images."}[len(sides)]
    with refused("clean images", words, remedy="clean"):
        begin(PLAIN, "marginalized", data=TrainingData(**sides), noise_sigma=5.0)


def test_a_fully_connected_preset_takes_images_of_one_size(refused):
    data = TrainingData(clean=[IMAGE, IMAGE[:20]])
    with refused("one size", "20 x 32", "32 x 32", remedy="Crop or scale"):
        begin("dense", data=data)


def test_a_fully_connected_network_takes_its_own_size_only(refused):
    spec = NetworkSpec("dense", widths=(4,), image_size=(16, 16))
    with refused("16 x 16", "32 x 32", remedy="Crop or scale"):
        begin(spec)


@pytest.mark.parametrize(
    ("spec", "penalty"),
    [
        (SKIPS, "weights-l1"),
        (SKIPS, "weights-l2"),
        (SIGMOID, "sparsity"),
        (SIGMOID, "contractive"),
        (VARIATIONAL, "variational"),
        (PLAIN, "activity-l1"),
        (PLAIN, "marginalized"),
    ],
)
def test_what_fits_is_trained(spec, penalty):
    begin(spec, penalty)


@pytest.mark.parametrize("changes", [{"wings": 2}, {"skips": "yes"}, {"code_channels": 0}])
def test_changes_that_make_no_network_are_refused(refused, changes):
    with refused(next(iter(changes))):
        TrainSettings(network_changes=changes)


def test_a_pretraining_that_is_not_known_is_refused(refused):
    with refused("pretraining", "greedy", remedy="layerwise"):
        TrainSettings(pretraining="greedy")


@pytest.mark.parametrize("sides", [{"clean": IMAGE}, {"noisy": IMAGE, "noisy_again": IMAGE}])
def test_a_noise_level_that_is_not_used_is_refused(refused, sides):
    words = kind_in_words(TrainingData(**sides).kind)
    with refused("noise_sigma = 7.0", f"these are {words}.", remedy="Leave it out"):
        begin(PLAIN, data=TrainingData(**sides), noise_sigma=7.0)


def test_a_blind_spot_needs_no_noise_level(refused):
    with refused("blind-spot", "7.0", remedy="recorrupted"):
        begin(PLAIN, data=TrainingData(noisy=IMAGE), noise_sigma=7.0, scheme="blind-spot")


@pytest.mark.parametrize(
    ("start", "kind", "words"),
    [
        ("classic", "linear", ["style 'plain' (not 'dense')", "linear False"]),
        ("residual", "autoencoder", ["skips True"]),
        ("classic", "sparse", ["code_activation"]),
        ("classic", "under-complete", ["2 code values"]),
        ("bottleneck", "over-complete", ["code values"]),
    ],
)
def test_a_start_that_is_none_of_the_kind_is_refused(refused, untrained, start, kind, words):
    with refused(kind, *words, remedy="Leave the kind out"):
        begin("classic", start=untrained(start), kind=kind)


@pytest.mark.parametrize(
    ("kind", "options", "words", "most"),
    [
        ("under-complete", {"depth": 1}, ["8 channels", "4 image values", "2 code"], "at most 3,"),
        ("under-complete", {"code_channels": 16}, ["16 channels", "1 code value"], "at most 15,"),
        ("over-complete", {"depth": 3}, ["64 channels", "64 image values"], "at least 65,"),
        ("over-complete", {"preset": "dense"}, ["1024 image values", "0.0625"], "at least 1025,"),
    ],
)
def test_a_code_is_as_large_as_its_kind_says(refused, kind, options, words, most):
    def first(**options):
        how = TrainSettings.of_kind(kind, **(QUICK | options))
        next(training_steps(TrainingData(clean=IMAGE), how))

    with refused(kind, *words, remedy=f"code_channels of {most}"):
        first(**options)
    first(**(options | {"code_channels": int(most.strip(",").split()[-1])}))


def test_a_start_of_the_kind_goes_on_whatever_its_code(untrained):
    begin("classic", start=untrained("bottleneck"), kind="under-complete")
    begin("classic", start=untrained("classic"), kind="denoising")


def test_a_model_for_colours_does_not_go_on_with_gray_images(refused, untrained):
    spec = NetworkSpec("plain", widths=(4,), channels=3)
    colours = Denoiser(ConvAutoencoder(spec), Card(network=spec))
    with refused("3 channels", "1 channel", remedy="natural-gray"):
        begin("classic", start=colours)
    begin("classic", start=colours, data=TrainingData(clean=np.stack([IMAGE] * 3, -1)))


def test_the_card_of_a_fine_tuned_model_describes_the_network_that_it_has(untrained):
    how = TrainSettings(**QUICK, preset="residual", network_changes={"code_channels": 9})
    data = TrainingData(clean=IMAGE)
    first = train(data, TrainSettings(**QUICK, preset="classic", network_changes={"skips": False}))
    facts = train(data, how, start=first).card.training
    assert (facts["preset"], facts["network_changes"]) == ("classic", {"skips": False})
    facts = train(data, how, start=untrained("classic")).card.training
    assert "preset" not in facts
    assert "network_changes" not in facts
