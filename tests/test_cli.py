import dataclasses
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from typer.main import get_command
from typer.testing import CliRunner

from napari_ae_denoise import Denoiser, __version__, add_camera_noise, add_gaussian_noise
from napari_ae_denoise._cli import display, jobs
from napari_ae_denoise.cli import app
from napari_ae_denoise.done_record import DoneRecord
from napari_ae_denoise.image_files import read_image, write_image
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.tile_runner import TileRunner

COMMANDS = ["demo", "noise", "train", "denoise", "encode", "compare", "info"]
COMMANDS += ["export", "fashion-mnist"]
COLOUR_SPEC = NetworkSpec("residual", channels=3, widths=(6, 8), blocks=1, skips=True, stem=2)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


@pytest.fixture
def fails(run):
    """Run a command that must fail in one line with some words, and leave the folder as it was."""

    def call(*words, says=(), code=1):
        before = listing()
        done = run(*words)
        assert done.exit_code == code, done.output
        lines = [x for x in done.stderr.splitlines() if x.startswith("napari-ae-denoise: ")]
        assert len(lines) == 1, done.stderr
        assert "Traceback" not in done.output
        for word in says:
            assert word in lines[0]
        assert lines[0].rstrip()[-1] in ".!"
        assert lines[0].count(". ") >= 1  # a cause and a remedy
        assert listing() == before
        return lines[0]

    return call


def listing():
    return sorted(os.listdir("."))


@pytest.fixture
def model(tmp_path, untrained):
    """An untrained denoiser of one channel, in a file."""
    path = tmp_path / "model.safetensors"
    untrained("bottleneck").renamed("tiny").save(path)
    return path


@pytest.fixture
def picture(tmp_path, camera):
    write_image(tmp_path / "camera.png", camera[:64, :80])
    return tmp_path / "camera.png"


def read(path):
    return np.asarray(read_image(path).array)


# ---- help


def test_the_first_help_names_every_command(run):
    done = run("--help")
    assert done.exit_code == 0
    for command in COMMANDS:
        assert f"  {command} " in done.stdout
    assert run().exit_code == 2  # nothing was asked for


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_a_word_on_each_option(run, command):
    done = run(command, "--help")
    assert done.exit_code == 0
    assert "Usage" in done.stdout
    parameters = get_command(app).commands[command].params
    assert parameters
    for parameter in parameters:
        assert parameter.help, parameter.name
        first = parameter.help.split()[0]
        assert first in done.stdout


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("noise", ["grey values", "data range"]),
        ("train", ["grey values", "pixels"]),
        ("denoise", ["pixels", "From 0"]),
        ("demo", ["seconds"]),
        ("compare", ["grey values", "dB"]),
    ],
)
def test_help_tells_the_units(run, command, words):
    text = " ".join(run(command, "--help").stdout.split())
    for word in words:
        assert word in text


def test_the_version_is_printed(run):
    assert run("--version").stdout.strip() == f"napari-ae-denoise {__version__}"


def test_help_loads_no_torch():
    code = (
        "import sys, json\n"
        "from napari_ae_denoise.cli import app\n"
        "try:\n    app(['train', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "sys.stderr.write(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stderr)}
    assert not loaded & {"torch", "skimage", "matplotlib", "dask", "zarr", "napari", "qtpy"}


@pytest.mark.parametrize(
    "words",
    [
        ["noise"],
        ["noise", "a.tif", "-o", "b.tif"],
        ["noise", "a.tif", "-o", "b.tif", "--sigma", "much"],
        ["noise", "a.tif", "-o", "b.tif", "--sigma", "1", "--seed", "-1"],
        ["denoise", "a.tif", "-o", "b.tif", "-m", "m.safetensors", "--dtype", "complex64"],
        ["denoise", "a.tif", "-o", "b.tif", "-m", "m.safetensors", "--dtype", "nonsense"],
        ["train", "-o", "m"],
        ["train", "-o", "m", "--clean"],
        ["train", "-o", "m", "--clean", "a.tif", "--sigma", "5"],
        ["no-such-command"],
        ["info", "--no-such-option"],
    ],
)
def test_bad_usage_ends_with_2(run, words):
    done = run(*words)
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert listing() == []


# ---- noise


def test_noise_is_that_of_the_function(run, picture):
    done = run("noise", picture, "-o", "noisy.tif", "--sigma", 12, "--mean", 3, "--seed", 5)
    assert done.exit_code == 0
    expected = add_gaussian_noise(read(picture), 12, mean=3, seed=5)
    np.testing.assert_array_equal(read("noisy.tif"), expected)
    assert not np.array_equal(expected, read(picture))


def test_relative_noise_and_clipping_reach_the_function(run):
    image = np.random.default_rng(0).random((32, 32)).astype(np.float32) * 2
    np.save("a.npy", image)
    done = run("noise", "a.npy", "-o", "b.npy", "--sigma", 0.5, "--relative", "--clip")
    assert done.exit_code == 0
    expected = add_gaussian_noise(image, 0.5, relative=True, clip=True, seed=0)
    np.testing.assert_array_equal(np.load("b.npy"), expected)


def test_several_images_get_different_noise(run):
    os.mkdir("in")
    for name in ("a.tif", "b.tif"):
        write_image(f"in/{name}", np.full((32, 32), 100, np.float32))
    assert run("noise", "in", "-o", "out", "--sigma", 5).exit_code == 0
    a, b = read("out/a.tif"), read("out/b.tif")
    assert a.std() == pytest.approx(5, rel=0.1)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.1


def test_axes_decide_what_is_alpha(run):
    np.save("a.npy", np.full((9, 9, 4), 100, np.float32))
    assert run("noise", "a.npy", "-o", "colours.npy", "--sigma", 5).exit_code == 0
    assert (np.load("colours.npy")[..., 3] == 100).all()
    assert run("noise", "a.npy", "-o", "stack.npy", "--sigma", 5, "--axes", "YXN").exit_code == 0
    assert np.load("stack.npy")[..., 3].std() > 1


