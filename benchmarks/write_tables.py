"""Run benchmarks and write their tables into README.md.

Each table stands between two comments that name it; what is outside stays as it is. The short
forms, which `make bench` runs on whatever machine and at whatever load, have tables of their own,
at the end: they never replace the long ones, which are written with `--long NAME` on a quiet
machine.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

import psutil
import torch

FOLDER = Path(__file__).parent
SHORT = {
    "training": "--seconds 20",
    "tiles": "--side 1024 --rounds 3",
    "memory": "--sides 1024 2048 --gigabytes 0.5 1",
    "kills": "--kills 6 --side 256",
    "import_time": "--rounds 5",
    "latency": "--seconds 10",
    "cluster": "--side 1024",
}
LONG = {
    "training": "",
    "tiles": "--side 4096 --rounds 3 --presets residual-large residual",
    "memory": "--sides 1024 4472 --gigabytes 1 5 20",
    "kills": "--side 320",
    "import_time": "",
    "latency": "--seconds 10",
    "cluster": "--side 1024",
}


def machine() -> str:
    """Return what the figures were measured on."""
    name = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        found = re.search(r"model name\s*:\s*(.+)", cpus.read_text())
        name = found.group(1).strip() if found else name
    load = f", load {psutil.getloadavg()[0]:.1f} before" if hasattr(psutil, "getloadavg") else ""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    date = datetime.datetime.now(tz=datetime.UTC).date()
    return f"{date}, {psutil.cpu_count()} cores of {name}, {gpu}, PyTorch {torch.__version__}{load}"


def replaced(text: str, mark: str, table: str) -> str:
    """Return a text with another table between the comments ``mark`` and ``end``.

    Raises
    ------
    ValueError
        If there is no such place in it.
    """
    place = rf"(<!-- {re.escape(mark)} -->\n)(.*?\n)??(<!-- end -->)"
    text, found = re.subn(place, lambda m: f"{m[1]}{table}\n{m[3]}", text, flags=re.DOTALL)
    if found != 1:
        raise ValueError(f"there are {found} places for {mark!r}, and should be one")
    return text


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(SHORT), help=", ".join(SHORT))
    parser.add_argument("--long", action="store_true", help="the long forms (hours)")
    parser.add_argument("--readme", type=Path, default=FOLDER / "README.md")
    args = parser.parse_args()
    forms = LONG if args.long else SHORT
    failed = []
    for name in args.names:
        said = f"{name}.py {forms[name]}".strip()
        command = [sys.executable, str(FOLDER / f"{name}.py"), *shlex.split(forms[name])]
        where = machine()
        print(said, flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        if done.returncode:
            failed.append(name)
            continue
        lines = [ln for ln in done.stdout.splitlines() if not re.match(r"(INFO|WARNING): ", ln)]
        table = "\n".join(lines).strip() + f"\n\n`{said}`; {where}."
        text = args.readme.read_text(encoding="utf-8")
        text = replaced(text, name if args.long else f"short {name}", table)
        args.readme.write_text(text, encoding="utf-8")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
