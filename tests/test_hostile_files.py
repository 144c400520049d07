"""Attacks by files: each is refused in two sentences, runs nothing and takes no memory.

Each attack is a function of its own, named after what it tries; `ATTACKS` lists them all.
"""

import contextlib
import dataclasses
import io
import json
import math
import os
import pickle
import re
import stat
import struct
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import torch
import zarr

from napari_ae_denoise import Denoiser, DenoisingError, networks
from napari_ae_denoise.card import Card
from napari_ae_denoise.done_record import FILE_NAME, DoneRecord
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.interop.keras_files import opened
from napari_ae_denoise.model_file import read_model, write_model
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.normalization import Normalization

pytestmark = pytest.mark.usefixtures("one_reader")
KERAS = Path(__file__).parent / "data" / "keras"
SPEC = NetworkSpec("plain", widths=(4, 6))
MIB = 1024**2
# seconds: what unpacks a bomb takes longer; how long files really take, `make fuzz` measures
_ENDLESS = 20
ATTACKS = {}


def attack(function):
    """Keep a function that writes a hostile file into a folder and returns its path."""
    ATTACKS[function.__name__.replace("_", " ")] = function
    return function


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name, tmp_path, refused):
    with canary_in(tmp_path) as path:
        hostile = ATTACKS[name](path)
    read = pixels if hostile.suffix in (".zarr", ".npy") else Denoiser.load
    size = 0 if hostile.is_dir() else hostile.stat().st_size
    with peak_memory() as peak:
        began = time.process_time()
        with refused():
            read(hostile)
        assert time.process_time() - began < _ENDLESS
    assert peak() < size + 200 * MIB
    assert not (path / "canary").exists()


@contextlib.contextmanager
def peak_memory():
    """Lend a function that returns by how much the memory of this process grew at most, in bytes.

    What is taken and given back at once is seen by Linux alone, which can begin its mark anew.
    """
    mark = Path("/proc/self/clear_refs")
    with contextlib.suppress(OSError):
        mark.write_text("5")
    before = psutil.Process().memory_info().rss
    yield lambda: (highest() if mark.exists() else psutil.Process().memory_info().rss) - before


def highest():
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell")
def test_memory_that_is_given_back_is_seen_too():
    with peak_memory() as peak:
        assert np.ones(300 * MIB, np.uint8).all()
    assert peak() > 290 * MIB


def pixels(path):
    return np.asarray(read_image(path).array)


def test_there_are_many_attacks():
    assert len(ATTACKS) >= 30


class canary_in:
    """The folder in which an object that is unpickled would leave a file named canary."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        os.environ["CANARY"] = str(self.folder / "canary")
        return self.folder

    def __exit__(self, *_):
        del os.environ["CANARY"]


class Canary:
    def __reduce__(self):
        return open, (os.environ["CANARY"], "w")


def model(**card):
    """Return header and weights of a good model file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        denoiser = Denoiser(ConvAutoencoder(SPEC), Card(network=SPEC))
    path = Path(os.environ["CANARY"]).parent / "good.safetensors"
    write_model(path, denoiser.network.state_dict(), denoiser.card.to_record() | card)
    blob = path.read_bytes()
    path.unlink()
    length = struct.unpack("<Q", blob[:8])[0]
    return json.loads(blob[8 : 8 + length]), blob[8 + length :]


def joined(folder, header, weights, name="m.safetensors"):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / name
    path.write_bytes(struct.pack("<Q", len(text)) + text + weights)
    return path


def entries(header):
    return {k: v for k, v in header.items() if k != "__metadata__"}


# ---- safetensors


@attack
def a_header_that_is_longer_than_any(folder):
    header, weights = model()
    header["__metadata__"]["card"] += " " * 5 * MIB
    return joined(folder, header, weights)


@attack
def a_header_of_many_small_records(folder):
    return joined(folder, b'{"a":[' + b"[]," * 690_000 + b"[]]}", b"")


@attack
def a_header_of_many_tensors(folder):
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = {f"{i}": one for i in range(25_000)} | {"__metadata__": {"card": "{}"}}
    return joined(folder, header, bytes(4))


@attack
def a_header_deeper_than_the_stack(folder):
    return joined(folder, b'{"a":' * 500_000 + b"0" + b"}" * 500_000, b"")


@attack
def two_tensors_of_one_name(folder):
    header, weights = model()
    text = json.dumps(header)
    name = next(iter(entries(header)))
    text = text[:-1] + f', "{name}": {json.dumps(header[name])}}}'
    return joined(folder, text.encode(), weights)


