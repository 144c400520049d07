"""Keras's model files, of which those in tests/data/keras were made by Keras itself."""

import contextlib
import importlib.metadata
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from napari_ae_denoise import Denoiser, DenoisingError
from napari_ae_denoise.interop.keras_writer import save_keras
from napari_ae_denoise.network_spec import NetworkSpec

pytestmark = pytest.mark.usefixtures("one_reader")
FOLDER = Path(__file__).parents[1] / "data" / "keras"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".h5", ".keras"))
OUTPUTS = {**np.load(FOLDER / "keras2_outputs.npz"), **np.load(FOLDER / "keras3_outputs.npz")}
NOISY = np.load(FOLDER / "noisy.npy")  # (2, 28, 28) float32
TUTORIAL = FOLDER / "keras3_functional.h5"
ARCHIVE = FOLDER / "keras3_functional.keras"


def through(denoiser, images=NOISY):
    with torch.inference_mode():
        return denoiser.network(torch.from_numpy(images[:, None]))[:, 0].numpy()


# ---- files of Keras


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_keras_computes_what_keras_does(path):
    denoiser = Denoiser.load(path)
    expected = OUTPUTS[path.name]
    assert expected.std() > 0.1
    np.testing.assert_allclose(through(denoiser), expected, atol=1e-5)
    assert denoiser.card.network == NetworkSpec("plain", widths=(6, 4), edge="zero")
    assert denoiser.card.name == path.stem


def test_images_that_span_the_range_are_denoised_as_by_keras():
    images = NOISY.copy()
    images[:, 0, 0], images[:, 0, 1] = 0, 1
    denoiser = Denoiser.load(TUTORIAL)
    made = denoiser.denoise(images, axes="NYX", precision="float32", device="cpu")
    np.testing.assert_allclose(made, through(denoiser, images), atol=1e-5)


def test_an_opened_model_is_saved_and_opened_as_any_other(tmp_path):
    denoiser = Denoiser.load(ARCHIVE)
    again = Denoiser.load(denoiser.save(tmp_path / "mine"))
    np.testing.assert_array_equal(through(again), through(denoiser))
    assert again.card == denoiser.card


def test_a_file_of_keras_is_known_by_its_first_bytes(tmp_path):
    shutil.copy(TUTORIAL, tmp_path / "renamed.model")
    np.testing.assert_allclose(
        through(Denoiser.load(tmp_path / "renamed.model")), OUTPUTS[TUTORIAL.name], atol=1e-5
    )


# ---- files that are not what they seem


def changed(tmp_path, change, source=TUTORIAL):
    """Return a copy of a .h5 whose open file a function has changed."""
    path = tmp_path / "changed.h5"
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def with_layers(tmp_path, change, source=TUTORIAL):
    """Return a copy of a .h5 whose list of layers a function has changed."""

    def edit(file):
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)

    return changed(tmp_path, edit, source)


def configure(number, **settings):
    return lambda layers: layers[number]["config"].update(settings)


def renamed(number, kind):
    return lambda layers: layers[number].update(class_name=kind)