def test_noise_is_added_to_zarr_lazily(run):
    image = np.full((3, 40, 40), 100, np.float32)
    write_image("a.zarr", image, axes="ZYX")
    assert run("noise", "a.zarr", "-o", "b.zarr", "--sigma", 5, "--seed", 2).exit_code == 0
    np.testing.assert_array_equal(read("b.zarr"), add_gaussian_noise(image, 5, seed=2))
    assert read_image("b.zarr").axes == "ZYX"


def test_noise_of_a_camera_is_that_of_the_function(run, picture):
    done = run("noise", picture, "-o", "noisy.tif", "--gain", 4, "--read-noise", 2, "--offset", 9)
    assert done.exit_code == 0
    expected = add_camera_noise(read(picture), 4, read_noise=2, offset=9, seed=0)
    np.testing.assert_array_equal(read("noisy.tif"), expected)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--sigma", 3, "--gain", 2],
        ["--sigma", 3, "--read-noise", 2],
        ["--gain", 2, "--mean", 1],
    ],
)
def test_noise_is_of_one_kind(run, picture, options):
    done = run("noise", picture, "-o", "noisy.tif", *options)
    assert done.exit_code == 2
    assert "--sigma" in done.stderr


@pytest.mark.parametrize("sigma", ["-1", "nan", "inf"])
def test_impossible_noise_is_refused(fails, picture, sigma):
    fails("noise", picture, "-o", "b.tif", "--sigma", sigma, says=[sigma.lstrip("-")])


def test_noise_that_changes_nothing_is_refused_before_anything_is_made(fails, picture):
    write_image("b.png", read(picture))
    line = fails("noise", picture, "b.png", "-o", "out", "--sigma", 0)
    assert line == (
        "napari-ae-denoise: Noise of sigma 0 and mean 0 changes nothing. Give sigma above 0."
    )


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), ["Memory ran out", "smaller"]),
        (OSError(28, "No space left on device"), ["No space left on device", "Check"]),
    ],
    ids=["memory", "disk"],
)
def test_a_batch_goes_on_after_an_image_that_memory_or_disk_fails(run, monkeypatch, error, says):
    os.mkdir("in")
    for name in ("a.tif", "b.tif", "c.tif"):
        write_image(f"in/{name}", np.full((32, 32), 100, np.float32))
    add = jobs.add_noise_to

    def fails_once(path, *args, **how):
        if path.name == "b.tif":
            raise error
        add(path, *args, **how)

    monkeypatch.setattr(jobs, "add_noise_to", fails_once)
    done = run("noise", "in", "-o", "out", "--sigma", 5)
    assert done.exit_code == 1
    assert sorted(os.listdir("out")) == ["a.tif", "c.tif"]
    first, last = (x for x in done.stderr.splitlines() if x.startswith("napari-ae-denoise: "))
    assert "b.tif: " in first
    assert first.count(". ") >= 1
    assert all(word in first for word in says)
    assert "1 of 3 images failed" in last


# ---- outputs are never lost


def test_an_output_that_is_there_is_kept(run, fails, picture, model):
    write_image("out.tif", np.zeros((4, 4), np.uint8))
    for words in (
        ["noise", picture, "-o", "out.tif", "--sigma", 5],
        ["denoise", picture, "-o", "out.tif", "-m", model],
        ["denoise", picture, "-o", "new.tif", "-m", model, "--latent", "out.tif"],
        ["encode", picture, "-o", "out.tif", "-m", model],
    ):
        fails(*words, says=["out.tif is there already", "overwritten or skipped"])
    assert read("out.tif").shape == (4, 4)
    assert run("noise", picture, "-o", "out.tif", "--sigma", 5, "--overwrite").exit_code == 0
    assert read("out.tif").shape == (64, 80)


def test_a_model_that_is_there_is_kept(fails, picture, model):
    before = model.read_bytes()
    fails("train", "--clean", picture, "-o", "model", says=["is there already"])
    words = ["train", "--clean", picture, "--from", model, "-o", model, "--overwrite"]
    fails(*words, says=["is an input"])
    assert model.read_bytes() == before


@pytest.mark.parametrize("output", ["camera.png", "./camera.png", "."])
def test_an_input_is_never_written_over(fails, picture, model, output):
    before = picture.read_bytes()
    fails("noise", picture, "-o", output, "--sigma", 5, "--overwrite", says=["is an input"])
    words = ["denoise", picture, "-o", output, "-m", model, "--overwrite"]
    fails(*words, says=["is an input"])
    assert picture.read_bytes() == before


def test_a_folder_around_an_input_is_never_written_over(fails, tmp_path, model):
    values = np.random.default_rng(0).integers(0, 999, (70, 80), "u2")
    zarr.open_group("in.zarr", mode="w").create_array("0", data=values)
    os.symlink("in.zarr", "link.zarr")
    for output in ("in.zarr", "link.zarr"):
        words = ["noise", "in.zarr/0", "-o", output, "--sigma", 5, "--overwrite"]
        fails(*words, says=[output, "holds the input in.zarr/0"])
        words = ["denoise", "in.zarr/0", "-o", output, "-m", model, "--overwrite"]
        fails(*words, says=[output, "holds the input in.zarr/0"])
    np.testing.assert_array_equal(zarr.open_array("in.zarr/0", mode="r")[:], values)


def test_two_results_never_go_to_one_file(fails, picture, model):
    os.mkdir("other")
    write_image("other/camera.png", read(picture))
    fails("noise", picture, "other", "-o", "out", "--sigma", 1, says=["both be written to"])
    words = ["denoise", picture, "-o", "x.tif", "--latent", "x.tif", "-m", model]
    fails(*words, says=["Two results", "x.tif"])


def test_several_results_need_a_folder(fails, picture):
    write_image("b.png", read(picture))
    write_image("out.tif", np.zeros((4, 4), np.uint8))
    fails("noise", picture, "b.png", "-o", "out.tif", "--sigma", 1, says=["is a file", "2 results"])


# ---- denoise, encode


def test_denoise_is_that_of_the_denoiser(run, picture, model):
    done = run("denoise", picture, "-o", "out.tif", "-m", model, "--precision", "float32")
    assert done.exit_code == 0, done.output
    expected = Denoiser.load(model).denoise(read(picture), precision="float32")
    np.testing.assert_array_equal(read("out.tif"), expected)
    assert "camera.png" in done.stderr  # the progress bar
    assert "100%" in done.stderr
    assert done.stdout == ""


