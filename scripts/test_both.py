"""Run the tests of the core and of the panels at the same time, each on a core of its own.

No test of one looks at files or at the display of the other, and where time is measured, it is
either the process's own or has room for a busy machine. What the core's tests say is shown at the
end. With a single core they run one after the other.

    python scripts/test_both.py make
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile


def main(make: str) -> int:
    """Run ``make test-core`` and ``make test-panels``; return 0 where both pass."""
    if (os.cpu_count() or 1) < 2:
        return subprocess.call([make, "test-core"]) or subprocess.call([make, "test-panels"])
    with tempfile.TemporaryFile() as said:
        core = subprocess.Popen([make, "test-core"], stdout=said, stderr=subprocess.STDOUT)
        try:
            panels = subprocess.call([make, "test-panels"])
            failed = core.wait()
        except KeyboardInterrupt:  # a terminal tells all of us
            core.wait()
            return 130
        said.seek(0)
        sys.stdout.buffer.write(said.read())
    print("core:", "failed" if failed else "passed", "panels:", "failed" if panels else "passed")
    return failed or panels


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