# In the file: input, conv, pool, conv, pool, conv, up, conv, up, conv.
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (renamed(3, "Dense"), ["layer 3", '"conv2d_1"', "Dense", "Conv2D"]),
        (renamed(2, "AveragePooling2D"), ["layer 2", "AveragePooling2D", "UpSampling2D"]),
        (renamed(5, "Lambda"), ["layer 5", "Lambda", "Conv2D"]),
        (renamed(6, "Conv2DTranspose"), ["layer 6", "Conv2DTranspose"]),
        (configure(1, kernel_size=[5, 5]), ["layer 1", "kernel_size", "[5, 5]", "3"]),
        (configure(1, kernel_size=[3, 1]), ["layer 1", "kernel_size"]),
        (configure(3, strides=[2, 2]), ["layer 3", "strides"]),
        (configure(3, padding="valid"), ["layer 3", "padding", "valid", "same"]),
        (configure(3, dilation_rate=[2, 2]), ["layer 3", "dilation_rate"]),
        (configure(3, use_bias=False), ["layer 3", "use_bias"]),
        (configure(3, groups=2), ["layer 3", "groups"]),
        (configure(3, activation="elu"), ["layer 3", "elu", "relu"]),
        (configure(3, activation={"class_name": "function"}), ["layer 3", "activation"]),
        (configure(9, activation="relu"), ["layer 9", "sigmoid"]),
        (configure(7, filters=5), ["layer 7", "5 filters", "6"]),
        (configure(9, filters=2), ["layer 9", "2 channels"]),
        (configure(1, filters=10**9), ["1000000000"]),
        (configure(1, filters=True), ["layer 1", "filters"]),
        (configure(1, filters=7), ["layer 7"]),
        (configure(2, pool_size=[3, 3]), ["layer 2", "pool_size"]),
        (configure(6, interpolation="bilinear"), ["layer 6", "bilinear", "nearest"]),
        (configure(6, data_format="channels_first"), ["layer 6", "data_format"]),
        (lambda layers: layers.pop(), ["output", "up_sampling2d_1"]),
        (lambda layers: layers.append({**layers[9], "name": "more"}), ["more", "'conv2d_4'"]),
        (lambda layers: layers.clear(), [""]),
        (lambda layers: layers.__setitem__(3, "conv"), ["no record"]),
        (
            lambda layers: layers[4].update(inbound_nodes=layers[2]["inbound_nodes"]),
            ["max_pooling2d_1", "'conv2d_1'"],
        ),
        (
            lambda layers: layers[4].update(inbound_nodes=2 * layers[4]["inbound_nodes"]),
            ["max_pooling2d_1"],
        ),
    ],
)
def test_the_layer_that_does_not_fit_is_named(tmp_path, refused, change, words):
    with refused("changed.h5", *words):
        Denoiser.load(with_layers(tmp_path, change))


@pytest.mark.parametrize("kept", range(9))
def test_a_network_that_ends_too_early_is_refused(tmp_path, refused, kept):
    def cut(layers):
        del layers[1 + kept :]

    with refused("changed.h5", remedy="tutorial"):
        Denoiser.load(with_layers(tmp_path, cut, FOLDER / "keras3_sequential.h5"))


def test_an_activation_may_be_a_layer_of_its_own_and_dropout_does_nothing(tmp_path):
    def split(layers):
        layers[1]["config"]["activation"] = "linear"
        relu = {"class_name": "ReLU", "config": {"name": "relu", "max_value": None}}
        drop = {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5}}
        layers[2:2] = [relu, drop]

    path = with_layers(tmp_path, split, FOLDER / "keras3_sequential.h5")
    expected = OUTPUTS["keras3_sequential.h5"]
    np.testing.assert_allclose(through(Denoiser.load(path)), expected, atol=1e-5)


KERNEL = "model_weights/conv2d_2/conv2d_2/kernel"


def replaced(name, **how):
    def change(file):
        del file[name]
        file.create_dataset(name, **how)

    return change


def linked(link):
    def change(file):
        del file[KERNEL]
        file[KERNEL] = link

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replaced(KERNEL, data=np.zeros((3, 3, 4, 5), "f4")), ["conv2d_2", "(3, 3, 4, 5)"]),
        (replaced(KERNEL, data=np.zeros(4, "f4")), ["conv2d_2", "(4,)"]),
        (replaced(KERNEL, data=np.zeros((3, 3, 4, 4), "i4")), ["no numbers"]),
        (replaced(KERNEL, data=np.full((3, 3, 4, 4), np.nan, "f4")), ["not all finite"]),
        (replaced(KERNEL, shape=(10**6, 10**6, 4, 4), dtype="f4", chunks=True), ["1000000"]),
        (replaced(KERNEL, data="text"), ["no numbers"]),
        (replaced(KERNEL, data=h5py.Empty("f4")), ["no numbers"]),
        (
            replaced(KERNEL, shape=(3, 3, 4, 4), dtype="f4", external=[("/etc/passwd", 0, 576)]),
            ["other files"],
        ),
        (linked(h5py.ExternalLink("/etc/passwd", "x")), ["link"]),
        (linked(h5py.SoftLink("/model_weights/conv2d_1")), ["link"]),
        (lambda file: file.__delitem__("model_weights/conv2d_2"), ["conv2d_2"]),
        (lambda file: file.__delitem__("model_weights"), ["model_weights"]),
        (lambda file: file.attrs.__delitem__("model_config"), ["no network"]),
        (lambda file: file.attrs.__setitem__("model_config", "{"), [""]),
        (lambda file: file.attrs.__setitem__("model_config", "[" * 10**5), [""]),
        (lambda file: file.attrs.__setitem__("model_config", "[]"), ["no record"]),
        (lambda file: file.attrs.__setitem__("model_config", 5), ["no text"]),
        (
            lambda file: file.attrs.__setitem__("model_config", '{"class_name": "Lambda"}'),
            ["Lambda"],
        ),
        (lambda file: file["model_weights"].attrs.__delitem__("layer_names"), ["layer_names"]),
        (
            lambda file: file["model_weights/conv2d"].attrs.__setitem__(
                "weight_names", ["../conv2d_1/conv2d_1/kernel"]
            ),
            [".."],
        ),
        (
            lambda file: file["model_weights/conv2d"].attrs.__setitem__(
                "weight_names", ["conv2d/kernel"]
            ),
            ["9 arrays", "10"],
        ),
    ],
)
def test_a_hostile_h5_is_refused(tmp_path, refused, change, words):
    with refused("changed.h5", *words):
        Denoiser.load(changed(tmp_path, change))


