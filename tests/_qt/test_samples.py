import numpy as np
import pytest

from napari_ae_denoise._qt import samples
from napari_ae_denoise.errors import DenoisingError

PLUGIN = "napari-ae-denoise"


@pytest.mark.parametrize(
    ("key", "layers"), [("mitochondria", 2), ("photograph", 1), ("fluorescence", 1), ("stack", 1)]
)
def test_samples_open(viewer, key, layers):
    viewer.open_sample(PLUGIN, key)
    assert len(viewer.layers) == layers


@pytest.fixture
def not_here(monkeypatch):
    monkeypatch.setattr(samples, "find_fashion_mnist", lambda: None)


def test_fashion_mnist_is_downloaded_while_the_window_lives(viewer, not_here, monkeypatch, qtbot):
    image = np.zeros((5, 28, 28), np.float32)
    fetched = []
    monkeypatch.setattr(samples, "fetch_fashion_mnist", lambda: fetched.append(1))
    monkeypatch.setattr(
        samples,
        "fashion_mnist_layers",
        lambda: [(image, {"name": n, "contrast_limits": (0, 1)}, "image") for n in ("a", "b")],
    )
    viewer.open_sample(PLUGIN, "fashion-mnist")
    assert "downloading" in viewer.layers[0].name
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["a", "b"], timeout=30_000)
    assert fetched == [1]
    assert not samples._running


def test_a_failed_download_is_said(viewer, not_here, monkeypatch, qtbot, notes):
    def fails():
        raise DenoisingError("No connection.", "Install dataset-fashion-mnist.")

    monkeypatch.setattr(samples, "fetch_fashion_mnist", fails)
    viewer.open_sample(PLUGIN, "fashion-mnist")
    qtbot.waitUntil(
        lambda: any("dataset-fashion-mnist" in note for note in notes()), timeout=30_000
    )
    assert len(viewer.layers) == 0


def test_fashion_mnist_opens_where_it_is_at_hand(viewer):
    if samples.find_fashion_mnist() is None:
        pytest.skip("Fashion-MNIST is not on this computer")
    viewer.open_sample(PLUGIN, "fashion-mnist")
    clean, noisy = viewer.layers
    assert noisy.data.shape == clean.data.shape == (10000, 28, 28)