@attack
def two_cards(folder):
    header, weights = model()
    text = json.dumps(header).replace('"__metadata__": {', '"__metadata__": {"card": "{}", ')
    return joined(folder, text.encode(), weights)


@attack
def tensors_that_overlap(folder):
    header, weights = model()
    first, second = (v for v in entries(header).values() if v["shape"] == [6])
    first["data_offsets"] = second["data_offsets"]
    return joined(folder, header, weights)


@attack
def tensors_that_begin_within_each_other(folder):
    header, weights = model()
    end = 0
    for entry in entries(header).values():
        size = 4 * math.prod(entry["shape"])
        entry["data_offsets"] = [max(0, end - 4), max(0, end - 4) + size]
        end = entry["data_offsets"][1]
    return joined(folder, header, weights[:end])


@attack
def bytes_between_tensors_that_nothing_accounts_for(folder):
    header, weights = model()
    last = max(entries(header).values(), key=lambda e: e["data_offsets"][1])
    last["data_offsets"] = [n + 64 for n in last["data_offsets"]]
    return joined(folder, header, weights + bytes(64))


@attack
def a_shape_of_more_numbers_than_there_are_atoms(folder):
    header, weights = model()
    next(iter(entries(header).values()))["shape"] = [2**62, 2**62]
    return joined(folder, header, weights)


@attack
def a_shape_with_a_zero_and_a_number_that_overflows(folder):
    header, weights = model()
    header["extra"] = {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}
    return joined(folder, header, weights)


@attack
def a_shape_of_a_million_axes(folder):
    header, weights = model()
    name = next(k for k, v in entries(header).items() if v["shape"] == [6])
    header[name]["shape"] = [1] * 1_000_000 + [6]
    return joined(folder, header, weights)


@attack
def a_shape_of_truths(folder):
    header, weights = model()
    name = next(k for k, v in entries(header).items() if v["shape"] == [1])
    header[name]["shape"] = [True]
    return joined(folder, header, weights)


@attack
def a_shape_of_fractions(folder):
    header, weights = model()
    name = next(k for k, v in entries(header).items() if v["shape"] == [6])
    header[name]["shape"] = [6.0]
    return joined(folder, header, weights)


@attack
def weights_that_lie_askew_in_memory(folder):
    header, weights = model()
    for entry in entries(header).values():
        entry["data_offsets"] = [n + 2 for n in entry["data_offsets"]]
    header["extra"] = {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}
    return joined(folder, header, bytes(2) + weights)


@attack
def weights_of_another_type(folder):
    header, weights = model()
    for entry in entries(header).values():
        entry["dtype"] = "I32"
    return joined(folder, header, weights)


@attack
def a_weight_that_is_changed_but_finite(folder):
    header, weights = model()
    return joined(folder, header, b"\0\0\0\0" + weights[4:])


@attack
def a_checksum_of_another_name(folder):
    header, weights = model()
    header["__metadata__"]["sha257"] = header["__metadata__"].pop("sha256")
    return joined(folder, header, b"\0\0\0\0" + weights[4:])


@attack
def weights_under_swapped_names(folder):
    header, weights = model()
    first, second = (k for k, v in header.items() if k != "__metadata__" and v["shape"] == [6])
    header[first], header[second] = header[second], header[first]
    return joined(folder, header, weights)


@attack
def a_card_of_another_network(folder):
    header, weights = model(network={"style": "plain", "widths": [4, 7]})
    return joined(folder, header, weights)


@attack
def a_card_of_a_network_of_billions_of_weights(folder):
    huge = {"style": "residual", "widths": [4096] * 6, "blocks": 4, "stem": 2}
    header, weights = model(network=huge)
    return joined(folder, header, weights)


@attack
def a_card_of_a_network_that_sees_beyond_any_image(folder):
    spec = NetworkSpec("residual", widths=(1,) * 6, blocks=64, skips=True, stem=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "_FARTHEST", 10**9)
        denoiser = Denoiser(ConvAutoencoder(spec), Card(network=spec))
        return denoiser.save(folder / "m")


@attack
def a_card_of_a_class_to_import(folder):
    header, weights = model(network={"style": "os.system", "widths": [4]})
    return joined(folder, header, weights)