def test_strength_and_type_reach_the_denoiser(run, picture, model):
    words = ["-m", model, "--precision", "float32", "--tile", 32, "--dtype", "float32"]
    assert run("denoise", picture, "-o", "a.tif", "--strength", 0.25, *words).exit_code == 0
    expected = Denoiser.load(model).denoise(
        read(picture), precision="float32", dtype="float32", strength=0.25
    )
    assert read("a.tif").dtype == np.float32
    np.testing.assert_allclose(read("a.tif"), expected, atol=1e-3)


def test_latent_code_and_removed_noise_are_written(run, picture, model):
    words = ["--precision", "float32", "--latent", "l.tif", "--noise", "n.npy"]
    assert run("denoise", picture, "-o", "out.tif", "-m", model, *words).exit_code == 0
    code = Denoiser.load(model).encode(read(picture), precision="float32")
    np.testing.assert_allclose(read("l.tif"), code, atol=1e-5)
    assert read_image("l.tif").axes == "CYX"
    np.testing.assert_array_equal(
        read("n.npy"), read(picture).astype(np.float32) - read("out.tif").astype(np.float32)
    )


@pytest.mark.parametrize("ending", [".npy", ".tif", ".zarr"])
def test_encode_writes_the_code(run, picture, model, ending):
    done = run("encode", picture, "-o", f"c{ending}", "-m", model, "--precision", "float32")
    assert done.exit_code == 0, done.output
    expected = Denoiser.load(model).encode(read(picture), precision="float32")
    np.testing.assert_allclose(read(f"c{ending}"), expected, atol=1e-5)


@pytest.mark.parametrize("noise_model", ["gaussian", "camera"])
def test_the_noise_model_is_chosen_and_what_was_estimated_is_said(run, model, noise_model):
    trained = Denoiser.load(model)
    card = replace(trained.card, data_kind="clean", sigma=(0.0, 90.0))
    told = Denoiser(trained.network, card).save("told.safetensors")
    light = np.tile(np.linspace(20, 400, 160), (120, 1))
    np.save("a.npy", np.random.default_rng(0).poisson(light).astype(np.float32))
    how = ["-m", told, "--noise-model", noise_model, "--precision", "float32"]
    done = run("denoise", "a.npy", "-o", "b.npy", "--latent", "l.npy", *how)
    assert done.exit_code == 0, done.output
    word = "Estimated Gaussian noise: sigma" if noise_model == "gaussian" else "Estimated camera"
    assert word in done.stderr
    assert run("encode", "a.npy", "-o", "c.npy", *how).exit_code == 0
    np.testing.assert_allclose(read("c.npy"), read("l.npy"), atol=1e-5)
    other = "camera" if noise_model == "gaussian" else "gaussian"
    assert run("encode", "a.npy", "-o", "d.npy", *how, "--noise-model", other).exit_code == 0
    assert np.abs(read("d.npy") - read("l.npy")).max() > 1e-3


def test_an_unknown_noise_model_is_refused(fails, picture, model):
    for command in ("denoise", "encode"):
        words = ["-o", "x.npy", "-m", model, "--noise-model", "hiss"]
        fails(command, picture, *words, says=["hiss", "camera"])


def test_pixel_size_follows_the_image_and_the_code(run, model):
    tifffile.imwrite(
        "a.tif",
        np.random.default_rng(0).integers(0, 4000, (2, 32, 40)).astype(np.uint16),
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"},
    )
    assert run("denoise", "a.tif", "-o", "b.tif", "-m", model, "--latent", "l.tif").exit_code == 0
    image, code = read_image("b.tif"), read_image("l.tif")
    assert image.array.dtype == np.uint16
    assert (image.axes, image.unit) == ("ZYX", "micrometer")
    assert dict(image.spacing) == pytest.approx({"Z": 2.0, "Y": 0.25, "X": 0.25})
    stride = Denoiser.load(model).stride
    assert code.spacing["Y"] == pytest.approx(0.25 * stride)
    assert code.spacing["Z"] == 2.0
    assert sorted(code.axes) == sorted("CZYX")


def test_zarr_is_denoised_lazily_and_alike(run, model):
    image = np.random.default_rng(0).integers(0, 4000, (2, 50, 70)).astype(np.uint16)
    write_image("a.zarr", image, axes="ZYX")
    words = ["-m", model, "--precision", "float32", "--latent", "l.zarr", "--noise", "n.zarr"]
    done = run("denoise", "a.zarr", "-o", "b.zarr", *words)
    assert done.exit_code == 0, done.output
    denoiser = Denoiser.load(model)
    expected = denoiser.denoise(image, precision="float32").astype(int)
    assert np.abs(read("b.zarr").astype(int) - expected).max() <= 1
    np.testing.assert_allclose(
        read("l.zarr"), denoiser.encode(image, precision="float32"), atol=1e-4
    )
    np.testing.assert_allclose(read("n.zarr"), image - read("b.zarr").astype(np.float32))


def test_the_network_runs_once_for_the_image_and_its_noise(run, model, monkeypatch):
    write_image("a.zarr", np.random.default_rng(0).integers(0, 99, (50, 70), np.uint16), axes="YX")
    passes, usual = [], TileRunner.__call__

    def call(self, windows, *more, **how):
        passes.append(len(windows))
        return usual(self, windows, *more, **how)

    monkeypatch.setattr(TileRunner, "__call__", call)
    done = run("denoise", "a.zarr", "-o", "b.tif", "-m", model, "--noise", "n.tif")
    assert done.exit_code == 0, done.output
    assert sum(passes) == 1
    np.testing.assert_array_equal(read("n.tif"), read("a.zarr") - read("b.tif").astype("f4"))


