import os
import signal
import threading

import pytest
from fashion import write_small_fashion_mnist
from typer.testing import CliRunner

from napari_ae_denoise import Denoiser, fashion_mnist, tutorial
from napari_ae_denoise._cli.fashion_mnist import NAMES
from napari_ae_denoise.cli import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    write_small_fashion_mnist(folder)
    monkeypatch.setenv(fashion_mnist.FOLDER_VARIABLE, str(folder))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def only_line(done, code=1):
    assert done.exit_code == code, done.output
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("napari-ae-denoise: ")]
    return line


@pytest.mark.parametrize("options", [[], ["--as-tutorial"], ["--network", "better"]])
def test_the_tutorial_is_gone_through(run, tmp_path, options):
    done = run("fashion-mnist", "--epochs", 0.1, "-o", "out", "--device", "cpu", *options)
    assert done.exit_code == 0, done.output
    assert sorted(os.listdir("out")) == sorted(NAMES)
    for word in ("Conv2d 3x3", "in all", "MSE", "PSNR", "SSIM", "noisy", "denoised", "wrote"):
        assert word in done.stdout
    assert "24 test images" in done.stdout
    denoiser = Denoiser.load(tmp_path / "out" / "autoencoder.safetensors")
    assert denoiser.card.training["steps_done"] == 5
    assert "is there already" in only_line(run("fashion-mnist", "--epochs", 0.1, "-o", "out"))
    again = run("fashion-mnist", "--epochs", 0.02, "-o", "out", "--overwrite", "--device", "cpu")
    assert again.exit_code == 0


def test_ctrl_c_keeps_the_best(run, tmp_path, monkeypatch):
    steps = tutorial.tutorial_steps

    def interrupted(*args, **how):
        inner = steps(*args, **how)
        yield next(inner)
        os.kill(os.getpid(), signal.SIGINT)
        return (yield from inner)

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(tutorial, "tutorial_steps", interrupted)
    done = run("fashion-mnist", "--epochs", 3, "-o", "out", "--device", "cpu")
    assert done.exit_code == 130
    assert sorted(os.listdir("out")) == sorted(NAMES)
    denoiser = Denoiser.load(tmp_path / "out" / "autoencoder.safetensors")
    assert denoiser.card.training["steps_done"] < 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--network", "huge"], ['"huge"', "classic"]),
        (["--network", "better", "--as-tutorial"], ['"better"']),
        (["--epochs", 0], ["epochs = 0"]),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_line(run, options, words):
    line = only_line(run("fashion-mnist", "-o", "out", *options))
    for word in words:
        assert word in line
    assert not os.path.exists("out")


def test_without_the_images_it_is_said_how_to_get_them(run, monkeypatch, tmp_path):
    import pooch

    def retrieve(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.delenv(fashion_mnist.FOLDER_VARIABLE)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "none")
    monkeypatch.setattr(fashion_mnist, "_cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    done = run("fashion-mnist", "-o", "out")
    assert done.exit_code == 1
    assert "dataset-fashion-mnist" in done.stderr.splitlines()[-1]


# ---- export


def test_a_model_is_exported_and_opens_again(run, untrained):
    untrained("classic").save("model.safetensors")
    for name in ("model.h5", "folder/model.keras"):
        done = run("export", "model.safetensors", "--to", "keras", "-o", name)
        assert done.exit_code == 0, done.output
        assert name in done.stdout
        expected = untrained("classic", edge="zero").card.network
        assert Denoiser.load(name).card.network == expected
    assert run("info", "model.h5").exit_code == 0
    assert "is there already" in only_line(
        run("export", "model.safetensors", "--to", "keras", "-o", "model.h5")
    )


def test_what_cannot_be_exported_is_refused_in_a_line(run, untrained):
    untrained("residual").save("model.safetensors")
    line = only_line(run("export", "model.safetensors", "--to", "keras", "-o", "a.h5"))
    assert "residual" in line
    assert run("export", "model.safetensors", "--to", "excel", "-o", "a.h5").exit_code == 2
    assert not os.path.exists("a.h5")
