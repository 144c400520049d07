"""Run the tests of the core and of the panels on two cores at the same time.

The panels' tests are dealt into a few lots. One core takes lot after lot; the other runs the core's
tests, and then takes lots, too, until none is left: so both end at about the same time, whatever
the machine. No test of one looks at files or at the display of the other, and where time is
measured, it is either the process's own or has room for a busy machine. What the second says is
shown at the end. With a single core they run one after the other.

    python scripts/test_both.py make
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

PANELS = Path("tests") / "_qt"
_LOTS = 6  # each starts napari anew, which takes seconds


def dealt(files: list[Path], lots: int) -> list[list[Path]]:
    """Return the files in lots of about the same size, the largest lot first."""
    made: list[list[Path]] = [[] for _ in range(min(lots, len(files)))]
    for file in sorted(files, key=lambda file: (-file.stat().st_size, file)):
        min(made, key=_size).append(file)
    return sorted(made, key=_size, reverse=True)


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


class Side:
    """What runs on one core, target after target.

    Parameters
    ----------
    make : str
        The program.
    output : file, optional
        Where what it prints goes; by default where ours does.
    """

    def __init__(self, make: str, output: IO[bytes] | None = None) -> None:
        self._make, self._output = make, output
        self.failed: list[str] = []

    def run(self, *target: str) -> None:
        """Run a target, and remember whether it failed."""
        command = [self._make, *target]
        if subprocess.call(command, stdout=self._output, stderr=self._output):
            self.failed.append(" ".join(target))

    def run_core_and_take(self, lots: queue.SimpleQueue[list[Path]]) -> None:
        """Run the core's tests, and then the panels' that nobody has taken."""
        self.run("test-core")
        self.take(lots)

    def take(self, lots: queue.SimpleQueue[list[Path]]) -> None:
        """Run panels' tests as long as there are some."""
        while True:
            try:
                files = lots.get_nowait()
            except queue.Empty:
                return
            self.run("test-panels", f"PANELS={' '.join(map(str, files))}")


def main(make: str) -> int:
    """Run all tests by the Makefile's targets; return 0 where all pass."""
    lots: queue.SimpleQueue[list[Path]] = queue.SimpleQueue()
    for files in dealt([*PANELS.glob("test_*.py")], _LOTS):
        lots.put(files)
    with tempfile.TemporaryFile() as said:
        first = Side(make)
        if (os.cpu_count() or 1) < 2:
            second = first
            first.run_core_and_take(lots)
        else:
            second = Side(make, said)
            beside = threading.Thread(target=second.run_core_and_take, args=(lots,))
            beside.start()
            try:
                first.take(lots)
            except KeyboardInterrupt:  # which a terminal tells all of us
                while not lots.empty():
                    lots.get()
                raise
            finally:
                beside.join()
            said.seek(0)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
    failed = sorted({*first.failed, *second.failed})
    print(f"FAILED: {'; '.join(failed)}" if failed else "the core and all panels: passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
