"""The button that exports a model from the panels."""

import threading

import pytest

from napari_ae_denoise import Denoiser
from napari_ae_denoise._qt import model_saving
from napari_ae_denoise._qt.worker import JobState


def wait(qtbot, files):
    qtbot.waitUntil(lambda: files.export_button.job.state is JobState.IDLE, timeout=120_000)


def test_a_keras_file_from_the_denoise_panel(panel, qtbot, tmp_path):
    panel.files.export_button.save(tmp_path / "mine.h5")
    wait(qtbot, panel.files)
    assert f"Exported {tmp_path / 'mine.h5'}." in panel.bar.status.text()
    assert Denoiser.load(tmp_path / "mine.h5").card.network.style == "plain"


def test_it_is_written_in_a_thread_and_once(panel, press, qtbot, tmp_path, monkeypatch):
    go, threads = threading.Event(), []

    def slow(_denoiser, path):
        threads.append(threading.current_thread())
        go.wait(60)
        return path

    monkeypatch.setattr(model_saving, "export_model", slow)
    button = panel.files.export_button
    button.save(tmp_path / "mine.onnx")
    assert "Exporting" in panel.bar.status.text()
    assert not button.isEnabled()
    button.save(tmp_path / "again.onnx")
    assert "still at work" in panel.bar.status.text()
    assert "press" not in panel.bar.status.text()  # there is no button that stops it
    go.set()
    wait(qtbot, panel.files)
    assert button.isEnabled()
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


@pytest.mark.parametrize(
    ("name", "words"),
    [("mine.txt", ".txt"), ("missing/mine.h5", "could not be written")],
)
def test_errors_are_said_as_everywhere(panel, qtbot, notes, tmp_path, name, words):
    panel.files.export_button.save(tmp_path / name)
    wait(qtbot, panel.files)
    assert words in panel.bar.status.text()
    assert any(words in note for note in notes())


def test_without_a_model_it_says_so(open_panel, press):
    panel = open_panel("Denoise")
    press(panel.files.export_button)
    assert "no model yet" in panel.bar.status.text()


def test_the_train_panel_exports_what_it_trained(
    viewer, open_panel, run, small_image, short_training, qtbot, tmp_path
):
    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")
    assert not panel.files.isEnabled()
    short_training(panel)
    run(panel)
    panel.files.export_button.save(tmp_path / "mine.keras")
    wait(qtbot, panel.files)
    assert (tmp_path / "mine.keras").exists()
