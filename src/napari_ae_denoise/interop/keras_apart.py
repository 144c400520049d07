"""Keras's model files read in a process of its own, with little time and memory.

HDF5 is a large program in C. There are damaged files in which it goes round in circles for ever,
and others may make it crash: seen while fuzzing it. In a process of its own that costs the file
and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.keras_files import (
    KerasModel,
    Weights,
    check_start,
    not_opened,
    opened,
)

if TYPE_CHECKING:
    from types import TracebackType

_SECONDS = 60.0  # by the clock, on a machine that may be busy
_CPU_SECONDS = 1  # and what the processor may spend, beside the start of the process
_BYTES_A_SECOND = 200 * 1024**2
_MEMORY = 200 * 1024**2  # bytes beside the file, which may be there twice
_LARGEST_ANSWER = 16 * 1024**2  # bytes of text
_PROGRAM = "from napari_ae_denoise.interop.keras_apart import serve; serve()"


def read_apart(path: Path) -> KerasModel:
    """Return what a model file of Keras says, with its weights read.

    Raises
    ------
    DenoisingError
        As `opened`; and if the process that reads it dies or does not end.
    """
    check_start(path)
    if not sys.executable:  # Python inside of another program: there is no other process to ask
        with opened(path) as model:
            return _with_numbers(model)
    with ReadingProcess() as process:
        return process.read(path)


class ReadingProcess:
    """A process that reads files, one after the other; it ends with the ``with`` block."""

    def __enter__(self) -> ReadingProcess:
        """Start it."""
        # -P: nothing is imported from the folder that happens to be the current one
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what it did not read any more
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether it can read another file."""
        return self._process.poll() is None

    def read(self, path: Path) -> KerasModel:
        """Return what a file says; see `read_apart`."""
        process, seconds = self._process, _SECONDS + path.stat().st_size / _BYTES_A_SECOND
        assert process.stdin is not None
        assert process.stdout is not None
        patience = threading.Timer(seconds, process.kill)
        patience.start()
        try:
            process.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
            process.stdin.flush()
            return _received(path, process.stdout)
        except (OSError, EOFError) as error:
            process.kill()
            what = f"the process that reads it ended ({process.wait()})"
            if not patience.is_alive():
                what = f"reading it took more than {seconds:.0f} s"
            raise not_opened(path, f"it is damaged: {what}") from error
        finally:
            patience.cancel()


def _received(path: Path, pipe: IO[bytes]) -> KerasModel:
    """Return what the process says: a line of text, then the numbers of all weights."""
    line = pipe.readline(_LARGEST_ANSWER)
    if not line.endswith(b"\n"):
        raise EOFError
    answer = json.loads(line)
    if "cause" in answer:
        raise DenoisingError(answer["cause"], answer["remedy"])
    weights = []
    for name, shape, there in answer["weights"]:
        values = None
        if there:
            values = np.empty(shape, np.float32)
            if pipe.readinto(values.reshape(-1).view(np.uint8)) != values.nbytes:  # type: ignore[attr-defined]
                raise EOFError
        weights.append(Weights(name, tuple(shape), values))
    return KerasModel(answer["config"], weights, answer["version"], answer["size"])


# ---- in the other process


def serve() -> None:
    """Answer for one path after the other, until the pipe ends."""
    import h5py

    h5py.__doc__  # noqa: B018 (loaded before the time is measured)
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        path = Path(json.loads(line))
        try:
            _limit(path.stat().st_size)
            with opened(path) as model:
                read = _with_numbers(model)
            told: dict[str, Any] = {
                "config": read.config,
                "version": read.version,
                "size": read.size,
                "weights": [(w.name, w.shape, w.dataset is not None) for w in read.weights],
            }
            text = json.dumps(told).encode()
            if len(text) >= _LARGEST_ANSWER:
                raise not_opened(path, "its configuration is too long")
            numbers = [w.dataset for w in read.weights if w.dataset is not None]
        except DenoisingError as error:
            text = json.dumps({"cause": error.cause, "remedy": error.remedy}).encode()
            numbers = []
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            refusal = not_opened(path, type(error).__name__)
            text = json.dumps({"cause": refusal.cause, "remedy": refusal.remedy}).encode()
            numbers = []
        out.write(text + b"\n")
        for values in numbers:
            out.write(values.data)
        out.flush()


def _with_numbers(model: KerasModel) -> KerasModel:
    """Return a model whose numbers are read; none where the file cannot hold them all."""
    announced = 4 * sum(math.prod(w.shape) for w in model.weights)
    read = announced <= model.size
    weights = [
        Weights(w.name, w.shape, np.ascontiguousarray(w.read()) if read else None)
        for w in model.weights
    ]
    return KerasModel(model.config, weights, model.version, model.size)


def _limit(size: int) -> None:
    """Let the system end this process where a file takes too long or too much memory."""
    try:
        import resource
    except ImportError:  # Windows: the clock of the other process must do
        return
    spent = math.ceil(time.process_time()) + _CPU_SECONDS + size // _BYTES_A_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (spent, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    spans = Path("/proc/self/statm")
    if spans.exists():
        now = int(spans.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (now + 2 * size + _MEMORY, most))
