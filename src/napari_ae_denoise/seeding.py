"""Random numbers of torch that are the same for a seed, whatever other threads draw."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEEDING = threading.RLock()  # torch has one random state for all threads


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch draw by a seed on the CPU, one thread at a time; afterwards all is as it was.

    What draws outside of this, in another thread, would still be seen: there use a generator.
    """
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(seed))  # torch.manual_seed also seeds every GPU
        yield
