"""Panels by the keyboard alone."""

import itertools

import numpy as np
import pytest
import qtpy
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QPushButton
from superqt import QCollapsible

from napari_ae_denoise._qt.worker import JobState

PANELS = ["Add Gaussian noise", "Train autoencoder", "Denoise", "Compare", "Batch"]


@pytest.fixture
def shown(viewer, open_panel, qtbot, settle):
    """Return a function that opens a panel in a window that is seen, all of it unfolded."""

    def show(name):
        viewer.add_image(np.zeros((64, 64), np.uint8))
        viewer.show()
        panel = open_panel(name)
        for section in panel.findChildren(QCollapsible):
            section.expand()
        viewer.window._qt_window.activateWindow()
        qtbot.waitUntil(lambda: panel.isVisible() and panel.bar.start_button.height() > 0)
        settle()
        return panel

    return show


def stops(panel):
    """Return what the key Tab goes to in a panel, in its order."""
    found, widget = [], panel.nextInFocusChain()
    while widget is not panel and widget not in found:
        takes = widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        inside = panel.isAncestorOf(widget) and not widget.focusProxy()
        if inside and takes and widget.isVisible() and widget.isEnabled():
            found.append(widget)
        widget = widget.nextInFocusChain()
    return found


@pytest.mark.skipif(
    qtpy.API_NAME == "PySide6",
    reason="its wrappers of the focus chain outlive napari's viewer, and crash; Qt's order is one",
)
@pytest.mark.parametrize("name", PANELS)
def test_tab_goes_from_top_to_bottom(shown, name):
    panel = shown(name)
    order = stops(panel)
    assert len(order) >= 9
    assert order[-1] is panel.bar.start_button  # the last row of the panel
    seen = [widget.mapTo(panel, QPoint(0, 0)) for widget in order[:-1]]
    lines = [place.y() for place in seen]
    # parts of one field, and fields of one row, differ by a few pixels
    assert all(after > before - 6 for before, after in itertools.pairwise(lines))


def test_no_two_buttons_of_a_panel_have_the_same_letter(shown):
    for name in PANELS:
        panel = shown(name)
        texts = [button.text().replace("&&", "") for button in panel.findChildren(QPushButton)]
        letters = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
        assert letters
        assert len(set(letters)) == len(letters)
        assert not set(letters) & set("fvlpwh")  # those of napari's menus


def test_ctrl_return_starts_and_esc_stops(viewer, shown, untrained_classic, qtbot):
    panel = shown("Denoise")
    panel.shelf.add(untrained_classic)
    started = []
    panel.job.state_changed.connect(started.append)
    panel.axes.native.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is panel.axes.native, timeout=10_000)
    qtbot.keyClick(panel.axes.native, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert started == [JobState.RUNNING]
    qtbot.keyClick(panel.axes.native, Qt.Key.Key_Escape)
    assert JobState.CANCELLING in started or panel.job.state is JobState.IDLE
    qtbot.waitUntil(lambda: panel.job.state is JobState.IDLE, timeout=60_000)
    qtbot.keyClick(panel.axes.native, Qt.Key.Key_Escape)  # nothing to stop, nothing happens
    assert panel.job.state is JobState.IDLE