@attack
def a_card_with_a_number_that_is_none(folder):
    header, weights = model()
    card = header["__metadata__"]["card"].replace('"low": 0.1', '"low": NaN')
    header["__metadata__"] = {"card": card}
    return joined(folder, header, weights)


@attack
def a_card_with_a_number_beyond_all(folder):
    header, weights = model()
    card = header["__metadata__"]["card"].replace('"scale": 1.0', '"scale": 1e999')
    header["__metadata__"] = {"card": card}
    return joined(folder, header, weights)


@attack
def a_card_of_a_newer_format(folder):
    header, weights = model(format=2)
    return joined(folder, header, weights)


@attack
def a_card_of_no_format(folder):
    header, weights = model(format="1; import os")
    return joined(folder, header, weights)


@attack
def a_file_of_nothing_but_its_length(folder):
    header, weights = model(network={"style": "plain", "widths": [4096, 4096]})
    last = max(entries(header).values(), key=lambda e: e["data_offsets"][1])
    rows = 500_000_000
    end = last["data_offsets"][0] + 4 * rows
    last.update(shape=[rows], data_offsets=[last["data_offsets"][0], end])
    path = joined(folder, header, weights)
    with path.open("rb+") as file:
        file.truncate(8 + len(json.dumps(header)) + end)
    return path


if sys.platform != "win32":

    @attack
    def a_pipe_that_nobody_writes_to(folder):
        path = folder / "m.safetensors"
        os.mkfifo(path)
        return path

    @attack
    def a_pipe_in_place_of_a_keras_file(folder):
        path = folder / "m.h5"
        os.mkfifo(path)
        return path

    @attack
    def a_pipe_in_place_of_a_package(folder):
        path = folder / "m.zip"
        os.mkfifo(path)
        return path


# ---- pickles


def _pickled(ending):
    def write(folder):
        path = folder / f"m{ending}"
        path.write_bytes(pickle.dumps(Canary()))
        return path

    write.__name__ = f"a_pickle_named_{ending[1:]}"
    return attack(write)


