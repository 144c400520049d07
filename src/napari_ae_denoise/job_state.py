"""What a job is doing, and what may follow what: one machine for all panels."""

from __future__ import annotations

import enum
from types import MappingProxyType


class JobState(enum.Enum):
    """What a job is doing.

    `CANCELLING` lasts until the running step or tile is through. A job that has ended is `DONE`,
    `CANCELLED` (it was asked to stop, and gave what it had) or `FAILED`, and at once `IDLE` again.
    """

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


_I, _R, _S = JobState.IDLE, JobState.RUNNING, JobState.CANCELLING
_D, _C, _F = JobState.DONE, JobState.CANCELLED, JobState.FAILED
NEXT = MappingProxyType({_I: {_R}, _R: {_S, _D, _F}, _S: {_C, _F}, _D: {_I}, _C: {_I}, _F: {_I}})
"""Which states may follow each."""

ENDED = frozenset({_D, _C, _F})


class JobMachine:
    """The state of one job after the other.

    Attributes
    ----------
    state : JobState
        Now.
    ended : JobState or None
        How the last job ended; None before the first.
    """

    def __init__(self) -> None:
        self.state = JobState.IDLE
        self.ended: JobState | None = None

    def go(self, state: JobState) -> None:
        """Take a step.

        Raises
        ------
        AssertionError
            If that cannot follow: a fault of this program.
        """
        if state not in NEXT[self.state]:
            raise AssertionError(f"a job that is {self.state.value} cannot be {state.value} next")
        self.state = state
        if state in ENDED:
            self.ended = state
