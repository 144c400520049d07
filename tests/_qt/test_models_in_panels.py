"""How models go from panel to panel and into files, and what the Train panel proposes."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication

from napari_ae_denoise import Denoiser, add_gaussian_noise, psnr
from napari_ae_denoise._qt.model_files import ModelFiles
from napari_ae_denoise._qt.model_saving import Chosen, file_name
from napari_ae_denoise._qt.shelf import Shelf


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b: cam residual", "a_b_ cam residual.safetensors"),
        ("..", "model.safetensors"),
        ("Größe 2", "Größe 2.safetensors"),
        ("", "model.safetensors"),
    ],
)
def test_names_of_layers_become_names_of_files(name, expected):
    assert file_name(name) == expected


def test_the_file_that_was_really_written_is_said(qtbot, untrained_classic, tmp_path):
    shelf = Shelf()
    shelf.add(untrained_classic.renamed("x"))
    files = ModelFiles(lambda: Chosen(untrained_classic, "x"), shelf)
    qtbot.addWidget(files)
    said = []
    files.said.connect(said.append)
    with qtbot.waitSignal(files.save_button.job.done, timeout=60_000):
        files.save_button.save(tmp_path / "mine")
    assert said == [f"Saving {tmp_path / 'mine'} …", f"Saved {tmp_path / 'mine.safetensors'}."]
    assert Denoiser.load(tmp_path / "mine.safetensors").card.name == "tutorial"


def test_opening_a_panel_shows_no_other_window(viewer, open_panel):
    class Watch(QObject):
        def __init__(self):
            super().__init__()
            self.seen = []

        def eventFilter(self, watched, event):
            if event.type() == QEvent.Type.Show and watched.isWidgetType() and watched.isWindow():
                self.seen.append(watched)
            return False

    watch = Watch()
    QApplication.instance().installEventFilter(watch)
    try:
        open_panel("Denoise")
        open_panel("Train autoencoder")
    finally:
        QApplication.instance().removeEventFilter(watch)
    assert watch.seen == []


def test_a_model_that_was_chosen_stays_chosen(viewer, open_panel, untrained_classic):
    panel = open_panel("Denoise")
    for name in ("old", "new"):
        panel.shelf.add(untrained_classic.renamed(name))
    assert panel.model.value == "new"  # nobody had chosen anything
    panel.model.value = "old"
    panel.shelf.add(untrained_classic.renamed("newer"))
    assert panel.model.value == "old"
    assert "newer" in panel.model.choices


def test_stop_before_the_first_step_gives_no_model(viewer, open_panel, run, monkeypatch):
    from napari_ae_denoise._qt import train_job

    steps = train_job.training_steps

    def at_once(data, settings, *, stop, **how):
        stop.set()
        return steps(data, settings, stop=stop, **how)

    monkeypatch.setattr(train_job, "training_steps", at_once)
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))
    panel = open_panel("Train autoencoder")
    before = panel.shelf.names()
    run(panel)
    assert panel.shelf.names() == before
    assert "no model" in panel.bar.status.text()
    assert not panel.files.isEnabled()


def test_a_training_that_broke_off_says_why(
    viewer, open_panel, run, notes, small_image, short_training, monkeypatch
):
    from napari_ae_denoise.objectives import Objective

    score, calls = Objective.__call__, []

    def fails_later(self, *batch):
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError("CUDA error: device lost")
        return score(self, *batch)

    monkeypatch.setattr(Objective, "__call__", fails_later)
    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")
    short_training(panel, steps=50)
    run(panel)
    assert panel.trained.card.training["steps_done"] == 3
    assert "device lost" in panel.bar.status.text()
    assert any("device lost" in note for note in notes())
    assert "nan" not in panel.bar.status.text()


def test_pixels_that_are_not_finite_are_counted_in_training(
    viewer, open_panel, run, small_image, short_training
):
    image = small_image.astype(np.float32)
    image[:2, :3] = np.nan
    viewer.add_image(image, contrast_limits=(0, 255))
    panel = open_panel("Train autoencoder")
    short_training(panel)
    run(panel)
    assert "6 pixels are NaN or infinite" in panel.bar.status.text()


def test_the_noise_range_fits_the_kind_of_image(viewer, open_panel, small_image):
    viewer.add_image(small_image, name="8 bit")
    viewer.add_image(small_image / 255, name="fractions")
    panel = open_panel("Train autoencoder")
    fields = panel.fields

    def shown():
        return fields.unit.value, fields.sigma_low.value, fields.sigma_high.value

    panel.first.value = viewer.layers["8 bit"]
    assert shown() == ("grey values", 0, 50)
    panel.first.value = viewer.layers["fractions"]
    assert shown() == ("% of the data range", 0, 20)
    fields.sigma_high.value = 33
    panel.first.value = viewer.layers["8 bit"]
    assert shown() == ("% of the data range", 0, 33)  # what somebody has typed stays


def test_training_from_noisy_images_only(viewer, open_panel, run, small_image, short_training):
    noisy = small_image + np.random.default_rng(0).normal(0, 20, small_image.shape)
    viewer.add_image(noisy)
    panel = open_panel("Train autoencoder")
    short_training(panel)
    panel.fields.kind.value = "noisy images only"
    assert not panel.second.native.isVisibleTo(panel)
    run(panel)
    assert panel.trained.card.data_kind == "noisy"
    assert "against noisy parts" in panel.bar.status.text()


@pytest.mark.parametrize("axes", ["NYX", "YXN"])
def test_axes_that_deny_the_colours_are_refused_before_anything_runs(
    viewer, open_panel, press, notes, untrained_classic, axes
):
    viewer.add_image(np.zeros((32, 40, 3), np.uint8), rgb=True, name="photo")
    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    panel.axes.value = axes
    press(panel.bar.start_button)
    assert any("photo" in note and axes in note and '"YXC"' in note for note in notes())
    assert panel.job.state.value == "idle"


def test_bundled_models_are_ready_at_once(
    viewer, open_panel, run, small_image, no_bundled_models, monkeypatch
):
    monkeypatch.setattr("napari_ae_denoise.bundled.bundled_files", no_bundled_models)
    names = list(no_bundled_models())
    assert names
    noisy = add_gaussian_noise(small_image, 20, seed=0)
    viewer.add_image(noisy, name="waves")
    panel = open_panel("Denoise")
    assert panel.model.value in names
    run(panel)
    made = viewer.layers["waves denoised"].data
    assert psnr(small_image, made, data_range=255) > psnr(small_image, noisy, data_range=255) + 5


@pytest.mark.parametrize(("after", "chosen"), [(12.0, False), (25.0, True)])
def test_a_model_that_makes_worse_is_offered_and_not_chosen(
    open_panel, untrained_classic, after, chosen
):
    from dataclasses import replace

    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    metrics = {"noisy_psnr": 20.0, "validation_psnr": after}
    card = replace(untrained_classic.card, metrics=metrics, name="newest")
    panel.shelf.add(Denoiser(untrained_classic.network, card))
    assert "newest" in panel.model.choices
    assert (panel.model.value == "newest") is chosen
