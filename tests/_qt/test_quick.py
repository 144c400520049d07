"""The command *Denoise active layer*, called as the menu calls it."""

import threading

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.utils import progress

from napari_ae_denoise import Denoiser, add_gaussian_noise
from napari_ae_denoise._qt import quick

COMMAND = "napari-ae-denoise.denoise_active"


@pytest.fixture
def command(qtbot):
    """Return a function that runs the command and waits for its end."""

    def run():
        get_app_model().commands.execute_command(COMMAND).result()
        qtbot.waitUntil(lambda: not quick._running, timeout=120_000)
        assert not progress._all_instances

    return run


@pytest.fixture
def bundled(monkeypatch, no_bundled_models):
    monkeypatch.setattr("napari_ae_denoise.bundled.bundled_files", no_bundled_models)


def test_it_is_in_the_menu_layers_filter(viewer):
    app = get_app_model()
    submenu = [item.command.id for item in app.menus.get_menu("napari-ae-denoise/filter")]
    assert submenu[0] == COMMAND
    assert "Denoise active layer" in app.commands[COMMAND].title


def test_the_active_layer_is_denoised_with_the_model_that_fits(
    viewer, command, notes, small_image, bundled
):
    noisy = add_gaussian_noise(small_image, 20, seed=0)
    viewer.add_image(noisy, name="waves", scale=(2, 3))
    command()
    made = viewer.layers["waves denoised"]
    np.testing.assert_array_equal(made.data, Denoiser.load("natural-gray").denoise(noisy))
    np.testing.assert_array_equal(made.scale, (2, 3))
    assert any('Added "waves denoised"' in note for note in notes())


def test_the_model_is_opened_in_a_thread(viewer, command, small_image, bundled, readers):
    viewer.add_image(small_image, name="waves")
    command()
    assert "waves denoised" in viewer.layers
    assert len(readers) == 1
    assert threading.main_thread() not in [thread for _, thread in readers]


@pytest.mark.parametrize("case", ["none", "labels", "inactive", "constant", "no model"])
def test_what_cannot_be_done_is_said(viewer, command, notes, small_image, bundled, case, request):
    words = {
        "none": "no image layer",
        "labels": "is a Labels layer",
        "inactive": "Click the image layer",
        "constant": "constant",
        "no model": "no model",
    }[case]
    if case == "labels":
        viewer.add_labels(np.zeros((8, 8), int))
    elif case != "none":
        viewer.add_image(small_image * (case != "constant"), contrast_limits=(0, 255))
    if case == "inactive":
        viewer.layers.selection.clear()
    if case == "no model":
        request.getfixturevalue("monkeypatch").setattr(
            "napari_ae_denoise.bundled.bundled_files", dict
        )
    before = len(viewer.layers)
    command()
    assert any(words in note for note in notes())
    assert len(viewer.layers) == before


def test_naparis_cancel_stops_it(viewer, qtbot, bundled, monkeypatch, notes):
    image = np.random.default_rng(0).integers(0, 255, (20, 600, 600)).astype(np.uint8)
    viewer.add_image(image, name="i")
    get_app_model().commands.execute_command(COMMAND).result()
    (bar,) = progress._all_instances
    bar.cancel()
    qtbot.waitUntil(lambda: not quick._running, timeout=120_000)
    assert not progress._all_instances
    assert "i denoised" not in viewer.layers


def test_a_long_run_says_where_its_progress_is(
    viewer, command, bundled, small_image, monkeypatch, notes
):
    monkeypatch.setattr(quick, "_LOOK", 1)
    monkeypatch.setattr(quick, "_LONG", 1)
    viewer.add_image(small_image, name="waves")
    command()
    assert any("waves" in note and "activity" in note for note in notes())


def test_layers_removed_meanwhile_do_no_harm(viewer, qtbot, bundled, small_image):
    viewer.add_image(small_image, name="i")
    get_app_model().commands.execute_command(COMMAND).result()
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not quick._running, timeout=120_000)
    assert [layer.name for layer in viewer.layers] == ["i denoised"]
