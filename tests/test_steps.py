import pytest

from napari_ae_denoise.steps import drain


def work(ended):
    try:
        yield 1
        yield 2
    finally:
        ended.append(True)
    return "result"


def test_records_are_reported_in_order_and_the_result_is_returned():
    seen, ended = [], []
    assert drain(work(ended), seen.append) == "result"
    assert (seen, ended) == ([1, 2], [True])


def test_without_a_listener_the_work_is_done_all_the_same():
    ended = []
    assert drain(work(ended)) == "result"
    assert ended == [True]


def test_work_without_steps_has_a_result_too():
    def nothing():
        return 7
        yield

    assert drain(nothing(), pytest.fail) == 7


def test_errors_of_the_work_and_of_the_listener_come_out():
    def broken():
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        drain(broken())
    with pytest.raises(ZeroDivisionError):
        drain(work([]), lambda record: record / 0)