ENDINGS = [".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".h5", ".hdf5"]
for _ending in [*ENDINGS, ".keras", ".onnx", ".zip", ".npz", ".joblib", ".npy"]:
    _pickled(_ending)


@attack
def a_file_of_pytorch_named_keras(folder):
    path = folder / "m.keras"
    torch.save({"a": Canary()}, path)
    return path


@attack
def an_old_file_of_pytorch(folder):
    path = folder / "m.pt"
    torch.save({"a": Canary()}, path, _use_new_zipfile_serialization=False)
    return path


@attack
def an_array_of_objects(folder):
    path = folder / "m.npy"
    np.save(path, np.array([Canary()], object), allow_pickle=True)
    return path


# ---- archives


def archive(folder, change=lambda parts: parts, **options):
    """Write a .keras file whose members, (name or ZipInfo, bytes), a function has changed."""
    with zipfile.ZipFile(KERAS / "keras3_functional.keras") as source:
        parts = [(entry.filename, source.read(entry)) for entry in source.infolist()]
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w", **options) as target:
        for name, blob in change(parts):
            target.writestr(name, blob)
    return path


def _outside(label, name):
    def write(folder):
        return archive(folder, lambda parts: [*parts, (name, b"x")])

    write.__name__ = f"a_member_with_{label}"
    return attack(write)


_outside("dots", "../../outside")
_outside("dots_in_the_middle", "assets/../../outside")
_outside("dots_of_windows", "..\\..\\outside")
_outside("an_absolute_name", "/etc/cron.d/outside")
_outside("a_drive", "C:\\outside")


def package(folder, description, **members):
    """Write a package of bioimage.io."""
    path = folder / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("rdf.yaml", description)
        for name, blob in members.items():
            target.writestr(name, blob)
    return path


@attack
def a_description_of_references_to_references(folder):
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return package(folder, "\n".join(["a0: &a0 [lol]", *levels, "name: *a8"]))


@attack
def a_package_with_a_list_of_members_that_fills_the_memory(folder):
    return package(folder, "name: m", **{f"{number}" * 9: b"" for number in range(20_000)})


@attack
def a_description_that_takes_long_to_read(folder):
    return package(folder, "- [a, b]\n" * 100_000)


@attack
def a_description_whose_name_is_a_list(folder):
    return package(folder, f"name: [{'[a], ' * 1000}]")


def of_pytorch(folder, tensors, **how):
    """Write a package whose PyTorch weights are for a network of ours."""
    inside = io.BytesIO()
    torch.save(tensors, inside)
    blob = inside.getvalue()
    if how:
        with zipfile.ZipFile(io.BytesIO(blob)) as source:
            inside = io.BytesIO()
            with zipfile.ZipFile(inside, "w", **how) as target:
                for name in source.namelist():
                    target.writestr(name, source.read(name))
        blob = inside.getvalue()
    maker = {"import_from": "napari_ae_denoise.interop.grey_values", "callable": "from_records"}
    network = {"style": "plain", "widths": [4, 6]}
    kwargs = {"network": network, "normalization": dataclasses.asdict(Normalization())}
    weights = {"source": "w", "architecture": {**maker, "kwargs": kwargs}}
    record = {"name": "m", "weights": {"pytorch_state_dict": weights}}
    return package(folder, json.dumps(record), w=blob)


@attack
def weights_of_one_number_that_is_seen_everywhere(folder):
    return of_pytorch(folder, {"a": torch.zeros(1).expand(15_000, 15_000)})


@attack
def weights_that_are_packed(folder):
    zeros = {"a": torch.zeros(100 * MIB)}
    return of_pytorch(folder, zeros, compression=zipfile.ZIP_DEFLATED)


@attack
def a_package_with_a_link(folder):
    path = package(folder, "name: m")
    link = zipfile.ZipInfo("w")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as target:
        target.writestr(link, b"/etc/passwd")
    return path


@attack
def a_member_that_is_a_link(folder):
    link = zipfile.ZipInfo("model.weights.h5.link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return archive(folder, lambda parts: [*parts, (link, b"/etc/passwd")])


@attack
def the_weights_as_a_link(folder):
    link = zipfile.ZipInfo("model.weights.h5")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return archive(
        folder, lambda parts: [*(p for p in parts if "weights" not in p[0]), (link, b"/etc/passwd")]
    )


@attack
def two_members_of_one_name(folder):
    made = archive(folder, lambda parts: [*parts, ("conFig.json", b"{}")])
    made.write_bytes(made.read_bytes().replace(b"conFig.json", b"config.json"))
    return made


@attack
def an_archive_in_an_archive(folder):
    inner = archive(folder).read_bytes()
    return archive(folder, lambda parts: [(n, inner if n.endswith(".h5") else b) for n, b in parts])


@attack
def weights_that_unpack_to_a_gigabyte(folder):
    bomb = bytes(400 * MIB)
    return archive(
        folder,
        lambda parts: [(n, bomb if n.endswith(".h5") else b) for n, b in parts],
        compression=zipfile.ZIP_DEFLATED,
    )


@attack
def weights_that_unpack_to_more_than_they_say(folder):
    bomb = bytes(300 * MIB)
    path = archive(
        folder,
        lambda parts: [(n, bomb if n.endswith(".h5") else b) for n, b in parts],
        compression=zipfile.ZIP_DEFLATED,
    )
    size = struct.pack("<I", len(bomb))
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<I", 1000)))
    return path


@attack
def members_packed_by_lzma(folder):
    return archive(folder, compression=zipfile.ZIP_LZMA)


@attack
def a_list_of_members_that_fills_the_memory(folder):
    return archive(folder, lambda parts: [*parts, *((f"{i}" * 9, b"") for i in range(20_000))])


@attack
def a_configuration_of_megabytes(folder):
    def change(parts):
        return [(n, b" " * 5 * MIB + b if n == "config.json" else b) for n, b in parts]

    return archive(folder, change, compression=zipfile.ZIP_DEFLATED)


@attack
def a_lambda_with_code(folder):
    def change(parts):
        for name, blob in parts:
            if name == "config.json":
                config = json.loads(blob)
                code = pickle.dumps(Canary()).hex()
                config["config"]["layers"][1] |= {
                    "class_name": "Lambda",
                    "config": {"name": "l", "function": ["__lambda__", code]},
                }
                blob = json.dumps(config).encode()
            yield name, blob

    return archive(folder, change)


@attack
def a_layer_of_a_module_to_import(folder):
    def change(parts):
        for name, blob in parts:
            blob = blob.replace(b'"keras.layers"', b'"antigravity"') if "json" in name else blob
            yield name, blob.replace(b'"Conv2D"', b'"geohash"') if "json" in name else blob

    return archive(folder, change)


# ---- HDF5


def changed(folder, change):
    path = folder / "m.h5"
    path.write_bytes((KERAS / "keras3_functional.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


KERNEL = "model_weights/conv2d_2/conv2d_2/kernel"


def kernel_of(folder, **how):
    def change(file):
        del file[KERNEL]
        file.create_dataset(KERNEL, **how)

    return changed(folder, change)


@attack
def a_kernel_that_is_compressed(folder):
    return kernel_of(folder, data=np.zeros((3, 3, 4, 4), "f4"), compression="gzip")


@attack
def a_kernel_in_one_piece_of_gigabytes(folder):
    kernel = {"shape": (3, 3, 4, 4), "maxshape": (None,) * 4, "dtype": "f4"}
    return kernel_of(folder, chunks=(3, 3, 4000, 20_000), **kernel)


@attack
def a_kernel_in_another_file(folder):
    return kernel_of(folder, shape=(3, 3, 4, 4), dtype="f4", external=[("/etc/passwd", 0, 576)])


@attack
def a_kernel_of_an_archive_of_objects(folder):
    return kernel_of(folder, data=[b"x"] * 3, dtype=h5py.string_dtype())


@attack
def a_kernel_behind_a_link(folder):
    def change(file):
        del file[KERNEL]
        file[KERNEL] = h5py.ExternalLink("/etc/passwd", "x")

    return changed(folder, change)


@attack
def names_that_repeat_one_long_text(folder):
    def change(file):
        group = file["model_weights"]
        del group.attrs["layer_names"]
        group.attrs.create("layer_names", ["x" * 60_000] * 3000, dtype=h5py.string_dtype())

    return changed(folder, change)


@attack
def a_configuration_deeper_than_the_stack(folder):
    return changed(folder, lambda file: file.attrs.__setitem__("model_config", '[{"a":' * 10**5))


@attack
def models_in_models(folder):
    def change(file):
        inner = {"class_name": "Sequential", "config": {"layers": []}}
        for _ in range(300):
            inner = {"class_name": "Sequential", "config": {"layers": [inner]}}
        file.attrs["model_config"] = json.dumps(inner)

    return changed(folder, change)


@attack
def a_layer_with_a_name_of_megabytes(folder):
    def change(file):
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["strides"] = [2, 2]
        config["config"]["layers"][1]["name"] = "\x1b[2J" + "x" * 2 * MIB
        file.attrs["model_config"] = json.dumps(config)

    return changed(folder, change)


# ---- zarr


def zarr_array(folder, **changes):
    """Write a zarr array of format 2 whose description is changed."""
    path = folder / "m.zarr"
    zarr.create_array(path, data=np.zeros((4, 4), "f4"), zarr_format=2, chunks=(4, 4))
    about = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps(about | changes))
    (path / "0.0").write_bytes(pickle.dumps(Canary()))
    return path


@attack
def a_zarr_with_a_filter_of_pickles(folder):
    return zarr_array(folder, filters=[{"id": "pickle", "protocol": 5}], compressor=None)


@attack
def a_zarr_compressed_by_pickles(folder):
    return zarr_array(folder, compressor={"id": "pickle", "protocol": 5})


@attack
def a_zarr_of_objects(folder):
    return zarr_array(
        folder, dtype="|O", filters=[{"id": "pickle", "protocol": 5}], fill_value=None
    )


@attack
def a_zarr_of_endless_chunks(folder):
    return zarr_array(folder, shape=[10**15, 10**15], chunks=[1, 1])


@attack
def a_zarr_of_one_chunk_larger_than_memory(folder):
    return zarr_array(folder, shape=[10**7, 10**7], chunks=[10**7, 10**7])


@attack
def a_zarr_with_a_codec_that_nobody_knows(folder):
    return zarr_array(folder, compressor={"id": "os.system", "command": "true"})


@attack
def a_zarr_with_a_level_elsewhere(folder):
    path = folder / "m.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=np.zeros((4, 4), "f4"))
    group.attrs["multiscales"] = [{"datasets": [{"path": "../../secret"}], "axes": ["y", "x"]}]
    return path


@attack
def a_zarr_of_format_3_with_a_codec_of_pickles(folder):
    path = folder / "m.zarr"
    zarr.create_array(path, data=np.zeros((4, 4), "f4"), zarr_format=3)
    about = json.loads((path / "zarr.json").read_text())
    about["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}]
    (path / "zarr.json").write_text(json.dumps(about))
    return path


OF_KERAS = [
    name
    for name in ATTACKS
    if any(
        word in name for word in ("member", "archive", "kernel", "names that", "weights that un")
    )
    and "objects" not in name
]


@pytest.mark.parametrize("name", OF_KERAS)
def test_an_attack_on_keras_files_is_refused_by_what_reads_them(name, tmp_path, refused):
    """Not by the limits of the process that they are read in."""
    with canary_in(tmp_path) as path:
        hostile = ATTACKS[name](path)
    with refused(), opened(hostile) as contents:
        for weights in contents.weights:
            weights.read()


# ---- what good files say is still read


def test_good_files_of_the_same_make_open(tmp_path):
    with canary_in(tmp_path):
        header, weights = model()
        assert Denoiser.load(joined(tmp_path, header, weights)).card.network == SPEC
    assert Denoiser.load(archive(tmp_path)).stride == 4
    assert Denoiser.load(changed(tmp_path, lambda file: None)).stride == 4
    zarr.create_array(tmp_path / "a.zarr", data=np.zeros((4, 4), "f4"), zarr_format=2)
    assert read_image(tmp_path / "a.zarr").array.shape == (4, 4)


@pytest.mark.parametrize("codec", ["blosc", "gzip", "zstd", "sharded"])
def test_usual_codecs_are_known(tmp_path, codec):
    more = {"compressors": None}
    if codec == "sharded":
        more = {"shards": (4, 4)}
    elif codec != "zstd":
        more = {"compressors": {"name": codec, "configuration": {}}}
        if codec == "gzip":
            more["compressors"]["configuration"] = {"level": 1}
    data = np.arange(16.0).reshape(4, 4)
    zarr.create_array(tmp_path / "a.zarr", data=data, chunks=(2, 2), zarr_format=3, **more)
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr").array.compute(), data)


def test_words_of_a_card_command_no_terminal(tmp_path):
    record = {"network": {"style": "plain", "widths": [4]}, "name": "\x1b[2Jred\x07\n"}
    card = Card.from_record(record | {"training": {"a\x9b": ["b\x1b"]}})
    assert card.name == "�[2Jred�\n"
    assert dict(card.training) == {"a�": ["b�"]}


def test_words_of_an_error_are_few_and_command_no_terminal():
    error = DenoisingError("\x1b[2J" + "x" * 10**6 + ".", "Do\x07 that.")
    assert len(str(error)) < 3000
    assert error.cause.startswith("�[2J")
    assert error.cause.endswith("x.")
    assert error.remedy == "Do� that."


@pytest.mark.parametrize("sigma", [(5, 1), (-1, 5)])
def test_a_noise_range_that_is_none_is_refused(refused, sigma):
    with refused("sigma"):
        Card.from_record({"network": {"style": "plain", "widths": [4]}, "sigma": sigma})


@pytest.mark.parametrize("parts", [10**15, -1, "3", 2.0])
def test_a_record_of_tiles_that_takes_memory_is_refused(tmp_path, refused, parts):
    record = {"format": 1, "made_of": {}, "how": {}, "parts": parts, "done": "ff"}
    text = json.dumps(record | {"invalid_pixels": 0, "notes": {}})
    (tmp_path / FILE_NAME).write_text(text)
    with refused("record of finished tiles"):
        DoneRecord.load(tmp_path)


def test_weights_are_not_read_before_the_network_is_known(tmp_path, monkeypatch, refused):
    from napari_ae_denoise import model_file

    with canary_in(tmp_path):
        header, weights = model(network={"style": "plain", "widths": [4, 7]})
    path = joined(tmp_path, header, weights)
    monkeypatch.setattr(model_file, "bytearray", lambda n: pytest.fail("allocated"), raising=False)
    with refused("differ"):
        Denoiser.load(path)
    with pytest.raises(BaseException, match="allocated"):
        read_model(path)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path, refused):
    from napari_ae_denoise.model_file import opened_model

    path = tmp_path / "m"
    write_model(path, {"a": torch.zeros(100_000)}, {})
    with opened_model(path) as contents:
        os.truncate(path, 1000)
        with refused("shorter"):
            contents.tensors()


def test_the_weights_of_a_file_take_no_more_memory_than_the_file(tmp_path):
    """They lie in one block of bytes, not beside a copy of it."""
    path = tmp_path / "m"
    write_model(path, {"a": torch.ones(1000), "b": torch.ones(10, dtype=torch.float16)}, {})
    tensors, _ = read_model(path)
    first, second = sorted(t.data_ptr() for t in tensors.values())
    assert second - first == 4000
