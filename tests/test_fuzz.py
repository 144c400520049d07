"""The fuzzer of scripts/fuzz.py, for some files."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "fuzz.py"


@pytest.mark.skipif(sys.platform == "win32", reason="waits on pipes as other systems do")
def test_damaged_files_are_refused_or_give_the_same_weights(tmp_path):
    command = [sys.executable, str(SCRIPT), "--files", "100", "--seconds", "260"]
    done = subprocess.run(
        [*command, "--findings", str(tmp_path / "found")],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "findings: 0" in done.stdout
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 6  # a head and the five kinds of files
    for kind, files, refused, *_ in rows[1:]:
        assert int(files) == 20, kind
        assert int(refused) > 0, kind
