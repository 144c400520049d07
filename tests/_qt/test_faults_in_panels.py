"""Faults that concern the window: each ends in a message, and the panel can be used again."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QLabel

from napari_ae_denoise import DenoisingError, report
from napari_ae_denoise._qt import results
from napari_ae_denoise._qt.problem_line import ProblemLine
from napari_ae_denoise._qt.worker import THREAD_NAME, JobState
from napari_ae_denoise.done_record import DoneRecord
from napari_ae_denoise.networks import ConvAutoencoder
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
def denoise(viewer, open_panel, open_model, model_file, small_image):
    """A Denoise panel with a model and an image that takes six tiles."""
    viewer.add_image(small_image, name="i")
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    panel.tile.value = 32
    return panel


def failing_after(monkeypatch, count, error):
    usual, calls = TileRunner._run, [0]

    def run(self, batch, *how):
        calls[0] += 1
        if calls[0] > count:
            raise error
        return usual(self, batch, *how)

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


@pytest.mark.parametrize("to_disk", [False, True])
def test_an_error_after_the_last_tile_does_not_lose_the_image(
    viewer, denoise, run, monkeypatch, tmp_path, to_disk
):
    denoise.filling.folder.value = str(tmp_path)
    denoise.filling.limit.value = 1e-6 if to_disk else 1000

    def full(*_args, **_more):
        raise MemoryError("the verdict")

    monkeypatch.setattr(results, "check_removed", full)
    run(denoise)
    assert denoise.job.ended is JobState.DONE
    assert "i denoised" in viewer.layers
    assert "the verdict" in denoise.bar.status.text()


def test_out_of_memory_in_prediction_goes_on_in_smaller_tiles(
    viewer, denoise, run, small_image, monkeypatch
):
    usual, failed = TileRunner._run, []

    def run_tile(self, batch, *how):
        if not failed:
            failed.append(1)
            raise MemoryError
        return usual(self, batch, *how)

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
    assert "cancelled" not in viewer.layers[-1].name
    assert denoise.bar.start_button.isEnabled()


def test_a_panel_closed_and_opened_again_during_work(qtbot, viewer, denoise, press, open_panel):
    press(denoise.bar.start_button)
    viewer.window.remove_dock_widget(denoise)
    again = open_panel("Denoise")
    assert again.bar.start_button.isEnabled()
    qtbot.waitUntil(lambda: denoise.job.state is JobState.IDLE, timeout=60_000)
    qtbot.wait(50)


def test_two_viewers_work_apart(
    open_model, qtbot, viewer, denoise, make_napari_viewer, press, model_file, small_image
):
    second = make_napari_viewer(strict_qt="raise")
    second.add_image(small_image[:50], name="other")
    _, panel = second.window.add_plugin_dock_widget(PLUGIN, "Denoise")
    open_model(panel, model_file)
    press(denoise.bar.start_button)
    press(panel.bar.start_button)
    for one in (denoise, panel):
        wait_idle(qtbot, one)
    assert [layer.name for layer in viewer.layers][1:] == ["i denoised"]
    assert [layer.name for layer in second.layers][1:] == ["other denoised"]
    qtbot.waitUntil(
        lambda: THREAD_NAME not in [t.name for t in threading.enumerate()], timeout=30_000
    )


# ---- training


@pytest.fixture
def training(viewer, open_panel, small_image, short_training):
    viewer.add_image(small_image, name="i")
    panel = open_panel("Train autoencoder")
    short_training(panel, steps=6)
    return panel


def test_out_of_memory_in_training_the_same_twice(training, run, notes, monkeypatch):
    def full(*_args):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(ConvAutoencoder, "forward", full)
        for count in (1, 2):
            run(training)
            assert training.job.ended is JobState.FAILED
            assert sum("Memory ran out" in note for note in notes()) == count
    run(training)
    assert training.trained is not None


def test_cancel_in_the_last_step_gives_the_model(qtbot, training, press):
    def cancel(progress):
        if progress.step == progress.steps:
            training.job.cancel()

    training.job.progressed.connect(cancel)
    press(training.bar.start_button)
    wait_idle(qtbot, training)
    assert training.trained.card.training["steps_done"] == 6
    assert training.bar.start_button.isEnabled()


# ---- layers


def _layer(kind):
    image = np.random.default_rng(0).normal(100, 20, (2, 3, 20, 24))
    image = np.clip(image, 0, 255)
    made = {
        "2-D": image[0, 0],
        "3-D": image[0],
        "4-D": image,
        "singleton axes": image[:1, :1],
        "uint8": image[0, 0].astype("u1"),
        "uint16": image[0, 0].astype("u2"),
        "uint32": image[0, 0].astype("u4"),
        "int16": image[0, 0].astype("i2"),
        "bool": image[0, 0] > 100,
        "float16": image[0, 0].astype("f2"),
        "float64": image[0, 0].astype("f8"),
        "big-endian": image[0, 0].astype(">u2"),
        "not contiguous": image[0, 0].T[::-1],
        "one pixel high": image[0, 0, :1],
        "smaller than the stride": image[0, 0, :3, :2],
        "NaN in it": np.where(image[0, 0] > 130, np.nan, image[0, 0]),
        "inf in it": np.where(image[0, 0] > 130, np.inf, image[0, 0]),
    }
    return made[kind]


@pytest.mark.parametrize(
    "kinds",
    [
        ("2-D", "3-D", "4-D", "singleton axes"),
        ("uint8", "uint16", "uint32", "int16", "bool", "float16", "float64", "big-endian"),
        ("not contiguous", "one pixel high", "smaller than the stride", "NaN in it", "inf in it"),
    ],
    ids=["axes", "types", "pixels"],
)
def test_a_layer_of_any_shape_and_type_is_denoised(
    viewer, open_panel, open_model, run, model_file, kinds
):
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    for kind in kinds:
        image = _layer(kind)
        before = image.copy()
        panel.layer.value = viewer.add_image(image, name=kind, contrast_limits=(0, 255))
        run(panel)
        made = viewer.layers[f"{kind} denoised"].data
        assert (made.shape, made.dtype) == (image.shape, image.dtype), kind
        np.testing.assert_array_equal(np.isfinite(made), np.isfinite(image), err_msg=kind)
        np.testing.assert_array_equal(image, before, err_msg=kind)


def test_a_read_error_midway_is_said(viewer, open_panel, open_model, run, notes, model_file):
    def read(block_info=None):
        if block_info and block_info[None]["chunk-location"][0] == 2:
            raise OSError(5, "Input/output error")
        return np.random.default_rng(0).normal(100, 20, (32, 64)).astype("f4")

    lazy = da.map_blocks(read, chunks=((32, 32, 32), (64,)), dtype="f4")
    viewer.add_image(lazy[:64], name="shown", contrast_limits=(0, 255))  # napari reads it too
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    panel.read = lambda usual=panel.read: replace(
        usual(), source=replace(usual().source, image=lazy)
    )
    for count in (1, 2):
        run(panel)
        assert panel.job.ended is JobState.FAILED
        assert sum("Input/output error" in note for note in notes()) == count
    assert len(viewer.layers) == 1


# ---- disks


def test_closing_the_viewer_keeps_what_is_on_disk(
    viewer, denoise, press, qtbot, tmp_path, small_image
):
    denoise.filling.limit.value, denoise.filling.folder.value = 0.0, str(tmp_path)
    press(denoise.bar.start_button)
    qtbot.waitUntil(lambda: "i denoised" in viewer.layers, timeout=60_000)
    viewer.close()
    end = time.monotonic() + 20
    while any(t.name == THREAD_NAME for t in threading.enumerate()) and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
    (path,) = tmp_path.glob("*.zarr")
    assert DoneRecord.load(path).finished <= 1
    assert not list(path.rglob("*.part"))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (28, "No space left on device"),
        (30, "Read-only file system"),
        (36, "File name too long"),
        (26, "Text file busy"),
    ],
)
def test_a_model_that_cannot_be_saved_is_said_and_stays(
    denoise, model_file, notes, monkeypatch, number, words, save_model
):
    before = model_file.read_bytes()

    def fails(*_args, **_more):
        raise OSError(number, words)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", fails)
        save_model(denoise, model_file)
    assert words in denoise.bar.status.text()
    assert any(words in note for note in notes())
    assert model_file.read_bytes() == before
    save_model(denoise, model_file)
    assert "Saved" in denoise.bar.status.text()
