import json
import os
import pickle
import random
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_ae_denoise import model_file
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.model_file import model_from_bytes, read_model, write_model

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.full((4,), 0.5, dtype=torch.float16),
    "c": torch.tensor(3.0, dtype=torch.bfloat16),
}
CARD = {"format": 1, "name": "Kern µ", "numbers": [1, 2.5, None]}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    write_model(path, TENSORS, CARD)
    return path


def split(path):
    """Return the header of a file as a record, and its weights as bytes."""
    blob = path.read_bytes()
    length = struct.unpack("<Q", blob[:8])[0]
    return json.loads(blob[8 : 8 + length]), blob[8 + length :]


def join(path, header, weights):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + weights)


def test_tensors_and_card_come_back(path):
    tensors, card = read_model(path)
    assert card == CARD
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_tensors_of_any_layout_are_written(tmp_path):
    odd = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)[::2].transpose(0, 1)
    write_model(tmp_path / "m", {"odd": odd.requires_grad_()}, {})
    assert torch.equal(read_model(tmp_path / "m")[0]["odd"], odd)


def test_safetensors_itself_reads_the_same(path):
    mine, _ = read_model(path)
    theirs = load_file(path)
    assert set(mine) == set(theirs)
    for name, tensor in theirs.items():
        assert mine[name].dtype == tensor.dtype
        assert torch.equal(mine[name], tensor)


def test_files_of_the_first_days_have_no_checksum_and_open(path):
    header, weights = split(path)
    del header["__metadata__"]["sha256"]
    join(path, header, weights)
    assert read_model(path)[1] == CARD


def test_every_truncation_is_refused(path, refused):
    blob = path.read_bytes()
    header = 8 + struct.unpack("<Q", blob[:8])[0]
    lengths = {*range(0, 12), *range(header - 3, len(blob)), *range(12, header, 7)}
    for length in sorted(lengths):
        path.write_bytes(blob[:length])
        with refused(path, remedy="copy it again"):
            read_model(path)


def test_appended_bytes_are_refused(path, refused):
    path.write_bytes(path.read_bytes() + b"\0")
    with refused(path, "announced"):
        read_model(path)


def test_bit_flips_in_the_header_never_end_in_anything_but_a_refusal(path, refused):
    blob = path.read_bytes()
    header = 8 + struct.unpack("<Q", blob[:8])[0]
    read, refusals = 0, set()
    for position in range(header):
        for bit in range(8):
            damaged = bytearray(blob)
            damaged[position] ^= 1 << bit
            try:
                tensors, card = model_from_bytes(path, bytes(damaged))
            except DenoisingError as error:
                refusals.add(error.cause)
                continue
            read += 1
            assert isinstance(card, dict)
            assert all(torch.isfinite(t).all() for t in tensors.values())
    assert read < 0.4 * header * 8
    assert all(str(path) in cause for cause in refusals)


