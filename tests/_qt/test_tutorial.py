"""The tutorial in napari: open the sample, train, denoise."""

from pathlib import Path

import numpy as np
import pytest
from fashion import COUNTS, write_small_fashion_mnist

from napari_ae_denoise.fashion_mnist import FOLDER_VARIABLE


@pytest.fixture
def small(tmp_path, monkeypatch):
    write_small_fashion_mnist(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


def test_sample_train_denoise(viewer, open_panel, run, short_training, small):
    viewer.open_sample("napari-ae-denoise", "fashion-mnist")
    clean, noisy = viewer.layers
    assert clean.data.shape == (COUNTS["t10k"], 28, 28)

    train = open_panel("Train autoencoder")
    short_training(train, steps=250)
    train.fields.kind.value = "clean and noisy images"
    chosen = {"clean": clean, "noisy": noisy}
    for field in (train.first, train.second):
        field.value = chosen["clean" if "clean" in field.label.lower() else "noisy"]
    run(train)
    assert train.trained.card.data_kind == "pairs"
    assert train.trained.card.network.edge == "zero"  # the images are seen whole

    denoise = open_panel("Denoise")
    denoise.layer.value = noisy
    run(denoise)
    made = viewer.layers[-1].data
    assert made.shape == noisy.data.shape
    before, after = (np.mean((images - clean.data) ** 2) for images in (noisy.data, made))
    assert after < 0.75 * before


def test_a_model_of_keras_is_opened(viewer, open_panel, open_model, run):
    path = Path(__file__).parents[1] / "data" / "keras" / "keras3_functional.h5"
    panel = open_panel("Denoise")
    open_model(panel, path)
    image = viewer.add_image(np.random.default_rng(0).random((40, 48)), name="image")
    panel.layer.value = image
    assert panel.model.value == path.stem
    run(panel)
    assert viewer.layers[-1].data.shape == (40, 48)
