"""What every panel bears: layers removed, a second viewer, closed and opened again, while it works.

The Train panel is in test_windows.py, for its job is another one.
"""

import threading
import time

import numpy as np
import pytest
import tifffile

from napari_ae_denoise._qt.worker import THREAD_NAME, JobState
from napari_ae_denoise.axes import PlaneLayout
from napari_ae_denoise.noise_cells import Noise

from .conftest import PLUGIN, wait_idle

PLANES = 400  # which take at least 4 s


@pytest.fixture
def slowly(monkeypatch):
    """Let each plane of a large stack take a while, and wait while what is returned is not set."""
    read, fill, go = PlaneLayout.read, Noise.fill, threading.Event()
    go.set()

    def pause(planes):
        if planes == PLANES:
            time.sleep(0.01)
            go.wait(120)

    def read_slowly(self, image, *where):
        pause(self.planes)
        return read(self, image, *where)

    def fill_slowly(self, *args):
        for part in fill(self, *args):
            pause(self.shape[0])
            yield part

    monkeypatch.setattr(PlaneLayout, "read", read_slowly)
    monkeypatch.setattr(Noise, "fill", fill_slowly)
    yield go
    go.set()


def prepare(panel, name, viewer, planes, folder, model):
    """Give a panel something to do."""
    stack = np.random.default_rng(0).integers(0, 255, (planes, 16, 16), np.uint8)
    if name == "Batch":
        folder.mkdir()
        tifffile.imwrite(folder / "a.tif", stack, photometric="minisblack")
        panel.models._shelf.add(model)
        panel.fields.folder.value, panel.fields.how.tile.value = folder, 16
        panel.fields.report.value = False
        return
    layers = [viewer.add_image(stack, name=each) for each in ("a", "b")]
    if name == "Denoise":
        panel.shelf.add(model)
        panel.tile.value = 16
    if name == "Compare":
        panel.reference.value, panel.images.value = layers[0], [layers[1]]


def made(panel, name, viewer, folder):
    """Return whether there is a result."""
    if name == "Batch":
        return (folder / "denoised" / "a.tif").exists()
    return bool(panel.rows()) if name == "Compare" else len(viewer.layers) == 3


@pytest.mark.parametrize("name", ["Add Gaussian noise", "Denoise", "Compare", "Batch"])
def test_a_panel_at_work_bears_it(
    qtbot, viewer, make_napari_viewer, open_panel, press, notes, slowly, tmp_path, name,
    untrained_classic,
):  # fmt: skip
    panel = open_panel(name)
    prepare(panel, name, viewer, PLANES, tmp_path / "long", untrained_classic)
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: panel.bar.progress.value() > 0, timeout=60_000)
    slowly.clear()
    viewer.layers.clear()

    second = make_napari_viewer(strict_qt="raise")
    _, other = second.window.add_plugin_dock_widget(PLUGIN, name)
    prepare(other, name, second, 2, tmp_path / "short", untrained_classic)
    press(other.bar.start_button)
    wait_idle(qtbot, other)
    assert made(other, name, second, tmp_path / "short")
    assert panel.job.state is JobState.RUNNING  # that of the first viewer goes on meanwhile
    assert len(viewer.layers) == 0

    viewer.window.remove_dock_widget(panel)
    slowly.set()
    again = open_panel(name)
    assert again is not panel
    assert again.bar.start_button.isEnabled()
    wait_idle(qtbot, panel)
    assert panel.job.ended is JobState.CANCELLED
    qtbot.waitUntil(
        lambda: THREAD_NAME not in [t.name for t in threading.enumerate()], timeout=30_000
    )
    viewer.layers.clear()  # finished parts may have become a layer
    prepare(again, name, viewer, 2, tmp_path / "again", untrained_classic)
    press(again.bar.start_button)
    wait_idle(qtbot, again)
    assert made(again, name, viewer, tmp_path / "again")
    assert not [note for note in notes() if "wrong" in note or "Error" in note]
    qtbot.wait(50)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    ("button_of", "name"),
    [
        (lambda panel: panel.tools.save_button, "out.tif"),
        (lambda panel: panel.files.export_button, "out.h5"),
        (lambda panel: panel.files.save_button, "out.safetensors"),
        (lambda panel: panel.tools.workflow_button, "out.json"),
    ],
)
def test_a_file_is_written_to_its_end_though_the_panel_is_closed(
    qtbot,
    viewer,
    panel,
    run,
    notes,
    save_model,
    small_image,
    tmp_path,
    monkeypatch,
    button_of,
    name,
    fails,
):
    save_model(panel, tmp_path / "model")  # a workflow asks for a model that is in a file
    viewer.add_image(small_image, name="i")
    run(panel)
    go, left = threading.Event(), []
    panel.destroyed.connect(lambda: left.append(True))
    button = button_of(panel)
    write = button._write

    def slow(*args):
        assert go.wait(60)
        return write(*args)

    button._write = slow
    path = tmp_path / ("missing" if fails else ".") / name
    button.save(path)
    assert not button.isEnabled()  # and the window lives on
    del button
    viewer.window.remove_dock_widget(panel)
    del panel
    qtbot.wait(50)
    assert not left
    go.set()
    qtbot.waitUntil(lambda: bool(left), timeout=60_000)
    assert path.exists() is not fails
    said = str(path.parent if fails else path)
    assert any(said in note for note in notes()), notes()
