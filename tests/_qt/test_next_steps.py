"""What panels begin with once a result is there, and what they say of another image."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint
from qtpy.QtGui import QHelpEvent
from qtpy.QtWidgets import QApplication, QToolTip

from napari_ae_denoise import train
from napari_ae_denoise._qt.elided import _told
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.train_job import in_words
from napari_ae_denoise.training_data import TrainingData


@pytest.fixture
def models(viewer, untrained):
    """Put two models on the shelf of the viewer."""
    shelf = shelf_of(viewer)
    for name in ("one", "other"):
        shelf.add(untrained("classic").renamed(name))


@pytest.fixture
def denoised(viewer, models, open_panel, run, small_image):
    viewer.add_image(small_image, name="first")
    viewer.add_image(small_image + 1, name="waves")
    panel = open_panel("Denoise")
    panel.latent.value = True
    run(panel)
    assert viewer.layers.selection.active.name == "waves denoised"
    return panel


@pytest.mark.parametrize("selected", ["waves denoised", "waves latent", None])
def test_panels_begin_with_the_image_and_not_with_its_result(
    viewer, open_panel, denoised, selected
):
    viewer.layers.selection.active = None if selected is None else viewer.layers[selected]
    assert open_panel("Add Gaussian noise").layer.value.name == "waves"
    assert open_panel("Train autoencoder").images.example.name == "waves"
    compare = open_panel("Compare")
    assert compare.fields.noisy.value.name == "waves"
    if selected == "waves denoised":  # as by the button Compare
        assert {one.name for one in compare.images.value} == {"waves", "waves denoised"}


def test_a_result_that_is_chosen_as_clean_is_said_to_be_one(viewer, open_panel, denoised):
    panel = open_panel("Train autoencoder")
    assert panel.clean_hint.line.isHidden()
    panel.images.first.value = viewer.layers["waves denoised"]
    assert not panel.clean_hint.line.isHidden()
    assert "made by a model" in panel.clean_hint.line.text()


def test_what_became_of_one_image_is_not_said_of_another(viewer, denoised):
    assert "Added" in denoised.bar.status.text()
    denoised.layer.value = viewer.layers["first"]
    assert denoised.bar.status.text() == ""


def test_results_of_two_models_have_two_names(viewer, run, denoised):
    assert denoised.model.value == "other"  # the newest
    denoised.model.value = "one"
    run(denoised)
    run(denoised)
    names = [layer.name for layer in viewer.layers]
    assert "waves denoised (one)" in names
    assert "waves denoised (one) [1]" in names  # the same again


def test_a_line_beside_the_code_names_what_is_selected(viewer, denoised):
    viewer.layers.selection.active = viewer.layers["waves latent"]
    denoised.tools.split_button.click()
    assert "waves latent&quot; cannot be compared" in denoised.bar.status.text()
    assert not denoised.tools.split_button.isChecked()


def test_the_tab_key_does_not_reach_what_is_folded_away(viewer, open_panel):
    panel = open_panel("Denoise")
    assert not panel.tile.native.isVisible()
    viewer.window._qt_window.show()
    section = panel.tile.native.parent()
    while not hasattr(section, "toggleButton"):
        section = section.parent()
    section.toggleButton().click()
    assert panel.tile.native.isVisible()
    section.toggleButton().click()
    assert not panel.tile.native.isVisible()


def test_a_name_that_is_cut_is_whole_in_the_tooltip(viewer, open_panel):
    viewer.add_image(np.zeros((64, 64)), name="plate 7 well B04 field 3 channel " * 4)
    box = open_panel("Denoise").layer.native
    assert _told(box).startswith("plate 7 well B04 field 3 channel plate")
    event = QHelpEvent(QEvent.Type.ToolTip, QPoint(3, 3), box.mapToGlobal(QPoint(3, 3)))
    QApplication.sendEvent(box, event)
    assert QToolTip.text().startswith("plate 7")
    viewer.layers[0].name = "a"
    assert _told(box) == box.toolTip()


def test_live_that_is_switched_on_while_the_model_opens_begins_then(
    viewer, models, open_panel, small_image, qtbot, monkeypatch
):
    viewer.add_image(small_image, name="waves")
    panel = open_panel("Denoise")
    at_hand = type(panel.models).at_hand
    monkeypatch.setattr(type(panel.models), "at_hand", property(lambda _: False))
    panel.live.switch.value = True
    assert panel.live.switch.value
    assert panel.problem._text == ""
    monkeypatch.setattr(type(panel.models), "at_hand", at_hand)
    panel.at_once.look()
    qtbot.waitUntil(lambda: any("live" in one.name for one in viewer.layers), timeout=30_000)


def test_of_a_fine_tuning_it_is_said_what_the_model_before_had(camera, quick_settings, untrained):
    start = train(TrainingData(clean=camera), quick_settings(steps=4))
    tuned = train(
        TrainingData(clean=camera), quick_settings(steps=2, learning_rate=1e-9), start=start
    )
    had = tuned.card.metrics["start_psnr"]
    said = in_words("tuned", tuned.card)
    assert f'{had:.2f} dB by "{start.card.name}"' in said
    assert "start_psnr" not in start.card.metrics
    if tuned.card.metrics["validation_psnr"] - had < 0.005 and not tuned.card.makes_worse:
        assert "Nothing was gained" in said