def test_weights_that_the_file_cannot_hold_are_not_allocated(tmp_path, refused):
    """A shape may be announced that takes gigabytes, in a file that holds no numbers at all."""
    width = 4096

    def grow(file):
        config = json.loads(file.attrs["model_config"])
        for number in (1, 3, 5, 7):
            config["config"]["layers"][number]["config"]["filters"] = width
        file.attrs["model_config"] = json.dumps(config)
        inputs = [1, width, width, width, width]
        for number, (i, o) in enumerate(zip(inputs, [*inputs[1:], 1], strict=True)):
            name = f"conv2d_{number}" if number else "conv2d"
            for part, shape in (("kernel", (3, 3, i, o)), ("bias", (o,))):
                where = f"model_weights/{name}/{name}/{part}"
                replaced(where, shape=shape, dtype="f4", chunks=True)(file)

    with refused("announces", "bytes are there"):
        Denoiser.load(changed(tmp_path, grow))


def test_weights_alone_are_no_model(tmp_path, refused):
    with h5py.File(tmp_path / "alone.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv2d"]
    with refused("alone.h5", "weights alone", remedy="model.save"):
        Denoiser.load(tmp_path / "alone.h5")


@pytest.mark.parametrize("source", [TUTORIAL, ARCHIVE], ids=["h5", "keras"])
@pytest.mark.parametrize("kept", [0, 4, 8, 100, 3000, 20000, -1])
def test_a_truncated_file_is_refused(tmp_path, refused, source, kept):
    path = tmp_path / f"cut{source.suffix}"
    path.write_bytes(source.read_bytes()[:kept])
    with refused(path.name):
        Denoiser.load(path)


@pytest.mark.parametrize("source", [TUTORIAL, ARCHIVE], ids=["h5", "keras"])
def test_a_damaged_file_is_refused_or_opens_as_numbers(tmp_path, source):
    """Bytes are flipped all over the file: what comes of it is a denoiser or a refusal."""
    rng = np.random.default_rng(0)
    whole = source.read_bytes()
    path = tmp_path / f"flipped{source.suffix}"
    for _ in range(60):
        blob = bytearray(whole)
        for place in rng.integers(len(blob), size=20):
            blob[place] = rng.integers(256)
        path.write_bytes(bytes(blob))
        with contextlib.suppress(DenoisingError):
            Denoiser.load(path)


def test_an_archive_with_broken_compressed_data_is_refused(tmp_path, refused):
    path = tmp_path / "broken.keras"
    with zipfile.ZipFile(ARCHIVE) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as to:
        for name in ("config.json", "metadata.json", "model.weights.h5"):
            to.writestr(name, source.read(name))
    blob = bytearray(path.read_bytes())
    start = 30 + len("config.json")  # behind the member's header
    blob[start : start + 50] = b"\xff" * 50
    path.write_bytes(bytes(blob))
    with refused(path.name, "decompressing", remedy="copy the file again"):
        Denoiser.load(path)


