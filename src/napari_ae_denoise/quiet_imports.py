"""Large imports in a thread, without a stall of the window."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_THE_FIRST_STEP = "torch._dynamo"  # some 800 modules


def load_for_training() -> None:
    """Load what torch loads at the first optimizer or meta tensor, if it is not there yet."""
    if _AT_THE_FIRST_STEP not in sys.modules:
        with uncollected(), contextlib.suppress(ImportError):  # a torch without it needs it not
            importlib.import_module(_AT_THE_FIRST_STEP)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Make objects that stay, without looking for garbage meanwhile.

    So many new objects as an import makes would set off a collection of all of the program's:
    one call, in whichever thread, that lets no other thread run. In a viewer it was 0.2 s, and
    0.7 s on a busy machine. At the end all objects are taken for old ones, so that none is looked
    at for being new; what is garbage among them is still found by a later collection.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # out of all generations
        gc.unfreeze()  # into the oldest
        gc.enable()
