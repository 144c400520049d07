"""What is saved is what was meant when the button was pressed, whatever comes while it asks."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from qtpy.QtWidgets import QFileDialog

from napari_ae_denoise import Denoiser
from napari_ae_denoise._qt import model_saving, result_saving, writing_button
from napari_ae_denoise.fingerprints import of_network
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.networks import ConvAutoencoder


@pytest.fixture
def meanwhile(monkeypatch, tmp_path):
    """Return a function that says what happens while a file dialog is open, before Save."""
    monkeypatch.chdir(tmp_path)

    def happens(what):
        monkeypatch.setattr(QFileDialog, "exec", lambda _dialog: what() or 1)

    return happens


@pytest.fixture
def two_results(viewer, panel, run, small_image, tmp_path, save_model):
    """Layers of two images and their results; that of the first is selected."""
    save_model(panel, tmp_path / "m.safetensors")
    for name, image in {"A": small_image, "B": small_image[::-1]}.items():
        panel.layer.value = viewer.add_image(image, name=name)
        run(panel)
    viewer.layers.selection.active = viewer.layers["A denoised"]
    return viewer.layers


def select_b(layers):
    layers.selection.active = layers["B denoised"]


def test_the_result_that_was_selected_is_saved(panel, press, qtbot, two_results, meanwhile):
    meanwhile(lambda: select_b(two_results))
    button = panel.tools.save_button
    press(button)
    qtbot.waitUntil(lambda: button.job.state.value == "idle", timeout=60_000)
    np.testing.assert_array_equal(
        read_image("A denoised.tif").array, two_results["A denoised"].data
    )


def test_the_workflow_of_the_result_that_was_selected_is_saved(
    panel, press, qtbot, two_results, meanwhile
):
    meanwhile(lambda: select_b(two_results))
    button = panel.tools.workflow_button
    press(button)
    qtbot.waitUntil(lambda: button.job.state.value == "idle", timeout=60_000)
    said = panel.bar.status.text()
    assert said.startswith('The workflow of "A denoised" is in ')
    assert said.endswith("A denoised.json.")


@pytest.mark.parametrize("exports", [False, True])
def test_the_model_that_was_chosen_is_written(
    panel, press, qtbot, meanwhile, untrained_classic, monkeypatch, exports
):
    spec = untrained_classic.network.spec
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        newer = Denoiser(ConvAutoencoder(spec), untrained_classic.card)
    weights, written = of_network(untrained_classic.network), []
    monkeypatch.setattr(
        model_saving, "export_model", lambda denoiser, path: written.append(denoiser) or path
    )

    def trained():
        panel.model.value = panel.shelf.add(newer)

    meanwhile(trained)
    button = panel.files.export_button if exports else panel.files.save_button
    press(button)
    qtbot.waitUntil(lambda: button.job.state.value == "idle", timeout=60_000)
    if not exports:
        written.append(Denoiser.load("tutorial.safetensors"))
    assert of_network(panel.models.chosen().network) != weights
    assert [of_network(one.network) for one in written] == [weights]


def test_colours_become_grey_values_in_the_thread_that_writes(
    viewer, panel, press, run, qtbot, meanwhile, monkeypatch
):
    """For the name alone they were computed too, and both in the thread of the window."""
    threads, usual = [], result_saving.from_colours

    def converted(colours, bound):
        threads.append(threading.current_thread())
        return usual(colours, bound)

    monkeypatch.setattr(result_saving, "from_colours", converted)
    photograph = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    viewer.add_image(photograph, name="p", rgb=True)
    panel.denoised.value, panel.noise.value = False, True
    run(panel)
    meanwhile(lambda: None)
    button = panel.tools.save_button
    press(button)
    qtbot.waitUntil(lambda: button.job.state.value == "idle", timeout=60_000)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
    assert read_image("p removed noise.tif").array.shape == (40, 50, 3)


def test_dialogs_begin_with_the_users_folder_and_then_where_the_last_file_went(
    panel, press, qtbot, two_results, monkeypatch, tmp_path
):
    monkeypatch.setattr(writing_button, "_saved_in", [])
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    (tmp_path / "home").mkdir()
    (tmp_path / "other").mkdir()
    begun = []

    def choose(dialog):
        begun.append(dialog.directory().absolutePath())
        dialog.setDirectory(str(tmp_path / "other"))
        return 1

    monkeypatch.setattr(QFileDialog, "exec", choose)
    for button in (panel.tools.save_button, panel.tools.workflow_button):
        press(button)
        qtbot.waitUntil(lambda b=button: b.job.state.value == "idle", timeout=60_000)
    assert begun == [str(tmp_path / "home"), str(tmp_path / "other")]
    assert (tmp_path / "other" / "A denoised.tif").exists()
