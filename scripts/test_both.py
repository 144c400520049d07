"""Run the tests of the core and of the panels on two cores at the same time.

One core runs panels only; the other the core's tests, which take less time, and the rest of the
panels. No test of one looks at files or at the display of the other, and where time is
measured, it is either the process's own or has room for a busy machine. What the second says is
shown at the end. With a single core they run one after the other.

    python scripts/test_both.py make
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PANELS = Path("tests") / "_qt"
_AFTER_THE_CORE = 0.1  # of the panels' tests, by the size of their files


def shares(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return the files for the first and for the second core; the small ones go to the second."""
    by_size = sorted(files, key=lambda file: (file.stat().st_size, file))
    room = _AFTER_THE_CORE * sum(file.stat().st_size for file in files)
    second: list[Path] = []
    while sum(file.stat().st_size for file in [*second, by_size[len(second)]]) <= room:
        second.append(by_size[len(second)])
    return by_size[len(second) :], second


def main(make: str) -> int:
    """Run all tests by the Makefile's targets; return 0 where all pass."""
    if (os.cpu_count() or 1) < 2:
        return subprocess.call([make, "test-core"]) or subprocess.call([make, "test-panels"])
    first, second = (
        f"PANELS={' '.join(map(str, files))}" for files in shares([*PANELS.glob("test_*.py")])
    )
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(
            [make, "--keep-going", "test-core", "test-panels", second],
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            panels = subprocess.call([make, "test-panels", first])
            core = beside.wait()
        except KeyboardInterrupt:  # a terminal tells all of us
            beside.wait()
            return 130
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    told = ("most panels", panels), ("the core and the other panels", core)
    print(*(f"{what}: {'failed' if code else 'passed'}" for what, code in told), sep="; ")
    return core or panels


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
