"""Packages of bioimage.io whose network is none of ours, in the panels."""

import numpy as np
import pytest
from zoo_packages import write_package

from napari_ae_denoise import Denoiser

for name in ("bioimageio.core", "onnx", "onnxruntime"):
    pytest.importorskip(name, reason=f"{name} is not installed: extra bioimageio")

pytestmark = [  # the zoo's library's and its peers' own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def package(tmp_path):
    return write_package(tmp_path, before=[("scale_range", {"axes": ("y", "x")})])


@pytest.fixture
def denoise(viewer, open_panel, open_model, package):
    viewer.add_image(
        np.random.default_rng(0).integers(0, 900, (120, 96), np.uint16), scale=(0.2, 0.1)
    )
    panel = open_panel("Denoise")
    open_model(panel, package)
    return panel


def test_a_package_of_others_denoises_in_the_panel(viewer, denoise, run, package):
    assert denoise.model.value == "others"  # after its file
    image = viewer.layers[0].data
    run(denoise)
    result = viewer.layers[-1]
    want = Denoiser.load(package).denoise(image, axes="YX", device="cpu")
    np.testing.assert_array_equal(result.data, want)
    assert result.data.dtype == image.dtype
    np.testing.assert_allclose(result.scale, (0.2, 0.1))
    assert result.metadata["napari_ae_denoise"]["model"] == "others"


def test_its_live_preview_shows_the_same(viewer, denoise, run, package, qtbot):
    want = Denoiser.load(package).denoise(viewer.layers[0].data, axes="YX", device="cpu")
    denoise.live.switch.value = True
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=30_000)
    live = viewer.layers[-1]
    qtbot.waitUntil(lambda: np.array_equal(np.asarray(live.data), want), timeout=30_000)


def test_what_only_our_own_models_can_is_refused_with_the_remedy(
    viewer, denoise, run, press, notes, tmp_path, save_model
):
    denoise.latent.value = True
    run(denoise)
    assert "latent code" in notes()[-1]
    assert denoise.bar.start_button.isEnabled()
    denoise.latent.value = False
    save_model(denoise, tmp_path / "mine.safetensors")
    assert "another family" in notes()[-1]
    assert not (tmp_path / "mine.safetensors").exists()


def test_it_is_refused_as_the_start_of_a_training(
    viewer, denoise, open_panel, run, notes, short_training
):
    train = open_panel("Train autoencoder")
    short_training(train)
    train.start_from.value = "others"
    assert "another family" in train.network_note.text()
    run(train)
    assert "another family" in notes()[-1]
    assert train.bar.start_button.isEnabled()
