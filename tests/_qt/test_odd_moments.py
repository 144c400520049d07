"""What users do while something else is going on: clicks, closes, removes, chooses."""

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.utils import progress
from qtpy.QtWidgets import QApplication

from napari_ae_denoise import quiet_imports
from napari_ae_denoise._qt import denoise_widget, forecast, preferences, quick, shelf
from napari_ae_denoise._qt import finished as finished_module
from napari_ae_denoise._qt.worker import Job
from napari_ae_denoise.provenance import KEY
from napari_ae_denoise.session_memory import UsedModel
from napari_ae_denoise.strength import mixed

from .conftest import wait_idle

_LONG = 30_000  # milliseconds


@pytest.fixture
def gate():
    """Return an event that lets what waits for it go on; at the end it does in any case."""
    go = threading.Event()
    yield go
    go.set()


@pytest.fixture
def held(gate, monkeypatch):
    """Let the Denoise panel's jobs wait at the gate."""
    usual = denoise_widget.denoise_steps

    def waits(choices, stop):
        gate.wait(60)
        return (yield from usual(choices, stop))

    monkeypatch.setattr(denoise_widget, "denoise_steps", waits)
    return gate


def spin():
    for _ in range(5):
        QApplication.sendPostedEvents()
        QApplication.processEvents()


def test_a_result_has_the_strength_of_its_run_whatever_is_clicked_meanwhile(
    viewer, panel, press, run, qtbot, small_image, held
):
    held.set()
    viewer.add_image(small_image, name="i")
    run(panel)
    panel.strength.value = 40
    first = viewer.layers["i denoised"]
    qtbot.waitUntil(lambda: first.metadata[KEY]["strength"] == 0.4, timeout=_LONG)
    run(panel)  # at 40 % too
    panel.strength.value = 100
    held.clear()
    press(panel.bar.start_button)
    viewer.layers.selection.active = first
    assert panel.strength.value == 40
    held.set()
    wait_idle(qtbot, panel)
    third = viewer.layers["i denoised [2]"]
    assert third.metadata[KEY]["strength"] == 1
    assert panel.strength.value == 100
    assert first.metadata[KEY]["strength"] == 0.4


def test_two_large_results_are_mixed_at_once(
    viewer, panel, run, qtbot, small_image, gate, monkeypatch
):
    def waits(*args):
        gate.wait(60)
        return mixed(*args)

    viewer.add_image(small_image, name="i")
    run(panel)
    run(panel)
    monkeypatch.setattr(finished_module, "_AT_ONCE", 10)
    monkeypatch.setattr(finished_module, "mixed", waits)
    results = [viewer.layers[name] for name in ("i denoised", "i denoised [1]")]
    for result, percent in zip(results, (50, 30), strict=True):
        viewer.layers.selection.active = result
        panel.strength.value = percent
        qtbot.wait(100)  # moves are gathered for a moment
    gate.set()
    told = [0.5, 0.3]
    qtbot.waitUntil(
        lambda: [one.metadata[KEY]["strength"] for one in results] == told, timeout=_LONG
    )


def test_a_closed_panel_measures_nothing_any_more(
    viewer, panel, press, qtbot, small_image, held, monkeypatch
):
    viewer.add_image(small_image, name="i")
    press(panel.bar.start_button)
    viewer.window.remove_dock_widget(panel)
    asked = []
    monkeypatch.setattr(panel.at_once, "time", lambda: asked.append(True))
    held.set()
    wait_idle(qtbot, panel)
    assert asked == []


def test_a_panel_that_is_docked_anew_in_the_same_breath_lives_on(
    viewer, panel, run, qtbot, small_image
):
    viewer.add_image(small_image, name="i")
    viewer.window.remove_dock_widget(panel)
    viewer.window.add_dock_widget(panel, name="again")
    qtbot.wait(100)
    spin()
    run(panel)
    assert "i denoised" in viewer.layers


