"""What can be done with a finished result: its strength, and the script that makes it again."""

import threading

import dask.array as da
import napari
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_ae_denoise._qt import finished as finished_module
from napari_ae_denoise._qt.finished import Finished, finished_of
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.provenance import KEY
from napari_ae_denoise.strength import mixed


@pytest.fixture
def never_again(monkeypatch):
    """Return a function after which the network may not be run any more."""

    def forbid():
        def fails(*args):
            raise AssertionError("the network was run again")

        monkeypatch.setattr(ConvAutoencoder, "image_and_code", fails)

    return forbid


def settle(qtbot, layer, expected):
    def same():
        return np.array_equal(np.asarray(layer.data), expected)

    qtbot.waitUntil(same, timeout=30_000)


def test_the_slider_acts_on_the_result_without_the_network(
    viewer, panel, qtbot, run, small_image, never_again
):
    layer = viewer.add_image(small_image, name="i")
    run(panel)
    result = viewer.layers["i denoised"]
    whole = result.data
    never_again()
    for percent in (60, 0, 35, 100):
        panel.strength.value = percent
        settle(qtbot, result, mixed(small_image, whole, percent / 100))
        assert result.metadata[KEY]["strength"] == percent / 100
    np.testing.assert_array_equal(layer.data, small_image)
    assert result.data is whole


def test_a_new_result_has_the_strength_of_the_slider(viewer, panel, qtbot, run, small_image):
    viewer.add_image(small_image, name="i")
    panel.strength.value = 40
    run(panel)
    result = viewer.layers["i denoised"]
    made = finished_of(result)
    settle(qtbot, result, mixed(small_image, made.after, 0.4))
    assert result.metadata[KEY]["strength"] == 0.4


@pytest.mark.parametrize("large", [False, True])
def test_so_has_one_that_comes_with_its_removed_noise(
    viewer, panel, qtbot, run, small_image, monkeypatch, large
):
    if large:  # mixed in another thread, while the slider follows what is selected
        monkeypatch.setattr(finished_module, "_AT_ONCE", 10)
    viewer.add_image(small_image, name="i")
    panel.noise.value = True
    panel.strength.value = 50
    run(panel)
    assert panel.strength.value == 50
    result = viewer.layers["i denoised"]
    assert viewer.layers.selection.active is result
    settle(qtbot, result, mixed(small_image, finished_of(result).after, 0.5))
    assert result.metadata[KEY]["strength"] == 0.5
    assert panel.strength.value == 50


def test_the_selected_result_is_meant_and_shows_its_strength(
    viewer, panel, qtbot, run, small_image
):
    viewer.add_image(small_image, name="i")
    run(panel)
    first = viewer.layers["i denoised"]
    run(panel)
    second = viewer.layers["i denoised [1]"]
    whole = first.data
    panel.strength.value = 20  # the last one made
    settle(qtbot, second, mixed(small_image, whole, 0.2))
    viewer.layers.selection.active = first
    assert panel.strength.value == 100
    panel.strength.value = 70
    settle(qtbot, first, mixed(small_image, whole, 0.7))
    settle(qtbot, second, mixed(small_image, whole, 0.2))
    viewer.layers.selection.active = second
    assert panel.strength.value == 20
    viewer.layers.clear()
    panel.strength.value = 50  # nothing to act on, no error
    qtbot.wait(100)


def test_a_lazy_image_gives_a_lazy_mixture(viewer, panel, qtbot, run, small_image):
    lazy = da.from_array(np.stack([small_image] * 3), chunks=(1, -1, -1))
    viewer.add_image(lazy, name="i", contrast_limits=(0, 255))
    run(panel)
    result = viewer.layers["i denoised"]
    whole = result.data
    panel.strength.value = 30
    qtbot.waitUntil(lambda: isinstance(result.data, da.Array), timeout=10_000)
    np.testing.assert_array_equal(result.data, mixed(np.asarray(lazy), whole, 0.3))