def test_an_unfinished_zarr_is_gone_on_with_and_another_refused(run, model):
    image = np.random.default_rng(0).integers(0, 4000, (2, 150, 170)).astype(np.uint16)
    write_image("a.ome.zarr", image, axes="ZYX")
    words = ["denoise", "a.ome.zarr", "-o", "b.zarr", "-m", model, "--tile", 64]
    stop = threading.Event()
    stop.set()
    source, denoiser = read_image("a.ome.zarr"), Denoiser.load(model)
    denoiser.denoise(source.array, axes="ZYX", tile=64, to="b.zarr", stop=stop)
    done = run(*words)
    assert done.exit_code == 0, done.output
    back = read_image("b.zarr")
    assert (back.axes, back.flavour) == ("ZYX", "ome")
    whole = denoiser.denoise(source.array, axes="ZYX", tile=64, to="c.zarr")
    np.testing.assert_array_equal(back.array, whole)
    again = run(*words)
    assert again.exit_code == 0
    assert "there to 100%" in again.stderr
    other = run(*words, "--strength", "0.5")
    assert other.exit_code == 1
    assert "another settings" in other.stderr
    assert run(*words, "--strength", "0.5", "--overwrite").exit_code == 0
    for command, says in (
        (["noise", "--sigma", 3], "is there already"),
        (["encode", "-m", model], "latent code"),
    ):
        done = run(command[0], "a.ome.zarr", "-o", "b.zarr", *command[1:])
        assert done.exit_code == 1
        assert says in done.stderr
    write_image("d.tif", image, axes="ZYX")
    done = run("denoise", "d.tif", "-o", "b.zarr", "-m", model)
    assert done.exit_code == 1
    assert "is there already" in done.stderr


def test_a_code_goes_straight_to_zarr_and_is_gone_on_with(run, model):
    image = np.random.default_rng(0).normal(1000, 200, (2, 160, 170)).astype("u2")
    write_image("a.ome.zarr", image, axes="ZYX")
    source, denoiser = read_image("a.ome.zarr"), Denoiser.load(model)
    whole = denoiser.encode(image, axes="ZYX", precision="float32")
    words = ["-m", model, "--tile", 64, "--precision", "float32"]
    stop = threading.Event()
    stop.set()
    denoiser.encode(source.array, axes="ZYX", tile=64, precision="float32", to="c.zarr", stop=stop)
    assert DoneRecord.load(Path("c.zarr")).finished == 0
    assert run("encode", "a.ome.zarr", "-o", "c.zarr", *words).exit_code == 0
    assert DoneRecord.load(Path("c.zarr")).finished == 1
    np.testing.assert_allclose(read("c.zarr"), whole, atol=1e-4)
    more = ["-o", "b.tif", "--latent", "d.zarr", *words]
    assert run("denoise", "a.ome.zarr", *more).exit_code == 0
    np.testing.assert_array_equal(read("d.zarr"), read("c.zarr"))
    done = run("encode", "a.ome.zarr", "-o", "b.tif", *words)
    assert (done.exit_code, "already" in done.stderr) == (1, True)


def test_a_lazy_image_is_sampled_once_for_result_and_code(run, model, monkeypatch):
    image = np.random.default_rng(0).normal(1000, 200, (80, 90)).astype("u2")
    write_image("a.zarr", image, axes="YX")
    seen = []
    usual = Denoiser.resolve
    monkeypatch.setattr(Denoiser, "resolve", lambda *how: seen.append(1) or usual(*how))
    for ending in ("zarr", "tif"):
        outputs = ["-o", f"b.{ending}", "--latent", f"c.{ending}"]
        assert run("denoise", "a.zarr", *outputs, "-m", model).exit_code == 0
    assert len(seen) == 2


def test_a_level_of_an_ome_zarr_image_is_chosen(run, model):
    image = np.random.default_rng(0).integers(0, 4000, (600, 700)).astype(np.uint16)
    write_image("a.ome.zarr", image, axes="YX")
    words = ["-m", model, "--precision", "float32"]
    assert run("denoise", "a.ome.zarr", "-o", "b.zarr", "--tile", 64, *words).exit_code == 0
    assert run("denoise", "b.zarr", "-o", "c.zarr", "--level", 1, *words).exit_code == 0
    assert read("c.zarr").shape == (300, 350)
    done = run("denoise", "b.zarr", "-o", "d.zarr", "--level", 9, *words)
    assert done.exit_code == 1
    assert "none of number 9" in done.stderr
    write_image("e.tif", image)
    assert run("denoise", "e.tif", "-o", "f.tif", "--level", 1, *words).exit_code == 1


def test_ctrl_c_keeps_the_finished_tiles(run, model, monkeypatch):
    image = np.random.default_rng(0).integers(0, 4000, (150, 170)).astype(np.uint16)
    write_image("a.zarr", image, axes="YX")
    usual = TileRunner.__call__

    def interrupted(self, *args, **more):  # after the tile: the one in the network is given up
        made = usual(self, *args, **more)
        signal.raise_signal(signal.SIGINT)
        return made

    words = ["denoise", "a.zarr", "-o", "b.zarr", "-m", model, "--tile", 64]
    with monkeypatch.context() as patched:
        patched.setattr(TileRunner, "__call__", interrupted)
        done = run(*words)
    assert done.exit_code == 130
    assert "the same command goes on" in done.stderr
    assert DoneRecord.load(Path("b.zarr")).finished == pytest.approx(1 / 9)
    assert run(*words).exit_code == 0
    assert DoneRecord.load(Path("b.zarr")).finished == 1


def test_channels_of_the_image_are_a_stack_in_its_code(run, model):
    write_image(
        "a.tif", np.random.default_rng(0).random((2, 24, 24)).astype(np.float32), axes="CYX"
    )
    assert run("encode", "a.tif", "-o", "c.tif", "-m", model).exit_code == 0
    code = read_image("c.tif")
    assert sorted(code.axes) == sorted("CNYX")
    assert code.array.shape[code.axes.index("C")] == Denoiser.load(model).card.network.code_width


def test_a_batch_goes_on_after_an_image_that_fails(run, picture, model):
    os.mkdir("in")
    write_image("in/a.png", read(picture))
    write_image("in/b.png", np.full((32, 32), 9, np.uint8))
    write_image("in/c.png", read(picture))
    done = run("denoise", "in", "gone.png", "-o", "out", "-m", model)
    assert done.exit_code == 1
    assert sorted(os.listdir("out")) == ["a.png", "c.png"]
    lines = [x for x in done.stderr.splitlines() if x.startswith("napari-ae-denoise: ")]
    assert "b.png" in lines[0]
    assert "constant" in lines[0]
    assert "no image file or folder gone.png" in lines[1]
    assert "2 of 4 images failed" in lines[-1]


