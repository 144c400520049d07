"""What is called when a widget is gone, also where the garbage collector takes it."""

import gc
import weakref
from functools import partial

from qtpy.QtWidgets import QWidget

from napari_ae_denoise._qt.when_gone import when_gone


def test_it_is_called_once_and_then_let_go(qtbot):
    said = []
    widget = QWidget()
    call = partial(said.append, "gone")
    kept = weakref.ref(call)
    when_gone(widget, call)
    del call
    gc.collect()
    assert kept() is not None
    widget.deleteLater()
    qtbot.waitUntil(lambda: said == ["gone"])
    del widget
    qtbot.waitUntil(partial(_is_gone, kept))


def test_the_garbage_collector_may_take_a_widget_and_what_it_calls_in_one_go(qtbot):
    said = []
    for number in range(20):
        widget = QWidget()
        widget.itself = widget  # a cycle: only the collector takes it
        widget.things = [number]
        when_gone(widget, partial(said.extend, widget.things))
    del widget
    gc.collect()
    assert sorted(said) == list(range(20))


def test_a_panel_that_has_trained_is_collected(
    qtbot, viewer, open_panel, run, small_image, short_training
):
    """The program once ended here, in what a panel does when it is destroyed."""
    viewer.add_image(small_image)
    for _ in range(2):
        panel = open_panel("Train autoencoder")
        short_training(panel)
        panel.fields.family.kind.value = "sparse"
        panel.fields.preset.value = "classic"
        run(panel)
        viewer.window.remove_dock_widget(panel)
        alive = weakref.ref(panel)
        del panel
        # Qt takes it apart first
        qtbot.waitUntil(partial(_is_gone, alive), timeout=30_000)


def _is_gone(known):
    gc.collect()
    return known() is None
