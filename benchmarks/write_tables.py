"""Run the short forms of the benchmarks and write their tables into README.md.

Each table stands between two comments that name its script; what is outside stays as it is.
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


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(SHORT), help=", ".join(SHORT))
    parser.add_argument("--readme", type=Path, default=FOLDER / "README.md")
    args = parser.parse_args()
    failed = []
    for name in args.names:
        command = [sys.executable, str(FOLDER / f"{name}.py"), *shlex.split(SHORT[name])]
        where = machine()
        print(f"{name} {SHORT[name]}", flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        if done.returncode:
            failed.append(name)
            continue
        table = f"{done.stdout.strip()}\n\n`{name}.py {SHORT[name]}`; {where}."
        text = args.readme.read_text(encoding="utf-8")
        mark = rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
        text = re.sub(mark, lambda m, t=table: m[1] + t + m[2], text, flags=re.DOTALL)
        args.readme.write_text(text, encoding="utf-8")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
