"""The scrolled area keeps in sight what it follows, until somebody scrolls."""

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_ae_denoise._qt.scroll_down import ScrollDown


class Column(QWidget):
    """An area of 300 pixels in height over a status line, with more in it than fits."""

    def __init__(self):
        super().__init__()
        self.above, self.part, self.status = QLabel("above"), QLabel("part"), QLabel("status")
        self.above.setFixedHeight(250)
        self.part.setFixedHeight(200)
        self.fold = QCollapsible("More")
        self.fold.setDuration(0)
        inside = QWidget()
        column = QVBoxLayout(inside)
        for one in (self.above, self.fold, self.part):
            column.addWidget(one)
        self.area = ScrollDown(inside)
        layout = QVBoxLayout(self)
        layout.addWidget(self.area, 1)
        layout.addWidget(self.status)
        self.resize(300, 400)

    def whole(self):
        """Whether all of the part is seen."""
        return self.part.visibleRegion().boundingRect().height() == self.part.height()


@pytest.fixture
def column(qtbot):
    made = Column()
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    assert not made.whole()
    return made


def test_what_grows_later_does_not_push_it_out(column, qtbot):
    column.area.follow(column.part)
    qtbot.waitUntil(column.whole)
    column.above.setFixedHeight(600)
    qtbot.waitUntil(lambda: column.part.y() > 600)  # and is out of sight for a moment
    qtbot.waitUntil(column.whole)
    column.status.setFixedHeight(120)
    qtbot.waitUntil(lambda: column.area.height() < 280)
    qtbot.wait(150)
    qtbot.waitUntil(column.whole)


def test_who_scrolls_is_not_scrolled_back(column, qtbot):
    column.area.follow(column.part)
    qtbot.waitUntil(column.whole)
    up = QWheelEvent(
        QPointF(50, 50),
        QPointF(50, 50),
        QPoint(0, 0),
        QPoint(0, 1200),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(column.area.viewport(), up)
    assert not column.whole()
    column.above.setFixedHeight(300)
    qtbot.wait(200)
    assert column.area.verticalScrollBar().value() == 0


def test_who_unfolds_something_sees_it(column, qtbot):
    column.area.follow(column.part)
    qtbot.waitUntil(column.whole)
    column.area.verticalScrollBar().setValue(100)
    more = QLabel("more")
    more.setFixedHeight(400)
    column.fold.addWidget(more)
    column.fold.expand()
    qtbot.wait(200)
    assert column.area.verticalScrollBar().value() == 100


def test_the_plot_of_a_training_stays_in_sight(
    viewer, open_panel, qtbot, press, small_image, short_training
):
    viewer.add_image(small_image)
    viewer.window._qt_window.resize(1280, 800)
    viewer.show()
    panel = open_panel("Train autoencoder")
    short_training(panel, steps=30)
    panel.bar.start_button.setFocus()
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: not panel.plot.isHidden(), timeout=60_000)
    qtbot.waitUntil(lambda: panel.job.state.value == "idle", timeout=60_000)
    qtbot.wait(300)  # the status has become longer by now
    area = panel._scrolled.viewport()

    def in_sight():
        top = panel.plot.mapTo(area, QPoint(0, 0)).y()
        return 0 <= top <= area.height() - panel.plot.height()

    qtbot.waitUntil(in_sight, timeout=10_000)


def test_the_focus_stays_on_the_buttons(
    viewer, open_panel, qtbot, press, small_image, short_training
):
    viewer.add_image(small_image)
    viewer.show()
    panel = open_panel("Train autoencoder")
    viewer.window._qt_window.activateWindow()
    short_training(panel, steps=100_000)
    panel.bar.start_button.setFocus()
    qtbot.waitUntil(panel.bar.start_button.hasFocus, timeout=10_000)
    press(panel.bar.start_button)
    assert panel.bar.stop_button.hasFocus()
    qtbot.waitUntil(lambda: not panel.plot.isHidden(), timeout=60_000)
    press(panel.bar.stop_button)
    qtbot.waitUntil(lambda: panel.job.state.value == "idle", timeout=60_000)
    assert panel.bar.start_button.hasFocus()