def test_nan_pixels_are_reported_and_put_back(run, model):
    image = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    image[3, 4] = np.nan
    image[20, 20:22] = np.inf
    np.save("a.npy", image)
    done = run("denoise", "a.npy", "-o", "b.npy", "-m", model)
    assert done.exit_code == 0
    note = next(line for line in done.stderr.splitlines() if "note" in line)
    assert "3 pixels are NaN or infinite" in note
    made = np.load("b.npy")
    np.testing.assert_array_equal(np.isnan(made), np.isnan(image))
    assert np.isposinf(made[20, 20:22]).all()


# ---- what cannot be done: one line, exit 1


BAD_IMAGES = {
    "complex": (np.ones((16, 16), np.complex64), (), ["complex"]),
    "constant": (np.full((16, 16), 5, np.uint16), (), ["constant", "5"]),
    "all NaN": (np.full((16, 16), np.nan, np.float32), (), ["no finite"]),
    "no pixels": (np.zeros((0, 16), np.uint8), (), ["no pixels", "(0, 16)"]),
    "axes too many": (np.eye(16), ("--axes", "ZYX"), ["ZYX", "(16, 16)"]),
    "axes unknown": (np.eye(16), ("--axes", "YQ"), ["Q"]),
    "axes doubled": (np.eye(16), ("--axes", "YY"), ["twice"]),
    "one axis": (np.arange(16), (), ["(16,)", "axes"]),
    "text": (np.array([["a", "b"], ["c", "d"]]), (), ["no numbers"]),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
@pytest.mark.parametrize("command", ["denoise", "encode"])
def test_bad_images_are_refused(fails, model, case, command):
    image, more, says = BAD_IMAGES[case]
    np.save("a.npy", image)
    fails(command, "a.npy", "-o", "b.tif", "-m", model, *more, says=says)


@pytest.mark.parametrize("case", ["complex", "constant", "all NaN", "no pixels", "axes too many"])
def test_bad_images_are_no_training_data(fails, case):
    image, more, says = BAD_IMAGES[case]
    np.save("a.npy", image)
    fails("train", "--clean", "a.npy", "-o", "m", "--steps", 1, *more, says=says)


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("denoise", ["-o", "b.tif", "-m", "model.safetensors"]),
        ("encode", ["-o", "b.tif", "-m", "model.safetensors"]),
        ("noise", ["-o", "b.tif", "--sigma", "5"]),
        ("compare", ["camera.png"]),
    ],
)
def test_a_missing_image_is_named(fails, model, picture, command, more):
    fails(command, "missing.tif", *more, says=["no image file", "missing.tif"])


def test_channels_that_do_not_fit_the_model_are_refused(fails, untrained, picture):
    untrained(COLOUR_SPEC).save("colour.safetensors")
    write_image("two.tif", np.random.default_rng(0).random((2, 16, 16)), axes="CYX")
    fails(
        *["denoise", "two.tif", "-o", "b.tif", "-m", "colour.safetensors"],
        says=["3 channels", "has 2"],
    )


def damaged_models(path):
    """Return files that are no model, by case."""
    blob = path.read_bytes()
    length = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + length])
    card = json.loads(header["__metadata__"]["card"])
    header["__metadata__"]["card"] = json.dumps(card | {"format": 99})
    newer = json.dumps(header).encode()
    return {
        "truncated": (blob[: len(blob) // 2], "announced"),
        "cut in the header": (blob[:40], "cut off"),
        "empty": (b"", "0 bytes"),
        "renamed picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        "renamed keras": (b"\x89HDF\r\n\x1a\n" + bytes(100), "Keras"),
        "pickle": (pickle.dumps({"weights": [1, 2, 3] * 100}), "pickle"),
        "newer": (len(newer).to_bytes(8, "little") + newer + blob[8 + length :], "Update"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "truncated",
        "cut in the header",
        "empty",
        "renamed picture",
        "renamed keras",
        "pickle",
        "newer",
    ],
)
def test_files_that_are_no_model_are_refused(fails, picture, model, case):
    blob, word = damaged_models(model)[case]
    with open("bad.safetensors", "wb") as file:
        file.write(blob)
    fails("denoise", picture, "-o", "b.tif", "-m", "bad.safetensors", says=[word])
    fails("info", "bad.safetensors", says=[word])


def test_a_model_that_is_not_there_is_named(fails, picture):
    fails("denoise", picture, "-o", "b.tif", "-m", "gone.safetensors", says=["gone.safetensors"])
    fails("info", "no-such-name", says=["no-such-name", "no bundled model"])


def test_what_the_output_cannot_hold_is_refused_before_the_work(fails, model, monkeypatch):
    monkeypatch.setattr(Denoiser, "predict_steps", None)  # any work would be a fault
    np.save("a.npy", np.random.default_rng(0).random((16, 16)))
    fails("denoise", "a.npy", "-o", "b.png", "-m", model, says=["PNG", "float64"])
    fails("encode", "a.npy", "-o", "c.png", "-m", model, says=["PNG", "float32"])
    fails("denoise", "a.npy", "-o", "b.gif", "-m", model, says=[".gif"])
    fails("denoise", "a.npy", "-o", "nowhere/b.tif", "-m", model, says=["nowhere"])


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--strength", "2"], "strength 2"),
        (["--tile", "0"], "0 pixels"),
        (["--device", "abacus"], "abacus"),
        (["--precision", "float7"], "float7"),
    ],
)
def test_impossible_settings_are_refused(fails, picture, model, more, word):
    fails("denoise", picture, "-o", "b.tif", "-m", model, *more, says=[word])


# ---- train


QUICK = ["--steps", 4, "--batch-size", 2, "--patch-size", 16, "--device", "cpu"]


def test_training_on_clean_images_makes_a_model(run, picture):
    done = run("train", "--clean", picture, "-o", "made", "--preset", "classic", *QUICK)
    assert done.exit_code == 0, done.output
    card = Denoiser.load("made.safetensors").card
    assert (card.name, card.data_kind, card.sigma) == ("made", "clean", (0.0, 50.0))
    assert "validation PSNR" in done.stdout
    assert f"{card.metrics['validation_psnr']:.2f} dB" in done.stdout
    assert "made.safetensors" in done.stdout
    assert "4 steps" in done.stdout
    assert "left" in done.stderr
    assert "100%" in done.stderr


