import functools
import os
import sys
import threading
import time
import warnings

import pytest

from napari_ae_denoise import report
from napari_ae_denoise._qt.worker import THREAD_NAME, Job, JobState, in_words
from napari_ae_denoise.errors import DenoisingError


@pytest.fixture(autouse=True)
def _log_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "log_path", lambda: tmp_path / "errors.log")


@pytest.fixture
def job(qtbot):
    made = Job()
    made.heard = []
    for name in ("progressed", "done", "failed"):
        getattr(made, name).connect(lambda value, name=name: made.heard.append((name, value)))
    yield made
    made.abandon()
    qtbot.waitUntil(
        lambda: THREAD_NAME not in [t.name for t in threading.enumerate()], timeout=30_000
    )


def _run(qtbot, job, make_steps):
    job.start(make_steps)
    qtbot.waitUntil(lambda: job.state is JobState.IDLE, timeout=30_000)
    return [value for name, value in job.heard if name != "progressed"]


def test_the_result_arrives_and_the_job_is_idle_then(qtbot, job):
    states = []
    job.done.connect(lambda _: states.append(job.state))

    def steps(_stop):
        yield 1
        return "made"

    assert _run(qtbot, job, steps) == ["made"]
    assert states == [JobState.IDLE]


@pytest.mark.parametrize("error", [RuntimeError("CUDA error"), MemoryError("no"), KeyError("x")])
def test_any_error_arrives_twice_in_a_row(qtbot, job, error):
    def steps(_stop):
        yield 1
        raise error

    for _ in range(2):
        job.heard.clear()
        (failure,) = _run(qtbot, job, steps)
        assert isinstance(failure, DenoisingError)
        assert type(error).__name__ in failure.cause
        assert failure.remedy


def test_an_error_before_the_first_step_arrives(qtbot, job):
    def steps(_stop):
        raise RuntimeError("at once")

    (failure,) = _run(qtbot, job, steps)
    assert "at once" in failure.cause


def test_our_own_errors_arrive_unchanged(qtbot, job):
    error = DenoisingError("This is wrong.", "Do that.")

    def steps(_stop):
        raise error
        yield

    assert _run(qtbot, job, steps) == [error]


def test_a_cancelled_job_still_returns_what_it_has(qtbot, job):
    def steps(stop):
        done = 0
        while not stop.is_set():
            done += 1
            time.sleep(0.01)
            yield done
        return "the best so far"

    states = []
    job.state_changed.connect(states.append)
    job.start(steps)
    qtbot.waitUntil(lambda: any(name == "progressed" for name, _ in job.heard), timeout=30_000)
    job.cancel()
    job.cancel()  # a second press changes nothing
    qtbot.waitUntil(lambda: job.state is JobState.IDLE, timeout=30_000)
    assert job.heard[-1] == ("done", "the best so far")
    assert states == [
        JobState.RUNNING,
        JobState.CANCELLING,
        JobState.CANCELLED,
        JobState.IDLE,
    ]
    assert job.ended is JobState.CANCELLED


def test_a_flood_of_records_reaches_the_window_as_a_trickle_with_the_last(qtbot, job):
    def steps(_stop):
        began = time.monotonic()
        yield from range(100_000)
        return time.monotonic() - began

    (took,) = _run(qtbot, job, steps)
    told = [value for name, value in job.heard if name == "progressed"]
    assert len(told) <= 10 * took + 2  # and not each
    assert told[-1] == 99_999


def test_the_last_record_comes_before_the_result(qtbot, job):
    def steps(_stop):
        yield "first"
        yield "last"
        return "result"

    _run(qtbot, job, steps)
    assert job.heard == [("progressed", "first"), ("progressed", "last"), ("done", "result")]


