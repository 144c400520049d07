"""Reports of errors that were not foreseen: to a log file, and as a text to send."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from napari_ae_denoise import __version__

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 2**20  # bytes of the log; what is older goes into one file beside it
_NAMED = ("napari", "qtpy", "torch", "numpy", "dask", "zarr", "h5py", "safetensors")


def log_path() -> Path:
    """Return where the log file is, or would be: the system's own place for logs."""
    import platformdirs

    return platformdirs.user_log_path("napari-ae-denoise", appauthor=False) / "errors.log"


def report_of(error: BaseException) -> str:
    """Return all that helps to find the cause of an error: versions, machine, where it arose.

    Nothing is loaded for it: of programs that are not in use, the version is left out.
    """
    versions = {name: getattr(sys.modules.get(name), "__version__", "") for name in _NAMED}
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    where = "".join(traceback.format_exception(error))
    return (
        f"napari-ae-denoise {__version__}, {datetime.now(UTC).isoformat(timespec='seconds')}\n"
        f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores\n"
        f"{named}\n\n{where}"
    )


def log(error: BaseException) -> str:
    """Write the report of an error to the log file, and return it.

    A log that cannot be written is no second error.
    """
    text = report_of(error)
    with contextlib.suppress(OSError):
        path = log_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _LARGEST:
            path.replace(path.with_suffix(".old.log"))
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{text}\n{'-' * 72}\n")
    return text
