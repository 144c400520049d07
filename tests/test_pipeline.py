import itertools
import threading

import pytest

from napari_ae_denoise.pipeline import overlapped


def same(job, *_):
    return job


def test_everything_comes_out_in_order():
    told = overlapped(iter(range(20)), lambda j: 2 * j, lambda _, v: v + 1, lambda j, m: (j, m))
    assert list(told) == [(j, 2 * j + 1) for j in range(20)]


def test_reading_computing_and_writing_overlap():
    """Each stage waits for another job in another stage: one by one they would wait for ever."""
    jobs = range(12)
    begun = {(name, job): threading.Event() for name in ("read", "compute") for job in jobs}

    def meet(name, job):
        assert job not in jobs or begun[name, job].wait(30)

    def read(job):
        begun["read", job].set()
        meet("compute", job - 1)
        return job

    def compute(job, _):
        begun["compute", job].set()
        meet("read", job + 1)
        return job

    def write(job, _):
        meet("compute", job + 1)
        return job

    assert list(overlapped(iter(jobs), read, compute, write)) == list(jobs)


def test_no_more_is_read_than_fits_between_the_stages():
    read, written = [], []
    slow = threading.Event()

    def write(job, _):
        slow.wait(5)
        written.append(job)

    def take():
        for job in itertools.count():
            read.append(job)
            yield job

    steps = overlapped(take(), same, same, write)
    threading.Timer(0.2, slow.set).start()
    next(steps)
    assert len(read) <= 5
    steps.close()


def test_a_stop_ends_it_and_what_is_computed_is_written():
    stop, computed = threading.Event(), []

    def compute(job, _):
        computed.append(job)
        if job == 3:
            stop.set()
        return job

    told = list(overlapped(itertools.count(), same, compute, same, stop=stop))
    assert told == computed == [0, 1, 2, 3]


@pytest.mark.parametrize("stage", ["read", "compute", "write"])
def test_an_error_comes_out_and_what_was_computed_before_it_is_written(stage):
    written, threads = [], threading.active_count()

    def fail(name, result):
        def work(job, *_):
            if job == 4 and name == stage:
                raise KeyError("broken")
            return result(job)

        return work

    steps = overlapped(
        itertools.count(),
        fail("read", same),
        fail("compute", same),
        fail("write", written.append),
    )
    with pytest.raises(KeyError, match="broken"):
        list(steps)
    assert written[:4] == [0, 1, 2, 3]
    assert threading.active_count() == threads


def test_closing_it_ends_its_threads():
    threads = threading.active_count()
    steps = overlapped(itertools.count(), same, same, same)
    next(steps)
    steps.close()
    assert threading.active_count() == threads