def test_the_last_layer_leaves_nothing_behind_in_the_panel(viewer, panel, qtbot, run):
    pixels = np.zeros((40, 50), np.uint8)
    pixels[10:20] = 200
    viewer.add_image(pixels, name="i")
    qtbot.waitUntil(lambda: "40" in panel.at_once.image_note.text(), timeout=_LONG)
    known = weakref.ref(pixels)
    del pixels
    viewer.layers.clear()
    assert panel.layer.value is None
    assert panel.axes.value == ""
    assert "40" not in panel.at_once.image_note.text()
    qtbot.waitUntil(lambda: _is_gone(known), timeout=_LONG)


def test_a_layer_that_was_followed_once_is_freed(viewer, open_panel, qtbot, small_image):
    panel = open_panel("Denoise")
    known = weakref.ref(viewer.add_image(small_image, name="A"))
    viewer.add_image(small_image, name="B")
    viewer.layers.selection.active = viewer.layers["A"]
    assert panel.layer.value.name == "A"
    panel.layer.value = viewer.layers["B"]  # by hand
    viewer.layers.remove("A")
    qtbot.waitUntil(lambda: _is_gone(known), timeout=_LONG)


def _is_gone(known):
    gc.collect()
    return known() is None


def test_a_layer_that_goes_while_a_job_runs_is_freed_before_its_end(
    viewer, panel, press, qtbot, small_image, held, monkeypatch
):
    gc.unfreeze()
    monkeypatch.setattr(quiet_imports, "gc", gc)
    viewer.add_image(small_image, name="i")
    known = weakref.ref(viewer.add_image(small_image.copy(), name="large"))
    panel.layer.value = viewer.layers["i"]
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 0, timeout=_LONG)
    viewer.layers.remove("large")
    qtbot.waitUntil(lambda: known() is None, timeout=_LONG)
    assert panel.job.state.value == "running"
    held.set()
    wait_idle(qtbot, panel)


def test_the_live_layer_takes_no_selection(viewer, panel, qtbot, small_image):
    layer = viewer.add_image(small_image, name="i")
    panel.live.switch.value = True
    qtbot.waitUntil(lambda: "i live" in viewer.layers, timeout=_LONG)
    assert viewer.layers.selection.active is layer
    layer.translate = (3, 4)  # the live layer is made anew
    qtbot.waitUntil(
        lambda: "i live" in viewer.layers and viewer.layers["i live"].translate[0] == 3,
        timeout=_LONG,
    )
    assert viewer.layers.selection.active is layer
    panel.live.switch.value = False
    assert list(viewer.layers) == [layer]
    assert viewer.layers.selection.active is layer


def test_axes_that_are_written_for_a_folder_are_kept(viewer, open_panel, small_image):
    layer = viewer.add_image(small_image, name="i")
    panel = open_panel("Train autoencoder")
    source, axes = panel.images.source, panel.fields.axes
    source.value = source.choices[2]
    axes.value = "YXC"
    viewer.add_image(np.zeros((3, 8, 8)), name="stack")
    viewer.layers.remove("stack")
    layer.data = np.zeros((3, 8, 8))
    assert axes.value == "YXC"
    source.value = source.choices[0]
    assert axes.value == "ZYX"


def test_no_time_is_measured_while_a_training_runs(
    viewer, open_panel, qtbot, small_image, short_training, monkeypatch
):
    viewer.add_image(small_image, name="i")
    panel = open_panel("Train autoencoder")
    short_training(panel)
    qtbot.waitUntil(lambda: "Takes" in panel.forecast.label.text(), timeout=_LONG)
    asked, usual = [], forecast.estimate_training

    def noted(*args, **further):
        asked.append(True)
        return usual(*args, **further)

    monkeypatch.setattr(forecast, "_QUIET", 1)
    monkeypatch.setattr(forecast, "estimate_training", noted)
    panel.forecast.hold()
    panel.fields.batch_size.value = 3
    qtbot.wait(700)
    assert asked == []
    assert panel.forecast.label.text() == ""  # it would be of the form before
    panel.forecast.resume()
    qtbot.waitUntil(lambda: "Takes" in panel.forecast.label.text(), timeout=_LONG)
    assert asked


