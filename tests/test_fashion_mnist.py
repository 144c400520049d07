import gzip

import numpy as np
import pytest

from napari_ae_denoise import fashion_mnist
from napari_ae_denoise.fashion_mnist import (
    FOLDER_VARIABLE,
    add_tutorial_noise,
    fetch_fashion_mnist,
    find_fashion_mnist,
    load_fashion_mnist,
    read_idx,
)

COUNTS = {"train": 50, "t10k": 30}


def idx(values):
    """Return an array as an IDX file: two zeros, the type, the number of axes, their lengths."""
    head = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    return gzip.compress(head + values.tobytes())


def images_of(name):
    return np.random.default_rng(COUNTS[name]).integers(0, 256, (COUNTS[name], 28, 28), np.uint8)


def write_files(folder):
    for name, count in COUNTS.items():
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(idx(images_of(name)))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(idx(labels))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No files on this computer, wherever it is."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "_cache", lambda: tmp_path / "cache")
    return tmp_path


def test_the_files_are_found_by_the_variable(nowhere, monkeypatch):
    assert find_fashion_mnist() is None
    write_files(nowhere)
    monkeypatch.setenv(FOLDER_VARIABLE, str(nowhere))
    assert find_fashion_mnist() == nowhere


@pytest.mark.parametrize("place", ["debian", "cache"])
def test_the_files_are_found_where_debian_and_downloads_put_them(nowhere, place):
    (nowhere / place).mkdir()
    write_files(nowhere / place)
    assert find_fashion_mnist() == nowhere / place
    assert fetch_fashion_mnist() == nowhere / place


def test_a_folder_that_lacks_a_file_is_passed_over(nowhere, monkeypatch):
    write_files(nowhere)
    monkeypatch.setenv(FOLDER_VARIABLE, str(nowhere))
    (nowhere / "t10k-labels-idx1-ubyte.gz").unlink()
    assert find_fashion_mnist() is None


@pytest.mark.parametrize(("split", "name"), [("train", "train"), ("test", "t10k")])
def test_images_and_labels_are_those_in_the_files(nowhere, monkeypatch, split, name):
    write_files(nowhere)
    monkeypatch.setenv(FOLDER_VARIABLE, str(nowhere))
    images, labels = load_fashion_mnist(split)
    np.testing.assert_array_equal(images, images_of(name))
    assert images.dtype == labels.dtype == np.uint8
    assert labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_without_files_it_is_said_how_to_get_them(nowhere, refused):
    with refused("not on this computer", remedy="dataset-fashion-mnist"):
        load_fashion_mnist("test")


def test_no_other_part_exists(refused):
    with refused("validation", remedy='"train" or "test"'):
        load_fashion_mnist("validation")


def test_a_download_puts_the_files_where_they_are_found(nowhere, monkeypatch):
    import pooch

    asked = []

    def retrieve(url, known_hash, fname, path):
        asked.append((url, known_hash))
        path.mkdir(exist_ok=True)
        write_files(path)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    told = []
    assert fetch_fashion_mnist(told.append) == nowhere / "cache" == find_fashion_mnist()
    assert len(told) == 4
    assert all(url.startswith("https://github.com/zalandoresearch/") for url, _ in asked)
    assert all(checksum.startswith("sha256:") and len(checksum) == 71 for _, checksum in asked)


@pytest.mark.parametrize(
    ("error", "word"),
    [(ConnectionError("no route"), "downloaded"), (ValueError("hash differs"), "checksum")],
)
def test_a_download_that_fails_says_what_to_do(nowhere, monkeypatch, refused, error, word):
    import pooch

    def retrieve(*args, **kwargs):
        raise error

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with refused("train-images", word, remedy="dataset-fashion-mnist"):
        fetch_fashion_mnist()


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"no gzip",
        gzip.compress(b""),
        gzip.compress(b"\x00\x00\x08"),
        gzip.compress(b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00"),
        idx(np.zeros((3, 4), np.uint8))[:-12],
        gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x05" + b"\x01" * 4),
    ],
)
def test_a_damaged_file_is_named(tmp_path, refused, blob):
    (tmp_path / "a.gz").write_bytes(blob)
    with refused("a.gz", "IDX"):
        read_idx(tmp_path / "a.gz")


def test_files_that_do_not_fit_are_refused(nowhere, monkeypatch, refused):
    write_files(nowhere)
    (nowhere / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.zeros(7, np.uint8)))
    monkeypatch.setenv(FOLDER_VARIABLE, str(nowhere))
    with refused("do not fit", "(7,)"):
        load_fashion_mnist("train")


def test_the_tutorial_noise_is_half_the_range_and_clipped():
    grey = np.full((200, 28, 28), 128, np.uint8)
    noisy = add_tutorial_noise(grey, seed=1)
    assert noisy.dtype == np.float32
    assert noisy.min() == 0
    assert noisy.max() == 1
    # one standard deviation each way is where clipping begins: what is in between is even Gaussian
    inside = np.abs(noisy - 128 / 255) < 0.25
    assert inside.mean() == pytest.approx(0.3829, abs=0.01)  # half a standard deviation
    np.testing.assert_array_equal(noisy, add_tutorial_noise(grey, seed=1))
    assert not np.array_equal(noisy, add_tutorial_noise(grey, seed=2))
    assert grey.min() == grey.max() == 128