def test_options_of_several_paths_are_given_as_the_shell_gives_them(run, picture):
    write_image("b.png", read(picture)[::-1])
    words = ["--clean", picture, "b.png", "--noisy", "n1.png", "n2.png"]
    for name, source in (("n1.png", picture), ("n2.png", "b.png")):
        write_image(name, add_gaussian_noise(read(source), 20, seed=1))
    done = run("train", *words, "-o", "made", "--preset", "classic", "--loss", "l1", *QUICK)
    assert done.exit_code == 0, done.output
    card = Denoiser.load("made.safetensors").card
    assert (card.data_kind, card.objective, card.sigma) == ("pairs", "l1", None)


def test_two_noisy_folders_are_trained_on(run, picture):
    for folder, seed in (("one", 1), ("two", 2)):
        os.mkdir(folder)
        write_image(f"{folder}/a.png", add_gaussian_noise(read(picture), 20, seed=seed))
    done = run(
        *["train", "--noisy", "one", "--noisy-again", "two", "-o", "made"],
        *["--preset", "classic", *QUICK],
    )
    assert done.exit_code == 0, done.output
    assert Denoiser.load("made.safetensors").card.data_kind == "two noisy"


def test_the_same_seed_trains_the_same_model(run, picture):
    words = ["train", "--clean", picture, "--preset", "classic", "--seed", 3, *QUICK]
    for name in ("a", "b"):
        assert run(*words, "-o", name).exit_code == 0
    a, b = (Denoiser.load(f"{n}.safetensors").denoise(read(picture)) for n in "ab")
    np.testing.assert_array_equal(a, b)


def test_fine_tuning_goes_on_from_a_model(run, picture, model):
    words = ["train", "--clean", picture, "--from", model, "--learning-rate", 1e-9, *QUICK]
    assert run(*words, "-o", "made").exit_code == 0
    made = Denoiser.load("made.safetensors")
    assert made.card.network == Denoiser.load(model).card.network
    assert made.card.training["started_from"] == "tiny"
    expected = Denoiser.load(model).denoise(read(picture), precision="float32").astype(int)
    assert np.abs(made.denoise(read(picture), precision="float32") - expected).max() <= 1


def test_a_training_is_resumed_from_its_checkpoint(run, picture):
    words = ["train", "--clean", picture, "--preset", "classic", "--checkpoint", "state", *QUICK]
    assert run(*words, "-o", "a").exit_code == 0
    words[words.index("--steps") + 1] = 7
    done = run(*words, "-o", "b")
    assert done.exit_code == 0, done.output
    assert "7 steps" in done.stdout


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--sigma", "20", "10"], "20.0 to 10.0"),
        (["--sigma", "-1", "10"], "-1.0"),
        (["--preset", "huge"], "huge"),
        (["--loss", "mood"], "mood"),
        (["--steps", "0"], "steps = 0"),
        (["--epochs", "1", "--minutes", "1"], "several lengths"),
        (["--batch-size", "0"], "batch_size = 0"),
        (["--patch-size", "0"], "0 pixels"),
        (["--device", "abacus"], "abacus"),
        (["--noisy", "missing.png"], "missing.png"),
        (["--scheme", "guess"], "guess"),
        (["--noise-sigma", "-2"], "noise_sigma = -2"),
        (["--noise", "hiss"], "hiss"),
    ],
)
def test_impossible_trainings_are_refused(fails, picture, more, word):
    fails("train", "--clean", picture, "-o", "m", *more, says=[word])


@pytest.mark.parametrize(
    ("sides", "words", "said"),
    [
        (["--noisy"], ["--sigma", 0, 10], "--sigma is noise that is added to clean"),
        (["--noisy"], ["--noise", "camera"], "--noise is noise that is added to clean"),
        (["--noisy"], ["--relative"], "--relative is noise that is added to clean"),
        (["--clean", "--noisy"], ["--sigma", 0, 10], "--sigma is noise that is added to clean"),
        (["--clean"], ["--noise-sigma", 7], "--noise-sigma is for --noisy images alone"),
        (["--clean"], ["--scheme", "blind-spot"], "--scheme is for --noisy images alone"),
        (["--noisy", "--noisy-again"], ["--scheme", "blind-spot"], "--scheme is for --noisy"),
        (["--clean"], ["--relative"], "--sigma 0 0.2"),
        (["--clean"], ["--from", "m", "--preset", "residual"], "--preset describes a new network"),
        (["--clean"], ["--from", "m", "--depth", 1], "--depth describes a new network"),
        (["--clean"], ["--from", "m", "--code-channels", 9], "--code-channels describes a new"),
    ],
)
def test_options_that_would_not_be_used_are_bad_usage(run, picture, model, sides, words, said):
    images = [word for side in sides for word in (side, picture)]
    done = run("train", *images, "-o", "made", *[model if w == "m" else w for w in words], *QUICK)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert not os.path.exists("made.safetensors")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--noisy", "--noise-sigma", 7, "--scheme", "blind-spot"], "blind-spot"),
        (["--clean", "--from", "m", "--kind", "linear"], "linear"),
    ],
)
def test_trainings_that_contradict_themselves_are_refused(fails, picture, model, words, said):
    words = [model if word == "m" else word for word in words]
    fails("train", words[0], picture, *words[1:], "-o", "made", *QUICK, says=[said])


def test_noisy_images_alone_are_enough(run, picture):
    words = ["--steps", "3", "--batch-size", "2", "--patch-size", "16", "--device", "cpu"]
    for scheme in ("recorrupted", "blind-spot"):
        done = run("train", "--noisy", picture, "--scheme", scheme, *words, "-o", scheme)
        assert done.exit_code == 0, done.output
        assert Denoiser.load(f"{scheme}.safetensors").card.data_kind == "noisy"


def test_a_second_noisy_image_alone_is_no_training_data(fails, picture):
    fails("train", "--noisy-again", picture, "-o", "m", says=["noisy_again images alone"])


