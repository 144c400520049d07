"""Panels, jobs and windows that come and go."""

import gc
import threading
import time

import napari.settings
import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.worker import THREAD_NAME, JobState

from .conftest import PLUGIN, camera_of, wait_idle


@pytest.fixture
def endless(viewer, open_panel, press, small_image, short_training, qtbot):
    """Return a Train panel at work, which would go on for days."""
    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")
    short_training(panel, steps=10_000_000)
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: len(panel.plot._steps) > 1, timeout=60_000)
    return panel


def _await_threads():
    deadline = time.monotonic() + 60
    while _threads() and time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.01)
    return not _threads()


def _threads():
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def test_closing_the_panel_stops_its_job_and_keeps_the_model(viewer, endless, open_panel, qtbot):
    shelf = endless.shelf
    before = shelf.names()
    viewer.window.remove_dock_widget(endless)
    assert endless.job.state is not JobState.RUNNING
    assert _await_threads()
    qtbot.waitUntil(lambda: len(shelf.names()) == len(before) + 1, timeout=30_000)
    assert open_panel("Denoise").model.value == shelf.names()[0]
    qtbot.wait(50)


def test_closing_the_window_stops_the_job(viewer, endless):
    stop = endless.job._stop
    viewer.close()
    assert stop.is_set()
    assert _await_threads()


def test_a_training_bears_removed_layers_and_a_second_viewer(
    qtbot, viewer, endless, make_napari_viewer, press, small_image, short_training
):
    viewer.layers.clear()
    second = make_napari_viewer(strict_qt="raise")
    second.add_image(small_image)
    _, other = second.window.add_plugin_dock_widget(PLUGIN, "Train autoencoder")
    short_training(other)
    press(other.bar.start_button)
    wait_idle(qtbot, other)
    assert other.job.ended is JobState.DONE
    assert endless.job.state is JobState.RUNNING
    assert len(viewer.layers) == 0
    before = endless.shelf.names()
    press(endless.bar.stop_button)
    wait_idle(qtbot, endless)
    assert len(endless.shelf.names()) == len(before) + 1  # what it has learned is kept
    assert other.shelf is not endless.shelf


def test_the_window_lives_while_a_network_trains(viewer, endless, qtbot, press):
    ticks = []
    timer = QTimer()
    timer.setInterval(20)
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start()
    qtbot.wait(2000)
    timer.stop()
    assert len(ticks) > 3  # a window that is blocked does not tick, or once
    assert endless.job.state is JobState.RUNNING
    press(endless.bar.stop_button)
    qtbot.waitUntil(lambda: endless.job.state is JobState.IDLE, timeout=60_000)


def test_a_panel_can_be_closed_and_opened_again(viewer, open_panel, small_image):
    viewer.add_image(small_image)
    for name in ("Add Gaussian noise", "Train autoencoder", "Denoise", "Compare", "Batch"):
        panel = open_panel(name)
        viewer.window.remove_dock_widget(panel)
        del panel
        gc.collect()  # which destroys the panel, all of its parts in any order
    viewer.add_image(small_image)  # closed panels hear of it no more, or do no harm


def test_a_closed_panel_that_python_still_holds_does_no_harm(
    viewer, open_panel, small_image, untrained_classic, qtbot, notes
):
    """Qt takes it apart at once, but what Python holds of it lives until garbage is collected."""
    viewer.add_image(np.stack([small_image] * 3))
    panels = []
    for name in ("Add Gaussian noise", "Train autoencoder", "Denoise", "Compare", "Batch"):
        panels.append(open_panel(name))
        viewer.window.remove_dock_widget(panels[-1])
    qtbot.wait(50)
    viewer.add_image(small_image, name="another")
    viewer.layers["another"].name = "a third"
    viewer.layers.move(0, 2)
    viewer.dims.set_point(0, 1)
    camera_of(viewer).zoom *= 2
    viewer.layers.selection.active = viewer.layers[0]
    viewer.layers["a third"].data = small_image + 1
    shelf_of(viewer).add(untrained_classic)
    if hasattr(napari.settings, "get_plugin_settings"):
        page = napari.settings.get_plugin_settings(PLUGIN)
        page.denoise.tile, page.computing.device = 64, "cpu"
    viewer.layers.clear()
    qtbot.wait(50)
    assert not notes()
    assert len(panels) == 5


def test_pressing_start_twice_starts_one_job(viewer, endless, press):
    endless.run()  # a key or a script; the button itself is disabled
    assert "still at work" in endless.bar.status.text()
    assert "or press Stop first" in endless.bar.status.text()
    assert endless.job.state is JobState.RUNNING
    press(endless.bar.stop_button)
    assert _await_threads()


def test_models_are_shared_by_the_panels_of_a_viewer(viewer, endless, open_panel, qtbot, press):
    press(endless.bar.stop_button)
    qtbot.waitUntil(lambda: endless.job.state is JobState.IDLE, timeout=60_000)
    assert open_panel("Denoise").model.value == endless.shelf.names()[0]
