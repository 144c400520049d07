"""Large imports while the window lives."""

import subprocess
import sys
import time
from ast import literal_eval

import npe2
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_ae_denoise._qt.loading import load


@pytest.fixture
def slow_module(tmp_path, monkeypatch):
    """Return a function that writes a module, which takes a second to be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(name, last_line=""):
        (tmp_path / f"{name}.py").write_text(f"import time\ntime.sleep(1)\n{last_line}\n")
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def ticks(qtbot):
    """Return a list that gets the moments at which the window's thread was free."""
    moments = []
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: moments.append((time.monotonic(), _pointer())))
    timer.start()
    yield moments
    timer.stop()


def _pointer():
    pointer = QApplication.overrideCursor()
    return None if pointer is None else pointer.shape()


def test_the_window_lives_while_a_module_is_loaded(viewer, slow_module, ticks):
    statuses: list[str] = []
    viewer.events.status.connect(lambda event: statuses.append(event.value))
    name = slow_module("takes_a_second")
    before = viewer.status
    ticks.clear()
    load(name, said="Loading it …")
    assert name in sys.modules
    assert len(ticks) > 3  # a blocked window would not tick at all
    assert {pointer for _, pointer in ticks} == {Qt.CursorShape.BusyCursor}
    assert "Loading it …" in statuses
    assert viewer.status == before
    assert _pointer() is None


def test_what_is_loaded_already_is_not_waited_for(viewer, ticks):
    ticks.clear()
    load("sys", "time", said="never seen")
    assert not ticks


def test_an_import_that_fails_is_told_to_who_asked(viewer, slow_module):
    name = slow_module("fails_after_a_second", "raise OSError('a broken library')")
    with pytest.raises(OSError, match="a broken library"):
        load(name)
    assert _pointer() is None
    assert viewer.status != "Loading …"


_OPEN = """
import gc
import ast
import subprocess
import sys
import threading

from npe2.manifest.utils import import_python_name
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication

import napari

app = QApplication([])
imported = {}

class Watch:
    def find_spec(self, name, path=None, target=None):
        imported[name] = threading.current_thread() is threading.main_thread()

sys.meta_path.insert(0, Watch())
before = {id(one) for one in gc.get_objects()}
for name in sys.argv[1:]:
    assert import_python_name(f"napari_ae_denoise._qt.commands:{name}").__name__ == name
made = [one for one in gc.get_objects() if isinstance(one, QObject) and id(one) not in before]
strange = [one for one in made if one.thread() is not app.thread()]
large = ("napari_ae_denoise", "torch", "zarr", "pyqtgraph")
ours = {name for name in imported if name.split(".")[0] in large}
print(sorted(ours), sorted(name for name in ours if imported[name]), strange, sep="|")
"""


def test_what_commands_need_is_imported_outside_the_windows_thread():
    """And nothing of Qt is made there, which would belong to a thread that has ended."""
    names = ["DenoiseWidget", "denoise_active_layer", "TrainWidget", "BatchWidget", "NoiseWidget"]
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, *names, "CompareWidget"],
        capture_output=True,
        text=True,
        check=True,
    )
    ours, waited, strange = done.stdout.splitlines()[-1].split("|")
    assert {"torch", "zarr", "pyqtgraph", "napari_ae_denoise.denoiser"} <= set(literal_eval(ours))
    assert set(literal_eval(waited)) == {  # the door itself, and what it takes to go through it
        "napari_ae_denoise",
        "napari_ae_denoise.quiet_imports",
        *(f"napari_ae_denoise._qt{name}" for name in ("", ".commands", ".loading")),
    }
    assert strange == "[]"


def test_the_manifest_goes_through_that_door():
    manifest = npe2.PluginManifest.from_distribution("napari-ae-denoise")
    named = {command.python_name for command in manifest.contributions.commands}
    module = "napari_ae_denoise._qt."
    ours = {name.removeprefix(module) for name in named if str(name).startswith(module)}
    light = {"opening", "samples"}  # which import the panels through the door, or none
    assert {name.split(":")[0] for name in ours} == {"commands", *light}
