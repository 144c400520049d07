"""Whether a GPU is in the machine that PyTorch cannot use; found out without PyTorch."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_DRIVER = Path("/proc/driver/nvidia/gpus")
_SECONDS = 5.0  # that the driver's program may take


def nvidia_cards() -> list[str]:
    """Return the names of the NVIDIA GPUs that their driver knows; never raises.

    The driver's program ``nvidia-smi`` is asked, and on Linux, where it is missing or fails, the
    files in which the driver lists its cards are read.
    """
    return _asked() or _listed()


def unused_card(usable: list[str], cuda_build: bool) -> str:
    """Return what to do about a GPU that is there and not used; empty where there is nothing.

    Parameters
    ----------
    usable : list of str
        The devices that PyTorch offers, such as ``["cpu"]``.
    cuda_build : bool
        Whether this PyTorch was built for CUDA.
    """
    if any(name != "cpu" for name in usable):
        return ""
    cards = nvidia_cards()
    if not cards:
        return ""
    if cuda_build:
        return (
            f"{cards[0]} is in this computer, but PyTorch cannot use it. Update the NVIDIA driver, "
            "and start the computer again."
        )
    return (
        f"{cards[0]} is in this computer, but this PyTorch is for the CPU only. A build for CUDA "
        "is many times as fast: install it with the pip command that pytorch.org gives for your "
        "system."
    )


def _asked() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        told = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    if told.returncode != 0:  # it says why on the same stream that the names come on
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip()]


def _listed() -> list[str]:
    names = []
    try:
        for information in sorted(_DRIVER.glob("*/information")):
            for line in information.read_text(errors="replace").splitlines():
                if line.startswith("Model:"):
                    names.append(line.partition(":")[2].strip())
    except OSError:
        return names
    return names
