"""How a panel ends that was taken out of its window."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_ae_denoise._qt.worker import Job, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtWidgets import QWidget

_held: set[QWidget] = set()  # until Qt has taken them apart


def go_when_idle(panel: QWidget, jobs: Iterable[Job]) -> None:
    """Let Qt take a panel apart as soon as its jobs are idle, unless it is in a window again.

    Qt does so in an order that the panel bears. Python's collection of garbage does so in any
    order, which under PySide6 ends the program, or never: so it must not come first, and the panel
    is held until then.

    Parameters
    ----------
    panel : QWidget
        What is out of its window.
    jobs : iterable of Job
        What it still has to say the end of.
    """
    waited_for = tuple(jobs)
    panel.destroyed.connect(partial(_held.discard, panel))
    _held.add(panel)

    def look(*_: object) -> None:
        if panel not in _held:
            return
        if panel.parent() is not None:
            _held.discard(panel)
        elif all(job.state is JobState.IDLE for job in waited_for):
            QTimer.singleShot(0, go)  # a script may put it into a window again, in the same breath

    def go() -> None:
        if panel not in _held:
            return
        if panel.parent() is None:
            panel.deleteLater()
        else:
            _held.discard(panel)

    for job in waited_for:
        job.state_changed.connect(look)
    look()
