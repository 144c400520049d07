import itertools

import pytest

from napari_ae_denoise.job_state import ENDED, NEXT, JobMachine, JobState

S = JobState


def after(*states):
    machine = JobMachine()
    for state in states:
        machine.go(state)
    return machine


@pytest.mark.parametrize(
    ("states", "ended"),
    [
        ((S.RUNNING, S.DONE, S.IDLE), S.DONE),
        ((S.RUNNING, S.FAILED, S.IDLE), S.FAILED),
        ((S.RUNNING, S.CANCELLING, S.CANCELLED, S.IDLE), S.CANCELLED),
        ((S.RUNNING, S.CANCELLING, S.FAILED, S.IDLE), S.FAILED),
    ],
)
def test_every_way_ends_idle_and_can_begin_again(states, ended):
    machine = after(*states)
    assert (machine.state, machine.ended) == (S.IDLE, ended)
    machine.go(S.RUNNING)
    assert machine.ended is ended


def test_every_state_is_reached_and_leads_on():
    reached = set(itertools.chain(*NEXT.values()))
    assert reached == set(NEXT) == set(S)
    assert all(NEXT[state] for state in S)
    assert all(NEXT[state] == {S.IDLE} for state in ENDED)


@pytest.mark.parametrize(("now", "then"), [(a, b) for a in S for b in S if b not in NEXT[a]])
def test_what_cannot_follow_is_a_fault(now, then):
    machine = JobMachine()
    machine.state = now
    with pytest.raises(AssertionError, match=now.value):
        machine.go(then)
    assert machine.state is now
