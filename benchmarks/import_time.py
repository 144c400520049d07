"""How long the package takes to be imported, and the command line to answer `--help`.

Each in a fresh process, in turn; the ratio is to a Python that only imports numpy.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

CASES = {
    "import numpy": ["-c", "import numpy"],
    "import napari_ae_denoise": ["-c", "import napari_ae_denoise"],
    "napari-ae-denoise --help": ["-m", "napari_ae_denoise.cli", "--help"],
    "from napari_ae_denoise import Denoiser": ["-c", "from napari_ae_denoise import Denoiser"],
}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    laps: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(args.rounds):
        for name, words in CASES.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            laps[name].append(time.perf_counter() - began)
    base = statistics.median(laps["import numpy"])
    print("| | s | ratio |\n|---|---|---|")
    for name, times in laps.items():
        middle = statistics.median(times)
        print(f"| `{name}` | {middle:.2f} | {middle / base:.1f} |")


if __name__ == "__main__":
    main()
