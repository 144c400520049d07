"""Faults that concern the window: each ends in a message, and the panel can be used again."""

import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QLabel

from napari_ae_denoise import DenoisingError, report
from napari_ae_denoise._qt.problem_line import ProblemLine
from napari_ae_denoise._qt.worker import JobState
from napari_ae_denoise.tile_runner import TileRunner

from .conftest import PLUGIN, wait_idle


@pytest.fixture(autouse=True)
def _log_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "log_path", lambda: tmp_path / "errors.log")


@pytest.fixture
def model_file(untrained_classic, tmp_path):
    path = tmp_path / "tutorial.safetensors"
    untrained_classic.save(path)
    return path


@pytest.fixture
def denoise(viewer, open_panel, model_file, small_image):
    """A Denoise panel with a model and an image that takes six tiles."""
    viewer.add_image(small_image, name="i")
    panel = open_panel("Denoise")
    panel.files.open(model_file)
    panel.tile.value = 32
    return panel


def failing_after(monkeypatch, count, error):
    usual, calls = TileRunner._run, [0]

    def run(self, batch, image):
        calls[0] += 1
        if calls[0] > count:
            raise error
        return usual(self, batch, image)

    monkeypatch.setattr(TileRunner, "_run", run)


def test_an_error_at_a_tile_keeps_the_finished_ones_and_says_which(
    viewer, denoise, run, notes, small_image, monkeypatch
):
    failing_after(monkeypatch, 5, RuntimeError("device-side assert"))
    run(denoise)
    layer = viewer.layers[-1]
    finished = layer.metadata["napari_ae_denoise"]["finished"]
    assert 0 < finished < 1
    assert f"{finished:.0%}" in layer.name
    assert "device-side assert" in layer.metadata["napari_ae_denoise"]["problem"]
    assert any("could not be made" in note for note in notes())
    assert "Broken off" in denoise.bar.status.text()
    np.testing.assert_array_equal(layer.data[-1], small_image[-1])  # as it was, not black


def test_out_of_memory_in_prediction_goes_on_in_smaller_tiles(
    viewer, denoise, run, small_image, monkeypatch
):
    usual, failed = TileRunner._run, []

    def run_tile(self, batch, image):
        if not failed:
            failed.append(1)
            raise MemoryError
        return usual(self, batch, image)

    monkeypatch.setattr(TileRunner, "_run", run_tile)
    run(denoise)
    assert viewer.layers[-1].metadata["napari_ae_denoise"]["finished"] == 1


def test_the_report_of_an_error_that_was_not_foreseen_can_be_copied(
    denoise, run, monkeypatch, tmp_path
):
    failing_after(monkeypatch, 0, RuntimeError("the details"))
    for _ in range(2):
        run(denoise)
        assert denoise.job.ended is JobState.FAILED
        assert "Copy report" in denoise.bar.status.text()
        QApplication.clipboard().clear()
        denoise.bar.status.linkActivated.emit("copy-report")
        text = QApplication.clipboard().text()
        assert "RuntimeError: the details" in text
        assert "napari-ae-denoise" in text
        assert denoise.bar.start_button.isEnabled()
    assert "the details" in (tmp_path / "errors.log").read_text()


def test_a_refusal_of_ours_has_no_report(qtbot):
    label = QLabel()
    qtbot.addWidget(label)
    line = ProblemLine(label)
    line.show(DenoisingError("It is <wrong>.", "Do that."))
    assert "Copy report" not in label.text()
    assert "&lt;wrong&gt;" in label.text()
    QApplication.clipboard().setText("mine")
    label.linkActivated.emit("https://elsewhere.example")
    assert QApplication.clipboard().text() == "mine"


def test_an_image_that_is_edited_during_work_does_no_harm(
    qtbot, viewer, denoise, press, small_image
):
    press(denoise.bar.start_button)
    viewer.layers["i"].data = np.zeros((7, 9), "f4")
    viewer.layers["i"].data[:] = np.nan
    wait_idle(qtbot, denoise)
    assert viewer.layers[-1].data.shape == small_image.shape
    assert denoise.job.ended is JobState.DONE


def test_cancel_in_the_last_tile_gives_the_layer(qtbot, viewer, denoise, press):
    def cancel(progress):
        if progress.done == progress.total:
            denoise.job.cancel()

    denoise.job.progressed.connect(cancel)
    press(denoise.bar.start_button)
    wait_idle(qtbot, denoise)
    assert "stopped" not in viewer.layers[-1].name
    assert denoise.bar.start_button.isEnabled()


def test_a_panel_closed_and_opened_again_during_work(qtbot, viewer, denoise, press, open_panel):
    press(denoise.bar.start_button)
    viewer.window.remove_dock_widget(denoise)
    again = open_panel("Denoise")
    assert again.bar.start_button.isEnabled()
    qtbot.waitUntil(lambda: denoise.job.state is JobState.IDLE, timeout=20_000)
    denoise.deleteLater()  # this test still holds it
    qtbot.wait(50)


def test_two_viewers_work_apart(
    qtbot, viewer, denoise, make_napari_viewer, press, model_file, small_image
):
    second = make_napari_viewer(strict_qt="raise")
    second.add_image(small_image[:50], name="other")
    _, panel = second.window.add_plugin_dock_widget(PLUGIN, "Denoise")
    panel.files.open(model_file)
    press(denoise.bar.start_button)
    press(panel.bar.start_button)
    for one in (denoise, panel):
        wait_idle(qtbot, one)
    assert [layer.name for layer in viewer.layers][1:] == ["i denoised"]
    assert [layer.name for layer in second.layers][1:] == ["other denoised"]
    names = [t.name for t in threading.enumerate()]
    assert names.count("napari-ae-denoise job") <= 2
