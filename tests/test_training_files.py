"""Training data in folders: in the order of names, paired, with the axes that the files tell."""

import threading

import numpy as np
import pytest
import tifffile
from skimage.io import imsave as imwrite

from napari_ae_denoise import training_files
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.steps import Stopped, stopping
from napari_ae_denoise.training_files import data_from_files


@pytest.fixture
def folder(tmp_path):
    def fill(name, count, shape=(8, 9)):
        (tmp_path / name).mkdir()
        for number in range(count):
            image = np.full(shape, number, np.uint8)
            np.save(tmp_path / name / f"{number}.npy", image)
        (tmp_path / name / "notes.txt").write_text("no image")
        return [tmp_path / name]

    return fill


def test_a_folder_is_its_images_in_the_order_of_their_names(folder):
    data = data_from_files(clean=folder("clean", 3))
    assert data.kind == "clean"
    assert [int(image[0, 0]) for image in data.clean] == [0, 1, 2]


def test_two_folders_are_pairs(folder):
    data = data_from_files(noisy=folder("a", 2), noisy_again=folder("b", 2))
    assert data.kind == "two noisy"
    assert [int(image[0, 0]) for image in data.noisy_again] == [0, 1]


def test_folders_of_different_size_are_refused_with_their_numbers(folder):
    with pytest.raises(DenoisingError, match="3 clean and 2 noisy images"):
        data_from_files(clean=folder("clean", 3), noisy=folder("noisy", 2))


def test_the_axes_that_were_given_come_first(folder):
    assert data_from_files(clean=folder("clean", 1, (2, 8, 9)), axes="TYX").axes == "TYX"


def test_stop_is_obeyed_between_files(folder, monkeypatch):
    stop, read = threading.Event(), []
    usual = training_files.read_image

    def one(path):
        read.append(path)
        if len(read) == 2:
            stop.set()
        return usual(path)

    monkeypatch.setattr(training_files, "read_image", one)
    with stopping(stop), pytest.raises(Stopped):
        data_from_files(clean=folder("clean", 5))
    assert len(read) == 2


def test_pairs_whose_files_name_their_axes_in_another_order_belong_together(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (3, 2, 40, 48), np.uint8)  # T, C, Y, X
    first, second = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    tifffile.imwrite(first, image, metadata={"axes": "TCYX"})
    tifffile.imwrite(second, image.swapaxes(0, 1), metadata={"axes": "CTYX"})
    data = data_from_files(clean=[first], noisy=[second])
    assert data.axes == "TCYX"
    np.testing.assert_array_equal(data.clean[0], data.noisy[0])


def test_files_of_different_axes_are_refused_where_one_would_be_guessed_wrong(tmp_path, refused):
    stack, image = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    tifffile.imwrite(stack, np.zeros((2, 4, 40, 48), np.uint8), metadata={"axes": "TCYX"})
    tifffile.imwrite(image, np.zeros((4, 40, 48), np.uint8), metadata={"axes": "TYX"})
    with refused("TCYX", str(stack), "TYX", remedy="same axes"):
        data_from_files(clean=[stack, image])
    with refused("TCYX", "TYX"):
        data_from_files(clean=[stack], noisy=[image])


def test_photographs_in_gray_and_in_colours_are_as_their_shapes_tell(tmp_path):
    for name, shape in {"gray": (40, 48), "colours": (40, 48, 3)}.items():
        imwrite(tmp_path / f"{name}.png", np.zeros(shape, np.uint8), check_contrast=False)
    assert data_from_files(clean=[tmp_path]).axes is None


def test_the_file_that_cannot_be_trained_on_is_named(tmp_path, refused):
    for name, dtype in {"a": np.uint8, "b": complex}.items():
        np.save(tmp_path / f"{name}.npy", np.zeros((8, 9), dtype))
    with refused("complex", str(tmp_path / "b.npy")):
        data_from_files(clean=[tmp_path])