def test_a_layer_is_denoised_once_at_a_time_by_the_command(
    viewer, qtbot, small_image, no_bundled_models, monkeypatch, gate, notes
):
    monkeypatch.setattr("napari_ae_denoise.bundled.bundled_files", no_bundled_models)
    _hold_glances(monkeypatch, gate)
    viewer.add_image(small_image, name="i")
    for _ in range(2):
        _denoise_active_layer()
    assert len(quick._running) == 1
    assert any('"i" is being denoised already' in note for note in notes())
    gate.set()
    qtbot.waitUntil(lambda: not quick._running, timeout=120_000)
    assert [layer.name for layer in viewer.layers] == ["i", "i denoised"]


def test_the_command_ends_with_its_window(
    make_napari_viewer, qtbot, small_image, no_bundled_models, monkeypatch, gate
):
    monkeypatch.setattr("napari_ae_denoise.bundled.bundled_files", no_bundled_models)
    _hold_glances(monkeypatch, gate)
    closed = make_napari_viewer(strict_qt="raise")
    closed.add_image(small_image, name="i")
    _denoise_active_layer()
    assert len(quick._running) == 1
    closed.close()
    qtbot.waitUntil(lambda: not quick._running, timeout=_LONG)
    assert not progress._all_instances
    gc.collect()  # the run, with its fields


def _hold_glances(monkeypatch, gate):
    usual = quick.glance_steps

    def waits(*args, stop):
        gate.wait(60)
        return (yield from usual(*args, stop=stop))

    monkeypatch.setattr(quick, "glance_steps", waits)


def _denoise_active_layer():
    get_app_model().commands.execute_command("napari-ae-denoise.denoise_active").result()


def test_a_share_that_does_not_answer_does_not_hold_up_a_panel(
    viewer, open_panel, qtbot, tmp_path, monkeypatch, gate
):
    here = tmp_path / "here.safetensors"
    here.touch()
    kept = preferences.memory()
    for name, path in (("here", here), ("gone", tmp_path / "gone.safetensors")):
        kept.keep_model(UsedModel(str(path), name))
    usual = shelf._is_there

    def waits(path):
        gate.wait(60)
        return usual(path)

    monkeypatch.setattr(shelf, "_is_there", waits)
    panel, train = open_panel("Denoise"), open_panel("Train autoencoder")
    assert {"here", "gone"} <= set(panel.model.choices)
    gate.set()
    qtbot.waitUntil(lambda: "gone" not in panel.model.choices, timeout=_LONG)
    assert "here" in panel.model.choices
    assert "gone" not in train.start_from.choices


_QUIT = """
import sys, time
from pathlib import Path
from qtpy.QtWidgets import QApplication
from napari_ae_denoise._qt.worker import Job

app = QApplication([])

def steps(stop):
    yield 0.0
    time.sleep(5)
    Path(sys.argv[1]).write_text("stopped" if stop.is_set() else "whole")

job = Job(finishes=sys.argv[2] == "file")
job.start(steps)
job.abandon()
"""


@pytest.mark.parametrize(("what", "expected"), [("file", "whole"), ("other", "")])
def test_a_file_is_written_to_its_end_though_napari_is_closed(tmp_path, what, expected):
    path = tmp_path / "made"
    subprocess.run([sys.executable, "-c", _QUIT, path, what], check=True)
    assert (path.read_text() if path.exists() else "") == expected


def test_a_job_that_finishes_is_not_stopped_by_letting_go_of_it(qtbot, gate):
    seen = []

    def steps(stop):
        yield 0.0
        gate.wait(60)
        seen.append(stop.is_set())

    job = Job(finishes=True)
    job.start(steps)
    job.abandon()
    gate.set()
    qtbot.waitUntil(lambda: seen == [False], timeout=_LONG)
