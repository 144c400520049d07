"""Large imports while the window lives."""

import sys
import time

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
    assert len(ticks) > 20  # a blocked window would not tick at all
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