def in_new_process(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "napari_ae_denoise.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_saves_what_was_trained_so_far(run, picture, tmp_path):
    words = ["--preset", "classic", "--minutes", 5, "--batch-size", 2, "--patch-size", 16]
    state = tmp_path / "state"
    process = in_new_process(
        "train", "--clean", picture, "-o", tmp_path / "made", "--checkpoint", state, *words
    )
    try:
        # the bar's first line comes after torch was imported and the images were read
        said = ""
        while "step" not in said:
            said += process.stderr.read(1)
            assert process.poll() is None, said
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "validation PSNR" in out
    made = Denoiser.load(tmp_path / "made.safetensors")
    assert made.card.training["steps_done"] > 0
    assert np.isfinite(made.card.metrics["validation_psnr"])


# ---- compare, info


def test_compare_prints_a_table(run, picture):
    from napari_ae_denoise import psnr, ssim

    noisy = add_gaussian_noise(read(picture), 20, seed=1)
    write_image("noisy.tif", noisy)
    done = run("compare", picture, "noisy.tif", picture)
    assert done.exit_code == 0, done.output
    first, head, row, same = done.stdout.splitlines()
    assert first == "data range 255"
    assert head.split() == ["image", "PSNR", "(dB)", "SSIM"]
    level = psnr(read(picture), noisy, data_range=255)
    likeness = ssim(read(picture), noisy, data_range=255)
    assert row.split() == ["noisy.tif", f"{level:.2f}", f"{likeness:.4f}"]
    assert same.split()[1:] == ["inf", "1.0000"]


def test_compare_takes_another_range(run, picture):
    write_image("noisy.tif", add_gaussian_noise(read(picture), 20, seed=1))
    usual, wide = (
        float(run("compare", picture, "noisy.tif", *more).stdout.splitlines()[2].split()[1])
        for more in ([], ["--data-range", 2550])
    )
    assert wide == pytest.approx(usual + 20, abs=0.011)


def test_compare_obeys_the_axes(run):
    image = np.random.default_rng(0).random((9, 9, 4))
    other = image.copy()
    other[..., 3] += 0.1
    np.save("a.npy", image)
    np.save("b.npy", other)
    assert "inf" in run("compare", "a.npy", "b.npy").stdout  # alpha is not compared
    done = run("compare", "a.npy", "b.npy", "--axes", "YXN")
    assert done.exit_code == 0
    assert "inf" not in done.stdout


def test_compare_follows_the_axes_that_files_name(run):
    image = np.random.default_rng(0).integers(0, 255, (3, 2, 40, 48), np.uint8)
    tifffile.imwrite("a.ome.tif", image, metadata={"axes": "TCYX"})
    tifffile.imwrite("b.ome.tif", image.swapaxes(0, 1), metadata={"axes": "CTYX"})
    tifffile.imwrite("c.ome.tif", image[:, 0], metadata={"axes": "TYX"})
    assert "inf" in run("compare", "a.ome.tif", "b.ome.tif").stdout
    done = run("compare", "a.ome.tif", "c.ome.tif")
    assert done.exit_code == 1
    assert "TCYX and TYX" in done.stderr


def test_compare_goes_on_after_an_image_that_does_not_fit(run, picture):
    write_image("small.png", read(picture)[:20])
    done = run("compare", picture, "small.png", picture)
    assert done.exit_code == 1
    assert "(64, 80)" in done.stderr
    assert "(20, 80)" in done.stderr
    assert "inf" in done.stdout


def test_info_shows_the_card(run, model, untrained):
    done = run("info", model)
    assert done.exit_code == 0
    told = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    told = {name.strip(): value.strip() for name, value in told.items()}
    assert told["name"] == "tiny"
    denoiser = untrained("bottleneck")
    assert told["parameters"] == f"{denoiser.network.parameter_count:,}"
    assert told["code ratio"].endswith("(under-complete)")
    assert f"1/{denoiser.stride}" in told["latent code"]
    assert "percentiles 0.1 and 99.9" in told["normalization"]


def test_info_tells_over_complete_codes_and_relative_noise(run, untrained):
    denoiser = untrained("classic", normalization=Normalization("fixed", scale=255.0))
    told = {"sigma": (0.1, 0.5), "sigma_relative": True, "data_kind": "two noisy"}
    Denoiser(denoiser.network, dataclasses.replace(denoiser.card, **told)).save("m.safetensors")
    text = run("info", "m.safetensors").stdout
    assert "pairs of noisy images" in text
    assert "2 code values per image value (over-complete)" in text
    assert "0.1 to 0.5 of the data range" in text
    assert "(grey value - 0) / 255" in text


def test_info_alone_lists_versions_devices_and_models(run):
    import torch

    done = run("info")
    assert done.exit_code == 0
    assert torch.__version__ in done.stdout
    assert __version__ in done.stdout
    assert "cpu (" in done.stdout
    assert "model " in done.stdout


# ---- demo


def test_the_help_of_the_demo_says_what_it_trains_on(run):
    text = " ".join(run("demo", "--help").stdout.split())
    assert "clean and noisy images of the other half" in text
    assert "alone" not in text


@pytest.fixture
def quick_demo(monkeypatch, untrained):
    """A demo without a training."""
    from napari_ae_denoise import demo as module

    def trained(*_how):
        yield from ()
        return untrained("residual")

    monkeypatch.setattr(module, "_trained", trained)


@pytest.fixture
def no_display(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def test_without_a_display_the_demo_writes_its_picture(run, quick_demo, no_display, tmp_path):
    for _ in range(2):  # its own picture may be replaced
        done = run("demo")
        assert done.exit_code == 0, done.output
        assert str(tmp_path / "demo-output" / "denoised.png") in done.stdout
        assert "noisy 15.8 dB" in done.stdout
        assert "no display" in done.stderr
    image = read_image("demo-output/denoised.png").array
    assert image.shape[1] > 2 * image.shape[0] > 600  # three images side by side
    assert image[..., :3].std() > 20


def test_the_picture_goes_where_it_is_asked_for(run, fails, quick_demo, no_display):
    assert run("demo", "-o", "here.svg").exit_code == 0
    assert listing() == ["here.svg"]
    fails("demo", "-o", "here.svg", says=["is there already"])


def test_a_picture_of_no_known_kind_is_refused_before_the_training(fails, no_display, monkeypatch):
    monkeypatch.setattr(jobs, "make_demo", lambda *_, **__: pytest.fail("it trained"))
    fails("demo", "-o", "new/demo.jpg", says=[".jpg", "Use .png, .svg or .pdf"])
    assert listing() == []


def test_with_a_display_the_demo_opens_napari(run, quick_demo, monkeypatch):
    shown = []
    window = type(sys)("napari_ae_denoise._qt.demo")
    window.show_demo = shown.append
    monkeypatch.setitem(sys.modules, "napari_ae_denoise._qt", type(sys)("napari_ae_denoise._qt"))
    monkeypatch.setitem(sys.modules, "napari_ae_denoise._qt.demo", window)
    monkeypatch.setattr(display, "why_no_window", lambda: "")
    done = run("demo")
    assert done.exit_code == 0, done.output
    assert [type(record) for record in shown] == [jobs.Demo]
    assert listing() == []


def test_a_display_that_does_not_answer_is_none(no_display, monkeypatch):
    assert "no display" in display.why_no_window()
    monkeypatch.setenv("DISPLAY", ":98765")
    assert ":98765 does not answer" in display.why_no_window()


@pytest.mark.parametrize(
    ("missing", "word"), [({"napari"}, "napari is not"), (set(display._BINDINGS), "Qt binding")]
)
def test_what_is_not_installed_is_named(monkeypatch, missing, word):
    monkeypatch.setattr(sys, "platform", "darwin")  # always has a display
    monkeypatch.setattr(display, "find_spec", lambda name: None if name in missing else name)
    assert word in display.why_no_window()
    monkeypatch.setattr(display, "find_spec", lambda name: name)
    assert display.why_no_window() == ""


# ---- the program itself


def test_the_program_ends_with_its_exit_code(tmp_path):
    process = in_new_process("denoise", tmp_path / "a.tif", "-o", tmp_path / "b.tif", "-m", "x")
    try:
        out, err = process.communicate(timeout=280)
    finally:
        process.kill()
    assert process.returncode == 1
    assert out == ""
    assert err.startswith("napari-ae-denoise: There is no image file")
    assert err.count("\n") == 1


@pytest.mark.parametrize("kind", [RuntimeError, ZeroDivisionError, struct.error])
def test_a_fault_of_ours_is_no_traceback(kind, run, picture, monkeypatch):
    def fault(*_args, **_more):
        raise kind("a shape is wrong")

    monkeypatch.setattr(jobs, "add_noise_to", fault)
    done = run("noise", picture, "-o", "b.tif", "--sigma", 1)
    assert done.exit_code == 1
    assert f"{kind.__name__}: a shape is wrong" in done.stderr
    assert "report it" in done.stderr


def test_memory_that_runs_out_is_said(run, picture, monkeypatch):
    def full(*_args, **_more):
        raise MemoryError

    monkeypatch.setattr(jobs, "add_noise_to", full)
    done = run("noise", picture, "-o", "b.tif", "--sigma", 1)
    assert done.exit_code == 1
    assert "Memory ran out" in done.stderr


def test_ctrl_c_ends_with_130(run, picture, monkeypatch):
    def interrupted(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "add_noise_to", interrupted)
    done = run("noise", picture, "-o", "b.tif", "--sigma", 1)
    assert done.exit_code == 130
    assert listing() == ["camera.png"]


def test_the_defaults_of_training_are_those_of_the_settings():
    import inspect

    from napari_ae_denoise import cli

    asked = inspect.signature(cli.train).parameters
    settings = TrainSettings()
    for name in ("batch_size", "patch_size", "learning_rate", "seed", "device"):
        assert asked[name].default == getattr(settings, name), name
    kind = TrainSettings.of_kind(asked["kind"].default)
    assert (kind.preset, kind.sigma) == (settings.preset, settings.sigma)
    assert asked["preset"].default is asked["sigma"].default is None
    assert asked["loss"].default == settings.objective.reconstruction


def test_a_training_that_was_over_before_says_that_nothing_was_trained(run, picture):
    how = ["--preset", "classic", "--device", "cpu", "--checkpoint", "state"]
    first = run("train", "--clean", picture, "--steps", 2, "-o", "a.safetensors", *how)
    assert first.exit_code == 0, first.output
    assert "Nothing was trained" not in first.output
    again = run("train", "--clean", picture, "--steps", 2, "-o", "b.safetensors", *how)
    assert again.exit_code == 0, again.output
    said = " ".join(again.output.split())
    assert "Nothing was trained: the state in state has its 2 steps" in said
    more = run("train", "--clean", picture, "--steps", 3, "-o", "c.safetensors", *how)
    assert "Nothing was trained" not in more.output


def test_several_results_are_not_one_file(fails, picture):
    write_image("other.tif", read(picture))
    fails(
        "denoise",
        picture,
        "other.tif",
        "-m",
        "natural-gray",
        "-o",
        "out.tif",
        says=("2 results", "out.tif"),
    )


def test_compare_of_small_planes_knows_their_psnr(run):
    image = np.random.default_rng(0).integers(0, 255, (5, 40), np.uint8)
    np.save("a.npy", image)
    np.save("b.npy", image[:, ::-1])
    done = run("compare", "a.npy", "b.npy")
    assert done.exit_code == 0
    row = done.stdout.splitlines()[2].split()
    assert float(row[1]) > 0
    assert row[2] == "none"
    assert "SSIM needs planes" in done.stderr


def test_tiles_may_be_said_to_be_automatic(run, picture, model):
    done = run("denoise", picture, "-o", "a.tif", "-m", model, "--tile", "auto")
    assert done.exit_code == 0, done.output
    done = run("denoise", picture, "-o", "b.tif", "-m", model, "--tile", "large")
    assert done.exit_code == 2
    assert "no whole number" in done.stderr


def test_what_no_image_can_be_denoised_with_is_refused_once(run, picture, model):
    write_image("other.tif", read(picture))
    for words in (["--device", "abacus"], ["--noise-model", "hiss"], ["--precision", "float7"]):
        done = run("denoise", picture, "other.tif", "-o", "out", "-m", model, *words)
        assert done.exit_code == 1
        assert len(done.stderr.splitlines()) == 1
        assert words[1] in done.stderr
        assert not Path("out").exists()
