"""Kinds of autoencoders on the command line."""

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_ae_denoise import Denoiser, Penalty
from napari_ae_denoise.cli import app
from napari_ae_denoise.kinds import KINDS, settings_of

QUICK = ["--steps", "2", "--batch-size", "2", "--patch-size", "16", "--device", "cpu"]


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Return a function that trains on a small image and returns what the program said."""
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8)
    np.save("image.npy", image)

    def run(*words):
        words = ["train", "--clean", "image.npy", "-o", "m", *QUICK, *map(str, words)]
        return CliRunner().invoke(app, words)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_trained(train, kind):
    done = train("--kind", kind)
    assert done.exit_code == 0, done.output
    denoiser = Denoiser.load("m.safetensors")
    assert denoiser.card.training["kind"] == kind
    assert denoiser.card.penalties == settings_of(kind).objective.penalties
    assert denoiser.card.sigma == ((0, 0) if kind in ("autoencoder", "linear") else (0, 50))
    report = CliRunner().invoke(app, ["info", "m.safetensors"]).output
    assert kind in report
    for penalty in denoiser.card.penalties:
        assert str(penalty) in report


def test_options_of_a_kind_reach_the_training(train):
    words = ["--penalty-weight", 0.5, "--sparsity-target", 0.1, "--depth", 3, "--code-channels", 6]
    done = train("--kind", "sparse", *words)
    assert done.exit_code == 0, done.output
    card = Denoiser.load("m.safetensors").card
    assert card.penalties == (Penalty("sparsity", 0.5, target=0.1),)
    assert (card.network.widths, card.network.code_width) == ((32, 32, 32), 6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "generative"], "generative"),
        (["--penalty-weight", 1], "no option weight"),
        (["--kind", "sparse", "--penalty", "variational"], "variational"),
        (["--kind", "marginalized", "--loss", "l1"], "no curvature"),
        (["--kind", "marginalized", "--sigma", 0, 0], "nothing to marginalize"),
        (["--kind", "stacked", "--depth", 1], "one stage"),
    ],
)
def test_what_cannot_be_trained_is_refused(train, words, said):
    done = train(*words)
    assert done.exit_code == 1
    assert said in done.output


def test_the_help_names_every_kind():
    # words may be broken at their hyphens, and lines end with a frame
    text = "".join(CliRunner().invoke(app, ["train", "--help"]).output.split())
    assert all(kind in text for kind in KINDS)