def test_a_large_result_is_mixed_in_another_thread(
    viewer, panel, qtbot, run, small_image, monkeypatch
):
    threads = []

    def noted(*args):
        threads.append(threading.current_thread())
        return mixed(*args)

    viewer.add_image(small_image, name="i")
    run(panel)
    result = viewer.layers["i denoised"]
    whole = result.data
    monkeypatch.setattr(finished_module, "_AT_ONCE", 10)
    monkeypatch.setattr(finished_module, "mixed", noted)
    for percent in (10, 20, 30):
        panel.strength.value = percent
    settle(qtbot, result, mixed(small_image, whole, 0.3))
    assert threading.main_thread() not in threads
    monkeypatch.setattr(finished_module, "_IN_MEMORY", 10)
    assert isinstance(Finished(small_image, whole).at(0.5), da.Array)


def test_the_verdict_on_the_removed_noise_is_said(viewer, panel, run, small_image):
    viewer.add_image(small_image, name="i")
    run(panel)
    assert "Removed: sigma" in panel.bar.status.text()
    assert "neighbours correlate by" in panel.bar.status.text()


def test_copy_as_python_reproduces_the_pixels(
    viewer, panel, qtbot, run, press, small_image, tmp_path, monkeypatch, save_model
):
    viewer.add_image(small_image, name='i "1"')
    save_model(panel, tmp_path / "mine")
    panel.noise.value = panel.latent.value = True
    run(panel)
    panel.strength.value = 55
    result = viewer.layers['i "1" denoised']
    settle(qtbot, result, mixed(small_image, finished_of(result).after, 0.55))
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    for layer in list(viewer.layers)[1:]:
        viewer.layers.selection.active = layer
        press(panel.tools.copy_button)
        assert "clipboard" in panel.bar.status.text()
        names = {}
        exec(compile(QApplication.clipboard().text(), "script", "exec"), names)
        np.testing.assert_array_equal(names["result"], layer.data)


def test_without_a_result_copy_says_what_to_do(viewer, panel, press, notes, small_image):
    viewer.add_image(small_image, name="i")
    press(panel.tools.copy_button)
    assert any("no result" in note for note in notes())


def test_of_a_result_on_disk_the_strength_is_fixed_and_no_other_one_changes(
    viewer, panel, qtbot, run, small_image, tmp_path
):
    viewer.add_image(small_image, name="i")
    run(panel)
    first = viewer.layers["i denoised"]
    whole = first.data
    panel.filling.limit.value, panel.filling.folder.value = 0.0, str(tmp_path)
    panel.layer.value = original = viewer.add_image(small_image[::-1].copy(), name="j")
    run(panel)
    viewer.layers.selection.active = viewer.layers["j denoised"]
    said = []
    panel.after.said.connect(said.append)
    for percent in (30, 40):
        panel.strength.value = percent
        qtbot.wait(100)
    assert first.data is whole
    assert first.metadata[KEY]["strength"] == 1
    (why,) = said  # once
    assert "j denoised" in why
    assert "disk" in why
    viewer.layers.selection.active = original  # no result: neither that on disk nor an older one
    panel.strength.value = 20
    qtbot.wait(100)
    assert first.data is whole
    viewer.layers.selection.active = first
    assert panel.strength.value == 100
    panel.strength.value = 60
    settle(qtbot, first, mixed(small_image, whole, 0.6))


def test_the_copy_of_a_result_has_a_strength_of_its_own(viewer, panel, qtbot, run, small_image):
    from napari.layers._layer_actions import _duplicate_layer, _project

    stack = np.stack([small_image, small_image[::-1]])
    viewer.add_image(stack, name="i")
    run(panel)
    first = viewer.layers["i denoised"]
    whole = first.data
    panel.strength.value = 80
    settle(qtbot, first, mixed(stack, whole, 0.8))

    def made_by(action):
        known = set(viewer.layers)
        action(viewer.layers)
        (new,) = set(viewer.layers) - known
        viewer.layers.selection.active = new
        return new

    for number in range(2):  # and the copy of a copy
        copy = made_by(_duplicate_layer)
        assert panel.strength.value == (80, 40)[number]
        panel.strength.value = 40 - number
        settle(qtbot, copy, mixed(stack, whole, 0.4 - number / 100))
    settle(qtbot, first, mixed(stack, whole, 0.8))
    assert first.metadata[KEY]["strength"] == 0.8
    viewer.layers.selection.active = first
    assert panel.strength.value == 80
    assert finished_of(made_by(_project)) is None  # which tells the same, but is of another shape
