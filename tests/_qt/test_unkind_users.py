"""What no manual allows, and people do: each ends in a result or a message, never in the past."""

import os
import shutil
import threading
import time

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_ae_denoise._qt import disk_places, live_view
from napari_ae_denoise._qt.live import _running
from napari_ae_denoise._qt.worker import Job, JobState
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError

from .conftest import PLUGIN, wait_idle

LIVE = "cells live"


@pytest.fixture
def panel(panel):
    panel.model.value = "tutorial"
    return panel


@pytest.fixture
def stack():
    return np.random.default_rng(0).normal(1000, 200, (3, 300, 400)).astype("u2")


@pytest.fixture
def to_disk(panel, tmp_path):
    """The Denoise panel, which writes to disk, tile by small tile."""
    panel.filling.limit.value = 0.0
    panel.filling.folder.value = str(tmp_path)
    panel.tile.value = 32
    return panel


# ---- live


@pytest.fixture
def live(viewer, panel, qtbot, stack):
    viewer.add_image(stack, name="cells", contrast_limits=(0, 2000))
    panel.live.switch.value = True
    qtbot.waitUntil(lambda: LIVE in viewer.layers, timeout=60_000)
    yield panel.live
    panel.live.switch.value = False
    qtbot.waitUntil(lambda: not _running, timeout=30_000)


def test_live_shows_the_new_pixels_when_a_layer_gets_others(viewer, live, qtbot, stack):
    before = viewer.layers[LIVE].data.mean()
    viewer.layers["cells"].data = stack // 2
    qtbot.waitUntil(
        lambda: LIVE in viewer.layers and viewer.layers[LIVE].data.mean() < 0.7 * before,
        timeout=60_000,
    )


_MOVES = {  # and what undoes it
    "scale": [(1, 2, 2), (1, -1, 1), (1, 1, 1)],
    "translate": [(0, 30, -20), (0, 0, 0)],
    "rotate": [(0, 0, 30), (0, 0, 0)],
    "shear": [(0, 0, 0.5), (0, 0, 0)],
    "affine": [np.array([[1, 0, 0, 0], [0, 0, 1, 5], [0, 1, 0, 6], [0, 0, 0, 1.0]]), np.eye(4)],
}


def test_live_follows_a_layer_that_is_moved(viewer, live, qtbot):
    layer = viewer.layers["cells"]

    def lies_over():
        if LIVE not in viewer.layers:
            return False
        shown, moved = viewer.layers[LIVE], layer.data_to_world((0, 0, 0))
        if live._shown is None:
            return False
        first = live._shown.y.start, live._shown.x.start
        place = layer.data_to_world((*live._shown.stack, *first))
        return len(moved) == 3 and np.allclose(shown.data_to_world((0, 0, 0)), place)

    for name, values in _MOVES.items():
        for value in values:
            setattr(layer, name, value)
            qtbot.waitUntil(lies_over, timeout=60_000)


def test_live_has_no_mark_any_more_when_its_layer_is_removed(viewer, live, qtbot):
    viewer.layers.remove(LIVE)
    qtbot.waitUntil(lambda: not live.switch.value, timeout=10_000)
    live.switch.value = True
    qtbot.waitUntil(lambda: LIVE in viewer.layers, timeout=60_000)
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not live.switch.value, timeout=10_000)


def test_live_in_three_dimensions_does_no_harm(viewer, live, qtbot):
    viewer.dims.ndisplay = 3
    qtbot.wait(400)
    viewer.dims.ndisplay = 2
    assert live.switch.value


def test_an_error_in_live_is_said_and_ends_it(viewer, panel, qtbot, stack, notes, monkeypatch):
    def fails(*_args):
        raise RuntimeError("device-side assert")

    monkeypatch.setattr(live_view, "denoise_region", fails)
    viewer.add_image(stack, name="cells")
    panel.live.switch.value = True
    qtbot.waitUntil(lambda: not panel.live.switch.value, timeout=30_000)
    assert any("device-side assert" in note for note in notes())


def test_closing_the_viewer_gives_up_what_live_computes(viewer, panel, qtbot, stack, monkeypatch):
    """A view takes seconds on a slow computer, and nobody waits for a window that is closed."""
    asked, go = threading.Event(), threading.Event()
    usual = live_view.denoise_region

    def noted(*args):
        asked.set()
        go.wait(60)
        return usual(*args)

    monkeypatch.setattr(live_view, "denoise_region", noted)
    viewer.add_image(stack, name="cells")
    panel.live.switch.value = True
    qtbot.waitUntil(asked.is_set, timeout=30_000)
    (stop,) = _running.values()
    viewer.close()
    assert stop.is_set()
    go.set()
    end = time.monotonic() + 30
    while _running and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
    assert not _running


# ---- results on disk


@pytest.mark.usefixtures("slow_tiles")
def test_a_result_folder_deleted_while_it_is_written_is_said(
    viewer, to_disk, press, qtbot, stack, tmp_path, notes
):
    viewer.add_image(stack, name="cells", contrast_limits=(0, 2000))
    press(to_disk.bar.start_button)
    qtbot.waitUntil(lambda: "cells denoised" in viewer.layers, timeout=60_000)
    (path,) = tmp_path.glob("*.zarr")
    while path.exists():
        shutil.rmtree(path, ignore_errors=True)
    wait_idle(qtbot, to_disk)
    assert to_disk.job.ended is JobState.FAILED
    assert any("removed, moved" in note for note in notes())
    shutil.rmtree(path, ignore_errors=True)
    viewer.layers.remove(viewer.layers[-1])  # which says that it broke off
    press(to_disk.bar.start_button)
    to_disk.job.cancel()
    wait_idle(qtbot, to_disk)
    assert to_disk.job.ended is JobState.CANCELLED


