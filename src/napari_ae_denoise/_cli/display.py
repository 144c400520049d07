"""Whether a window can be opened here."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
from importlib.util import find_spec

_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
_LOCAL_DISPLAY = re.compile(r"^(?:unix)?:(\d+)(?:\.\d+)?$")


def why_no_window() -> str:
    """Return why napari cannot open a window here, in one sentence; empty where it can."""
    if sys.platform.startswith("linux"):
        display, wayland = os.environ.get("DISPLAY", ""), os.environ.get("WAYLAND_DISPLAY", "")
        if not display and not wayland:
            return "There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)."
        if not wayland and not _answers(display):
            return f"The display {display} does not answer."
    if find_spec("napari") is None:
        return "napari is not installed."
    if not any(find_spec(binding) for binding in _BINDINGS):
        return 'No Qt binding is installed: pip install "napari-ae-denoise[all]".'
    return ""


def _answers(display: str) -> bool:
    """Return whether an X server listens; a Qt program ends in an abort where none does.

    Displays of other computers (``host:0``, as by ssh) are taken to answer.
    """
    local = _LOCAL_DISPLAY.match(display)
    if local is None:
        return True
    path = f"/tmp/.X11-unix/X{local.group(1)}"  # where X servers put their socket
    for address in (path, f"\0{path}"):
        with socket.socket(socket.AF_UNIX) as channel, contextlib.suppress(OSError):
            channel.settimeout(2)
            channel.connect(address)
            return True
    return False