def test_jobs_that_overlap_leave_the_warnings_as_they_were(qtbot):
    before = warnings.showwarning, list(warnings.filters)
    jobs, gates = [Job(), Job()], [threading.Event(), threading.Event()]

    def steps(gate, _stop):
        gate.wait(20)
        yield 1

    for job, gate in zip(jobs, gates, strict=True):
        job.start(functools.partial(steps, gate))
    for job, gate in zip(jobs, gates, strict=True):  # the first to begin is the first to end
        gate.set()
        qtbot.waitUntil(lambda job=job: job.state is JobState.IDLE, timeout=30_000)
    assert (warnings.showwarning, list(warnings.filters)) == before


def test_more_jobs_than_cores_run_at_once(qtbot):
    jobs = [Job() for _ in range(12)]
    together = threading.Barrier(len(jobs))

    def steps(_stop):
        together.wait(20)
        yield 1

    for job in jobs:
        job.start(steps)
    qtbot.waitUntil(lambda: all(job.state is JobState.IDLE for job in jobs), timeout=30_000)
    assert all(job.ended is JobState.DONE for job in jobs)  # and not by a wait in vain


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("shapes"), "another device"),
        (OSError(28, "No space left on device"), "not full"),
        (IndexError("x"), "report"),
    ],
)
def test_the_remedy_fits_the_error(error, words):
    assert words in in_words(error).remedy


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no niceness of a thread")
def test_a_job_waits_for_the_window_once_it_has_begun(qtbot, job):
    found = []

    def steps(_stop):
        for _ in range(2):
            found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            yield 1

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    job.start(steps)
    qtbot.waitUntil(lambda: job.state is JobState.IDLE, timeout=30_000)
    assert found == [own, min(own + 5, 19)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_two_jobs_at_once_are_refused(qtbot, job):
    def steps(stop):
        stop.wait(20)
        yield 1

    job.start(steps)
    with pytest.raises(DenoisingError, match="at work"):
        job.start(steps)
    job.cancel()
    qtbot.waitUntil(lambda: job.state is JobState.IDLE, timeout=30_000)


def test_an_abandoned_job_stops_and_says_nothing(qtbot, job):
    ended = threading.Event()

    def steps(stop):
        stop.wait(20)
        ended.set()
        yield 1

    job.start(steps)
    job.abandon()
    qtbot.waitUntil(ended.is_set, timeout=30_000)
    qtbot.wait(100)
    assert job.heard == []


def test_how_a_job_ended_is_known_and_the_panel_is_put_back_each_time(qtbot, job):
    assert job.ended is None

    def good(_stop):
        yield 1

    def bad(_stop):
        yield 1
        raise RuntimeError("no")

    for make_steps, ended in [(good, JobState.DONE), (bad, JobState.FAILED), (good, JobState.DONE)]:
        states = []
        job.state_changed.connect(states.append)
        _run(qtbot, job, make_steps)
        job.state_changed.disconnect(states.append)
        assert states == [JobState.RUNNING, ended, JobState.IDLE]
        assert job.ended is ended


def test_a_job_that_fails_while_it_is_cancelled_has_failed(qtbot, job):
    def steps(stop):
        yield 1
        stop.wait(20)
        raise KeyError("late")

    job.start(steps)
    job.cancel()
    qtbot.waitUntil(lambda: job.state is JobState.IDLE, timeout=30_000)
    assert job.ended is JobState.FAILED


def test_an_error_that_was_not_foreseen_is_logged(qtbot, job, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "log_path", lambda: tmp_path / "logs" / "errors.log")

    def steps(_stop):
        yield 1
        raise RuntimeError("the details")

    (failure,) = _run(qtbot, job, steps)
    text = (tmp_path / "logs" / "errors.log").read_text()
    assert "RuntimeError: the details" in text
    assert "test_worker.py" in text
    assert str(tmp_path / "logs" / "errors.log") in failure.remedy
    assert "the details" in report.report_of(failure)


def test_a_storm_of_warnings_reaches_the_window_and_ends(qtbot, job):
    def steps(_stop):
        for number in range(20_000):
            warnings.warn(f"warning {number}", stacklevel=1)
            yield number
        return "made"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert _run(qtbot, job, steps) == ["made"]
