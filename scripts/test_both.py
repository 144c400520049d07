"""Run the tests of the core and of the panels on two cores at the same time.

One core runs the panels' tests and those of the exchange with other programs, the other the rest.
No test of one looks at files or at the display of the other, and where time is measured, it is
either the process's own or has room for a busy machine. What the second says is shown at the end.
With a single core they run one after the other.

    python scripts/test_both.py make
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

PANELS = ["test-panels", "test-core", "CORE=tests/interop"]
REST = ["test-core", "CORE=tests --ignore=tests/_qt --ignore=tests/interop"]


def main(make: str) -> int:
    """Run all tests by the Makefile's targets; return 0 where all pass."""
    commands = [[make, "--keep-going", *targets] for targets in (PANELS, REST)]
    if (os.cpu_count() or 1) < 2:
        return max(subprocess.call(command) for command in commands)
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(commands[1], stdout=said, stderr=subprocess.STDOUT)
        try:
            panels = subprocess.call(commands[0])
            rest = beside.wait()
        except KeyboardInterrupt:  # a terminal tells all of us
            beside.wait()
            return 130
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    told = ("panels and exchange", panels), ("the rest", rest)
    print(*(f"{what}: {'failed' if code else 'passed'}" for what, code in told), sep="; ")
    return panels or rest


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
