"""What all panels are: a form, one job, and a bar that starts, stops and tells."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QVBoxLayout, QWidget

from napari_ae_denoise import report
from napari_ae_denoise._qt.alignment import AlignedLabels
from napari_ae_denoise._qt.forms import JobBar, on_change
from napari_ae_denoise._qt.layer_fields import begin_with
from napari_ae_denoise._qt.layers import unwrapped
from napari_ae_denoise._qt.leaving import go_when_idle
from napari_ae_denoise._qt.opened_models import wait_for
from napari_ae_denoise._qt.preferences import keeping, restore, use_threads
from napari_ae_denoise._qt.problem_line import ProblemLine
from napari_ae_denoise._qt.scroll_down import ScrollDown
from napari_ae_denoise._qt.tabs import Tabs
from napari_ae_denoise._qt.when_gone import when_gone
from napari_ae_denoise._qt.worker import Job, JobState, MakeSteps, Steps, in_words
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.quiet_imports import collect_old_objects

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator
    from concurrent.futures import Future

    from napari.layers import Layer
    from napari.viewer import ViewerModel

    from napari_ae_denoise.denoiser import Denoiser

_LETTERS = 50  # at least as wide: so napari has room for the panel's title
_START, _STOP = "Ctrl+Return", "Esc"
_OPENED = object()  # the result of a job that has waited for a model
_LAYER_EVENTS = ("inserted", "removed", "reordered", "renamed")


class Panel(QWidget):
    """A panel of the plugin.

    A subclass makes its fields, calls `lay_out`, and says in ``prepare`` what to do with them: it
    reads the form into a record and returns what makes the job of a stop event.

    Parameters
    ----------
    viewer : Viewer
        The viewer that the panel belongs to.
    start, stop : str
        What the buttons say.
    tooltips : tuple of str
        Of the two buttons.
    """

    def __init__(
        self, viewer: ViewerModel, *, start: str, stop: str, tooltips: tuple[str, str]
    ) -> None:
        super().__init__()
        self.viewer = viewer
        self._layer_fields: list[Any] = []
        self._left = False
        self.job = Job(self, stop_button=stop, awaited=True)
        self._tabs = Tabs(self, Panel)
        self.bar = JobBar(start, stop, tooltips)
        self.problem = ProblemLine(self.bar.status)
        self.bar.start_button.clicked.connect(self.run)
        self.bar.stop_button.clicked.connect(self.job.cancel)
        for key, button in ((_START, self.bar.start_button), (_STOP, self.bar.stop_button)):
            pressed = QShortcut(QKeySequence(key), self)
            pressed.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            pressed.activated.connect(button.click)
            button.setToolTip(f"{button.toolTip()} ({key} in this panel)")
        self.job.state_changed.connect(self.show_state)
        self.job.progressed.connect(self.show_progress)
        self.job.done.connect(self._on_done)
        self.job.failed.connect(self.show_problem)
        # Qt's connections keep what they call alive, so nothing here holds the panel or the viewer
        listener = partial(_refresh, weakref.ref(self))
        for name in _LAYER_EVENTS:
            getattr(viewer.layers.events, name).connect(listener)
        viewer.layers.events.removed.connect(_free)  # once in a viewer, however many panels
        when_gone(self, partial(_let_go, weakref.ref(unwrapped(viewer)), self.job, listener))

    # ---- what a subclass says

    prepare: Callable[[], MakeSteps]

    def to_be_read(self) -> Future[Denoiser] | None:
        """Return the model whose file has to be read before the form can be; None for none."""
        return None

    def show_progress(self, progress: Any) -> None:
        """Show a record that the job yielded."""

    def show_result(self, result: Any) -> None:
        """Show what the job returned."""

    # ---- what they share

    def lay_out(
        self, *parts: Any, layer_fields: tuple[Any, ...] = (), remembered: tuple[Any, ...] = ()
    ) -> None:
        """Stack the parts in a scrolled area, with the bar always in sight under it.

        Fields that are ``remembered`` begin as they were when the panel ran last.
        """
        self._layer_fields, self._remembered = list(layer_fields), remembered
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 6, 0)
        for part in parts:
            column.addWidget(getattr(part, "native", part))
        forms = [getattr(part, "form", part) for part in parts]
        AlignedLabels(inside, [form for form in forms if isinstance(form, Container)])
        column.addStretch(1)
        layout = QVBoxLayout(self)
        self._scrolled = ScrollDown(inside)
        layout.addWidget(self._scrolled, 1)
        layout.addWidget(self.bar)
        self.reset_choices()
        restore(type(self).__name__, remembered)
        on_change(layer_fields, self.problem.clear)
        on_change(layer_fields[:1], self._forget)
        active = self.viewer.layers.selection.active
        for field in layer_fields:
            begin_with(field, active if field is layer_fields[0] else None)

    def _forget(self) -> None:
        """Say no more what became of another image."""
        if self.job.state is JobState.IDLE:
            self.bar.status.clear()

    def bring_into_view(self, part: QWidget) -> None:
        """Scroll to a part that was shown just now, and keep it in sight; see `ScrollDown`."""
        self._scrolled.follow(part)

    def run(self) -> None:
        """Start the job that the form describes; say what is wrong where it describes none.

        A model that has to be read first is waited for in a job of its own: the window lives on.
        """
        model = self.to_be_read()
        if model is None:
            self.begin(self.prepare)
            return
        self.begin(lambda: partial(_opening_steps, model))
        if self.job.state is not JobState.IDLE:
            self.bar.status.setText("Opening the model …")

    def _on_done(self, result: Any) -> None:
        if result is not _OPENED:
            self.show_result(result)
        elif self.job.ended is JobState.DONE:
            self.run()
        else:
            self.bar.status.setText("Cancelled before it began.")

    def begin(self, prepare: Callable[[], MakeSteps]) -> None:
        """Start what ``prepare`` returns; say what is wrong where it cannot be started."""
        use_threads()
        try:
            steps, said = prepare(), keeping(type(self).__name__, self._remembered)
            self.job.start(partial(_after, said, steps))
        except DenoisingError as error:
            self.show_problem(error)
        except Exception as error:  # noqa: BLE001 (logged, and said in the panel)
            report.log(error)
            self.show_problem(in_words(error))
        else:
            if self.job.state is not JobState.IDLE:
                self.bar.show_progress(0.0, "Working …")

    def reset_choices(self, *_: Any) -> None:
        """Follow the viewer's layers; what was chosen stays chosen."""
        for field in [] if self._left else self._layer_fields:  # napari calls it even then
            field.reset_choices()

    def chosen_layer(self, field: Any) -> Layer | None:
        """Return the layer chosen in a field; without any image layer, whatever is selected."""
        return field.value if field.value is not None else self.viewer.layers.selection.active

    def show_state(self, state: JobState) -> None:
        """Put the panel into the state of its job."""
        self.bar.show_state(state)

    def show_problem(self, error: DenoisingError) -> None:
        """Say what is wrong and what to do."""
        self.problem.show(error)
        show_error(str(error))

    def show_warning(self, text: str) -> None:
        """Say what happened without being an error."""
        show_warning(text)

    def say(self, text: str) -> None:
        """Say what a button has done; where the panel is out of sight, in the window."""
        self.bar.status.setText(text)
        if self._left:
            show_info(text)

    def show_notice(self, text: str) -> None:
        """Say where something is, or the like."""
        self.bar.status.setText(text)
        show_info(text)

    def leave(self) -> None:
        """Let go of what goes on, for the panel is out of the window."""
        self.job.cancel()
        self._scrolled.let_go()

    def come_back(self) -> None:
        """Take up again what `leave` let go of: the panel is in a window again."""
        self.reset_choices()

    def minimumSizeHint(self) -> QSize:
        """Return what the parts need, and the title."""
        least = _LETTERS * self.fontMetrics().averageCharWidth()
        return super().minimumSizeHint().expandedTo(QSize(least, 0))

    def event(self, event: QEvent) -> bool:
        """Stop the job when the panel is taken out of the window: nobody would see its end.

        A file that is being written is written to its end, which is said; a model that is being
        opened comes onto the shelf.
        """
        if event.type() == QEvent.Type.ParentChange:
            before, self._left = self._left, self.parent() is None
            if self._left:
                self.leave()
                go_when_idle(self, [job for job in self.findChildren(Job) if job.awaited])
            else:
                self._tabs.start()
                if before:
                    self.come_back()
        return bool(super().event(event))


def _after(first: Callable[[], None], make_steps: MakeSteps, stop: threading.Event) -> Steps:
    """Do something short in the job's thread, and then the job."""
    first()
    return (yield from make_steps(stop))


def _opening_steps(model: Future[Denoiser], stop: threading.Event) -> Generator[None, None, object]:
    yield from wait_for(model, stop)
    return _OPENED


def _refresh(panel: weakref.ref[Panel], *_: Any) -> None:
    alive = panel()
    if alive is not None:
        alive.reset_choices()


def _free(*_: Any) -> None:
    """Free a layer that has gone while a job runs, once nothing holds it for its removal."""
    QTimer.singleShot(0, collect_old_objects)


def _let_go(viewer: weakref.ref[ViewerModel], job: Job, listener: Callable[..., None]) -> None:
    """Release what a panel took; its Qt part is gone already."""
    job.abandon()
    alive = viewer()
    if alive is not None:
        for name in _LAYER_EVENTS:
            getattr(alive.layers.events, name).disconnect(listener)
