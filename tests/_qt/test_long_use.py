"""The short form of benchmarks/long_use.py: viewers and panels that come and go."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "long_use.py"


@pytest.mark.long
def test_nothing_stays_behind_after_some_cycles_of_which_one_fails():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--cycles", "5", "--quick"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| 5 | 1 | 0 | 0 | 0 |" in done.stdout
