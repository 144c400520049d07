"""Large imports and long jobs in a thread, without a stall of the window."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_THE_FIRST_STEP = "torch._dynamo"  # some 800 modules
_LIBRARIES = (  # of torch, in the order in which it opens them itself, and how
    ("libtorch_global_deps.so", "RTLD_GLOBAL"),
    ("libtorch_cpu.so", "RTLD_LOCAL"),
)
_counting = threading.Lock()
_apart = {"jobs": 0}  # see `old_objects_apart`


def load_for_training() -> None:
    """Load what torch loads at the first optimizer or meta tensor, if it is not there yet."""
    if _AT_THE_FIRST_STEP not in sys.modules:
        with uncollected(), contextlib.suppress(ImportError):  # a torch without it needs it not
            importlib.import_module(_AT_THE_FIRST_STEP)


def load_torch() -> None:
    """Import torch.

    Its largest library takes 0.3 to 0.6 s to be opened. An import lets no other thread run
    meanwhile; a call of the system's own ``dlopen`` does, and the import finds it opened.

    Raises
    ------
    ImportError, OSError
        If there is no torch, or it cannot be loaded.
    """
    if "torch" not in sys.modules:
        if sys.platform == "linux":  # where this was measured; others have another loader
            _open_libraries()
        importlib.import_module("torch")


def _open_libraries() -> None:
    """Open torch's libraries; what cannot be is left to torch, which says why."""
    import ctypes

    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    for name, how in _LIBRARIES:
        library = Path(found.origin).parent / "lib" / name
        if not dlopen(os.fsencode(library), os.RTLD_LAZY | getattr(os, how)):
            return


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Make objects that stay, without looking for garbage meanwhile.

    So many new objects as an import makes would set off a collection of all of the program's:
    one call, in whichever thread, that lets no other thread run. In a viewer it was 0.2 s, and
    0.7 s on a busy machine. At the end all objects are taken for old ones, so that none is looked
    at for being new; what is garbage among them is still found by a later collection, at the latest
    when the last job ends.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        with _counting:
            gc.freeze()  # out of all generations
            if not _apart["jobs"]:
                gc.unfreeze()  # into the oldest
        gc.enable()


@contextlib.contextmanager
def old_objects_apart() -> Iterator[None]:
    """Look for garbage among those objects only that are made meanwhile.

    In a viewer there are some 400,000 objects, nearly all of them there for good. To go through all
    of them is one call that lets no other thread run, and takes 0.2 to 0.5 s. New objects are
    looked at as ever, so that a job of hours leaves nothing behind, and when the last job has ended
    the old ones are, too. What a second job finds stays where it is: the garbage of the first.
    """
    with _counting:
        _apart["jobs"] += 1
        if _apart["jobs"] == 1:
            gc.freeze()
    try:
        yield
    finally:
        with _counting:
            _apart["jobs"] -= 1
            if not _apart["jobs"]:
                gc.unfreeze()


def collect_old_objects() -> None:
    """Look for garbage among the old objects, too, where a job has put them apart.

    For when something large has gone that was there before the job began.
    """
    with _counting:
        if _apart["jobs"]:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