@pytest.mark.parametrize("name", ["no.h5", "no.keras"])
def test_what_is_no_file_of_keras_is_refused(tmp_path, refused, name):
    path = tmp_path / name
    with refused(name, remedy="Check the path"):
        Denoiser.load(path)
    path.write_bytes(b"")
    with refused(name, "empty"):
        Denoiser.load(path)
    path.write_bytes(b"\x80\x04pickled, perhaps")
    with refused(name, "neither an HDF5 file"):
        Denoiser.load(path)
    path.unlink()
    path.mkdir()
    with refused(name):
        Denoiser.load(path)


def archive(tmp_path, change):
    """Return a copy of the .keras file whose members a function has changed."""
    with zipfile.ZipFile(ARCHIVE) as source:
        parts = [(entry.filename, source.read(entry)) for entry in source.infolist()]
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, blob in change(parts):
            target.writestr(name, blob)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda parts: [p for p in parts if p[0] != "config.json"], ["0 files config.json"]),
        (lambda parts: [p for p in parts if p[0] != "model.weights.h5"], ["model.weights.h5"]),
        (lambda parts: [*parts, parts[1]], ["2 files"]),
        (lambda parts: [(n, b"x" if n.endswith("h5") else b) for n, b in parts], [""]),
        (lambda parts: [(n, bytes(5 * 1024**2)) for n, b in parts], ["5242880 bytes"]),
        (lambda parts: [(n, b"{}" if n == "config.json" else b) for n, b in parts], [""]),
    ],
)
def test_a_hostile_archive_is_refused(tmp_path, refused, change, words):
    with refused("changed.keras", *words):
        Denoiser.load(archive(tmp_path, change))


def test_a_layer_that_would_run_code_is_refused_in_an_archive(tmp_path, refused):
    def edit(parts):
        for name, blob in parts:
            if name == "config.json":
                config = json.loads(blob)
                config["config"]["layers"][1]["class_name"] = "Lambda"
                blob = json.dumps(config).encode()
            yield name, blob

    with refused("changed.keras", "Lambda"):
        Denoiser.load(archive(tmp_path, edit))


# ---- files for Keras


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec("plain", widths=(6, 4)),
        NetworkSpec("plain", channels=3, widths=(3, 4, 5)),
        NetworkSpec("plain", widths=(6, 4), code_channels=2),
    ],
    ids=str,
)
def test_what_is_written_is_read_back(tmp_path, untrained, spec, ending):
    denoiser = untrained(spec, seed=3)
    again = Denoiser.load(save_keras(denoiser, tmp_path / f"mine{ending}"))
    assert again.network.stride == denoiser.stride
    for a, b in zip(denoiser.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_networks_that_keras_lacks_are_not_written(tmp_path, untrained, refused):
    with refused("residual", remedy="classic"):
        save_keras(untrained("residual"), tmp_path / "mine.h5")
    with refused(".pb", remedy=".h5"):
        save_keras(untrained("plain"), tmp_path / "mine.pb")
    assert not list(tmp_path.iterdir())


_IN_KERAS = """
import sys
import numpy as np
import keras

noisy = np.load(sys.argv[1])
for path in sys.argv[2:]:
    model = keras.saving.load_model(path, compile=False)
    made = keras.ops.convert_to_numpy(model(noisy[..., None], training=False))
    np.save(path + ".npy", made[..., 0])
"""


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")
def test_keras_itself_opens_what_is_written_and_agrees(tmp_path, untrained):
    denoiser = untrained("classic", seed=1)
    paths = [str(save_keras(denoiser, tmp_path / f"mine{e}")) for e in (".h5", ".keras")]
    others = []
    release = importlib.metadata.version("keras").split(".")[:2]
    if tuple(map(int, release)) >= (3, 15):  # which made them; older ones refuse them
        others = [str(shutil.copy(path, tmp_path)) for path in (TUTORIAL, ARCHIVE)]
    words = [sys.executable, "-c", _IN_KERAS, str(FOLDER / "noisy.npy"), *paths, *others]
    # in a process of its own: Keras changes how torch works
    environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    for path in (*paths, *others):
        expected = np.load(f"{path}.npy")
        np.testing.assert_allclose(through(Denoiser.load(path)), expected, atol=1e-5)


def test_files_are_the_same_each_time(tmp_path, untrained):
    first, second = (
        save_keras(untrained("plain"), tmp_path / f"{name}.h5").read_bytes() for name in "ab"
    )
    assert first == second
    with h5py.File(io.BytesIO(first)) as file:
        assert "Lambda" not in file.attrs["model_config"]