def test_bit_flips_anywhere_in_a_denoiser_are_noticed(untrained, tmp_path, refused):
    path = tmp_path / "m.safetensors"
    untrained("bottleneck").save(path)
    blob = path.read_bytes()
    draw = random.Random(0)
    for _ in range(250):
        damaged = bytearray(blob)
        for _ in range(draw.choice([1, 1, 2, 5])):
            damaged[draw.randrange(len(blob))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        if bytes(damaged) != blob:
            with refused():
                Denoiser.load(path)


class Canary:
    """An object whose unpickling leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_run(tmp_path, refused, protocol):
    canary = tmp_path / "canary"
    path = tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps(Canary(canary), protocol))
    for read in (read_model, Denoiser.load):
        with refused(path, "pickle" if protocol >= 2 else ""):
            read(path)
    assert not canary.exists()


def test_a_pytorch_file_is_never_run(tmp_path, refused):
    canary = tmp_path / "canary"
    path = tmp_path / "m.safetensors"
    torch.save(Canary(canary), path)
    with refused("zip archive"):
        Denoiser.load(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("start", "word"),
    [
        (b"\x89HDF\r\n\x1a\n", "Keras"),
        (b"PK\x03\x04", "zip"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"\x93NUMPY", "numpy"),
        (b"<html>", "does not begin"),
        (b"", "0 bytes"),
    ],
)
def test_foreign_files_are_called_by_their_name(tmp_path, refused, start, word):
    path = tmp_path / "m.safetensors"
    path.write_bytes(start + (b"\0" * 100 if start else b""))
    with refused(path, word, remedy="safetensors"):
        read_model(path)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**40, 9 * 1024**2, 10**6])
def test_huge_announced_headers_are_refused_without_taking_memory(path, refused, length):
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with refused(path):
        read_model(path)


def lies():
    """Return changes of a header that make it lie about its weights, by name."""

    def change(name, **values):
        return lambda header: header[name].update(values)

    return {
        "huge shape": change("a", shape=[10**9, 10**9]),
        "shape of another size": change("a", shape=[2, 4]),
        "negative shape": change("a", shape=[-2, -3]),
        "text shape": change("a", shape="23"),
        "no shape": lambda h: h["a"].pop("shape"),
        "no offsets": lambda h: h["a"].pop("data_offsets"),
        "one offset": change("a", data_offsets=[0]),
        "text offsets": change("a", data_offsets=["0", "24"]),
        "offsets beyond the end": change("a", data_offsets=[0, 10**12]),
        "negative offsets": change("a", data_offsets=[-24, 0]),
        "swapped offsets": change("a", data_offsets=[24, 0]),
        "overlapping": lambda h: h["b"].update(data_offsets=h["c"]["data_offsets"], shape=[1]),
        "overlapping to the end": change("b", data_offsets=[24, 34], shape=[5]),
        "a gap": lambda h: h.pop("b"),
        "all at one place": lambda h: [
            e.update(data_offsets=[0, 24], shape=[6], dtype="F32") for k, e in h.items() if k < "d"
        ],
        "unknown type": change("a", dtype="F8_E9"),
        "integers": change("a", dtype="I32"),
        "float64": change("a", dtype="F64", shape=[3]),
        "another type": change("a", dtype="F16"),
        "type no text": change("a", dtype=["F32"]),
        "entry no record": lambda h: h.update(a=5),
        "no card": lambda h: h["__metadata__"].pop("card"),
        "no metadata": lambda h: h.pop("__metadata__"),
        "card no text": lambda h: h["__metadata__"].update(card={"format": 1}),
        "card no json": lambda h: h["__metadata__"].update(card="{"),
        "card no record": lambda h: h["__metadata__"].update(card="[1, 2]"),
        "card of pickles": lambda h: h["__metadata__"].update(card="cos\nsystem\n."),
        "endless card": lambda h: h["__metadata__"].update(card="[" * 200_000),
        "long card": lambda h: h["__metadata__"].update(card='"' + "x" * 2**20 + '"'),
        "long number": lambda h: h["__metadata__"].update(card="9" * 10_000),
    }


@pytest.mark.parametrize("lie", lies())
def test_headers_that_lie_are_refused(path, refused, lie):
    header, weights = split(path)
    del header["__metadata__"]["sha256"]  # which would tell of most of them
    lies()[lie](header)
    join(path, header, weights)
    with refused(path, remedy="Choose"):
        read_model(path)


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"{}",
        b"{]",
        b"[]",
        b"null",
        b"{\xff\xfe}",
        b'{"a":' * 5000,
        b'{"a": NaN}',
        b"{" + b" " * 99,
    ],
)
def test_headers_that_are_none_are_refused(path, refused, header):
    join(path, header, b"")
    with refused(path):
        read_model(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", list(TENSORS))
def test_weights_that_are_not_finite_are_refused(path, refused, bad, name):
    header, weights = split(path)
    begin, end = header[name]["data_offsets"]
    tensor = TENSORS[name].clone()
    tensor.flatten()[-1:] = bad
    tensor = torch.where(
        torch.arange(tensor.numel()).reshape(tensor.shape) == tensor.numel() - 1,
        torch.tensor(bad, dtype=tensor.dtype),
        tensor,
    )
    join(
        path,
        header,
        weights[:begin] + tensor.view(torch.uint8).numpy().tobytes() + weights[end:]
        if tensor.ndim
        else weights[:begin] + tensor[None].view(torch.uint8).numpy().tobytes() + weights[end:],
    )
    with refused(path, name, "finite"):
        read_model(path)


def test_missing_files_folders_and_sealed_files_are_refused(tmp_path, refused, monkeypatch):
    with refused("no model file", tmp_path / "none.safetensors", remedy="path"):
        read_model(tmp_path / "none.safetensors")
    with refused("a folder", tmp_path):
        read_model(tmp_path)
    path = tmp_path / "m.safetensors"
    write_model(path, TENSORS, CARD)

    def sealed(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", sealed)
    with refused(path, "Permission denied", remedy="may read"):
        read_model(path)


@pytest.mark.skipif(os.name == "nt", reason="makes a sparse file")
def test_huge_files_are_refused_unread(tmp_path, refused, monkeypatch):
    path = tmp_path / "m.safetensors"
    with path.open("wb") as file:
        file.truncate(3 * 1024**3)
    monkeypatch.setattr(type(path), "open", lambda self, *_: pytest.fail("it was read"))
    with refused(path, "3.0 GiB"):
        read_model(path)


def test_a_failing_save_leaves_the_old_model_whole(path, refused, monkeypatch):
    before = path.read_bytes()
    real = type(path).write_bytes

    def half(self, data):
        real(self, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", half)
    with refused(path, "No space left", remedy="space"):
        write_model(path, {"a": torch.zeros(100)}, CARD)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_save_that_reads_back_otherwise_leaves_the_old_model_whole(path, refused, monkeypatch):
    before = path.read_bytes()
    read = model_file.read_model
    monkeypatch.setattr(
        model_file, "read_model", lambda p: ({k: v + 1 for k, v in read(p)[0].items()}, {})
    )
    with refused(path, "read back", remedy="another one"):
        write_model(path, {"a": torch.zeros(100)}, CARD)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_weights_that_are_not_finite_are_not_saved(path, refused):
    before = path.read_bytes()
    with refused("finite"):
        write_model(path, {"a": torch.tensor([1.0, np.nan])}, CARD)
    assert path.read_bytes() == before


def test_folders_that_are_not_there_are_refused(tmp_path, refused):
    path = tmp_path / "no" / "m.safetensors"
    with refused(path, "No such file", remedy="folder"):
        write_model(path, TENSORS, CARD)


def test_cards_of_numpy_numbers_are_saved(tmp_path):
    write_model(tmp_path / "m", TENSORS, {"seed": np.int64(3), "psnr": np.float32(0.5)})
    assert read_model(tmp_path / "m")[1] == {"seed": 3, "psnr": 0.5}


# ---- the last that is read, and the first that is refused


def padded(path, length):
    """Make the header of a file some bytes long, by spaces."""
    header, weights = split(path)
    text = json.dumps(header).encode()
    assert len(text) <= length
    join(path, text + b" " * (length - len(text)), weights)


@pytest.mark.parametrize("sign", [b"\x80\x03", b"PK", b"II", b"MM"])
def test_a_header_as_long_as_the_sign_of_another_file_opens(path, sign):
    padded(path, int.from_bytes(sign, "little"))
    assert read_model(path)[1] == CARD


def test_headers_of_two_mebibytes_open_and_longer_ones_do_not(path, refused):
    padded(path, 2 * 1024**2)
    assert read_model(path)[1] == CARD
    padded(path, 2 * 1024**2 + 1)
    with refused("does not begin"):
        read_model(path)


def test_cards_of_a_mebibyte_open_and_longer_ones_do_not(path, refused):
    header, weights = split(path)
    del header["__metadata__"]["sha256"]
    for more in (0, 1):
        header["__metadata__"]["card"] = '{"a":"' + "x" * (1024**2 - 8 + more) + '"}'
        join(path, header, weights)
        if more:
            with refused("card"):
                read_model(path)
        else:
            assert len(read_model(path)[1]["a"]) == 1024**2 - 8


def test_twenty_thousand_tensors_open_and_more_do_not(path, refused):
    about = {"__metadata__": {"card": "{}"}}
    for count in (20_000, 20_001):
        header = about | {
            str(n): {"dtype": "F16", "shape": [1], "data_offsets": [2 * n, 2 * n + 2]}
            for n in range(count)
        }
        join(path, json.dumps(header, separators=(",", ":")).encode(), b"\0\0" * count)
        if count > 20_000:
            with refused("20001 tensors"):
                read_model(path)
        else:
            assert len(read_model(path)[0]) == 20_000


def test_headers_of_a_hundred_thousand_records_open_and_of_more_do_not(path, refused):
    header, weights = split(path)
    del header["__metadata__"]["sha256"]
    for most in (100_000, 100_001):
        header["__metadata__"]["card"] = '{"a":[0]}'
        text = json.dumps(header)
        more = most - text.count("{") - text.count("[")
        header["__metadata__"]["card"] = '{"a":[0' + ",[]" * more + "]}"
        join(path, header, weights)
        if most > 100_000:
            with refused("cannot be read"):
                read_model(path)
        else:
            assert len(read_model(path)[1]["a"]) == more + 1


def test_tensors_of_eight_axes_open_and_more_do_not(tmp_path, refused):
    eight = torch.ones(1, 2, 1, 1, 3, 1, 1, 1)
    write_model(tmp_path / "m", {"a": eight}, {})
    assert torch.equal(read_model(tmp_path / "m")[0]["a"], eight)
    with refused('"a" contradicts itself'):
        write_model(tmp_path / "n", {"a": eight[None]}, {})


@pytest.mark.skipif(os.name == "nt", reason="makes sparse files")
def test_files_of_two_gibibytes_are_looked_at_and_larger_ones_are_not(tmp_path, refused):
    path = tmp_path / "m.safetensors"
    for more, words in ((0, "does not begin"), (1, "2.0 GiB large")):
        with path.open("wb") as file:
            file.truncate(2 * 1024**3 + more)
        with refused(words):
            read_model(path)


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"\2" + bytes(7) + b"{", "only 9 bytes"),
        (b"\2" + bytes(7) + b"{}", "cannot be read"),
        (b"\3" + bytes(7) + b"{}", "cut off after 10 bytes"),
        (b"\2" + bytes(7) + b"[]", "does not begin"),
    ],
)
def test_the_shortest_files_are_refused_for_what_they_are(tmp_path, refused, blob, words):
    (tmp_path / "m").write_bytes(blob)
    with refused(words):
        read_model(tmp_path / "m")


def test_a_model_may_have_no_weights(tmp_path):
    write_model(tmp_path / "m", {}, CARD)
    assert read_model(tmp_path / "m") == ({}, CARD)


def test_other_things_beside_the_card_are_refused(path, refused):
    header, weights = split(path)
    header["__metadata__"]["more"] = "x"
    join(path, header, weights)
    with refused("card"):
        read_model(path)


@pytest.mark.parametrize("bad", [object(), {1, 2}, np.zeros(2), float("nan"), np.float32("inf")])
def test_cards_that_json_cannot_hold_leave_the_old_model_whole(path, bad):
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        write_model(path, TENSORS, {"a": bad})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_the_checksum_is_the_one_of_earlier_versions(path):
    """Or models that were saved before would not open."""
    about = split(path)[0]["__metadata__"]
    assert about["sha256"] == "21fdbf3df4654189425983fe3d9b7ae3b4b2ca830eb25418e0fe3fbcf2421af3"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, refused):
    os.mkfifo(tmp_path / "m")
    with refused("no file on a disk"):
        read_model(tmp_path / "m")