@pytest.mark.usefixtures("slow_tiles")
def test_two_panels_that_write_to_one_place(
    qtbot, viewer, to_disk, make_napari_viewer, press, stack, tmp_path, untrained_classic
):
    second = make_napari_viewer(strict_qt="raise")
    for one in (viewer, second):
        one.add_image(stack, name="cells", contrast_limits=(0, 2000))
    _, other = second.window.add_plugin_dock_widget(PLUGIN, "Denoise")
    other.shelf.add(untrained_classic)
    other.model.value = "tutorial"
    other.filling.limit.value, other.filling.folder.value = 0.0, str(tmp_path)
    other.tile.value = 32
    press(to_disk.bar.start_button)
    qtbot.waitUntil(lambda: "cells denoised" in viewer.layers, timeout=60_000)
    press(other.bar.start_button)
    wait_idle(qtbot, other)
    assert "Another run" in other.bar.status.text()
    press(to_disk.bar.stop_button)
    wait_idle(qtbot, to_disk)
    assert to_disk.job.ended is JobState.CANCELLED


def test_input_and_output_layers_removed_during_work(viewer, to_disk, press, qtbot, stack):
    viewer.add_image(stack, name="cells", contrast_limits=(0, 2000))
    to_disk.tile.value = 64  # all of them are waited for
    press(to_disk.bar.start_button)
    qtbot.waitUntil(lambda: "cells denoised" in viewer.layers, timeout=60_000)
    viewer.layers.clear()
    wait_idle(qtbot, to_disk)
    assert to_disk.job.ended is JobState.DONE
    assert not viewer.layers


def test_an_error_that_is_not_ours_before_the_start_is_said(
    viewer, to_disk, press, stack, notes, monkeypatch
):
    """The form is read in the thread of the window: nothing may come out of it unsaid."""

    def fails(*_args):
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr("napari_ae_denoise._qt.filling.folder_for", fails)
    viewer.add_image(stack, name="cells", contrast_limits=(0, 2000))
    for count in (1, 2):
        press(to_disk.bar.start_button)
        assert to_disk.job.state is JobState.IDLE
        assert sum("File exists" in note for note in notes()) == count
        assert "Copy report" in to_disk.bar.status.text()


# ---- models


def test_a_model_saved_over_the_file_that_it_came_from(
    open_model, viewer, panel, run, small_image, tmp_path, untrained_classic, save_model
):
    path = untrained_classic.save(tmp_path / "mine")
    viewer.add_image(small_image, name="i")
    open_model(panel, path)
    panel.model.value = "mine"
    for _ in range(2):
        save_model(panel, path)
        assert "Saved" in panel.bar.status.text()
    run(panel)
    back = Denoiser.load(path).denoise(small_image)
    np.testing.assert_array_equal(viewer.layers["i denoised"].data, back)
    path.unlink()  # what is open is in memory
    run(panel)
    np.testing.assert_array_equal(viewer.layers["i denoised [1]"].data, back)


def test_a_model_saved_while_it_is_at_work(
    qtbot, viewer, panel, press, stack, tmp_path, save_model
):
    viewer.add_image(stack, name="cells")
    panel.tile.value = 32
    press(panel.bar.start_button)
    save_model(panel, tmp_path / "m.safetensors")
    panel.job.cancel()
    save_model(panel, tmp_path / "m.safetensors")
    wait_idle(qtbot, panel)
    assert Denoiser.load(tmp_path / "m.safetensors").stride == 4


# ---- jobs


def test_a_job_ends_whatever_is_raised(qtbot):
    """Rust's panics, in safetensors for one, are no Exception."""

    class PanicException(BaseException):
        pass

    def steps(_stop):
        yield 1
        raise PanicException("rust")

    job = Job()
    with qtbot.waitSignal(job.failed, timeout=10_000) as caught:
        job.start(steps)
    assert "rust" in caught.args[0].cause
    assert job.state is JobState.IDLE


def test_a_job_for_which_there_is_no_thread_fails_and_can_be_started_again(qtbot, monkeypatch):
    def full(_thread):
        raise RuntimeError("can't start new thread")

    def steps(_stop):
        yield 1
        return 2

    job = Job()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        with qtbot.waitSignal(job.failed, timeout=10_000) as caught:
            job.start(steps)
    assert "new thread" in caught.args[0].cause
    with qtbot.waitSignal(job.done, timeout=10_000):
        job.start(steps)


# ---- the place of results


def test_the_temporary_folder_of_another_user_is_not_needed(tmp_path, monkeypatch):
    """On shared computers somebody else may have made it first."""
    monkeypatch.setattr(disk_places.tempfile, "gettempdir", lambda: str(tmp_path))
    place = disk_places.folder_for("", None)
    assert place.is_dir()
    assert disk_places.folder_for("", None) == place  # or nothing could be continued
    place.rmdir()
    place.write_text("somebody else's file")
    other = disk_places.folder_for("", None)
    assert other.is_dir()
    assert other != place
    if os.name == "posix":
        assert disk_places.folder_for("", None) == other


def test_a_folder_whose_name_is_too_long_is_refused():
    with pytest.raises(DenoisingError, match="cannot be made"):
        disk_places.folder_for("n" * 5000, None)
