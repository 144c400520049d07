"""Look into a wheel before it is published: all that belongs there, and nothing else.

python scripts/check_wheel.py dist/*.whl
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import sys
import zipfile
from pathlib import Path

PACKAGE = "napari_ae_denoise"
_ENDINGS = {".py", ".yaml", ".safetensors", ".typed", ".png", ".md"}
_NEEDED = ("__init__.py", "napari.yaml", "py.typed", "cli.py", "_qt/panel.py")
_FEWEST_MODELS = 3
_LARGEST = 20 * 1024**2  # bytes of the wheel


def faults(path: Path) -> list[str]:
    """Return what is wrong with a wheel, in sentences."""
    found = []
    if path.stat().st_size > _LARGEST:
        found.append(f"it has {path.stat().st_size} bytes")
    with zipfile.ZipFile(path) as wheel:
        entries = wheel.infolist()
        names = [entry.filename for entry in entries]
        for entry in entries:
            name, parts = entry.filename, Path(entry.filename).parts
            if stat.S_ISLNK(entry.external_attr >> 16):
                found.append(f"{name} is a link")
            if name.startswith("/") or ".." in parts:
                found.append(f"{name} lies outside")
            if parts[0] != PACKAGE and not parts[0].startswith(f"{PACKAGE}-"):
                found.append(f"{name} is not of this package")
            elif parts[0] == PACKAGE and Path(name).suffix not in _ENDINGS:
                found.append(f"{name} is of a kind that does not belong there")
            if "tests" in parts or "__pycache__" in parts:
                found.append(f"{name} should not be there")
        found += [f"{name} is missing" for name in _NEEDED if f"{PACKAGE}/{name}" not in names]
        models = [name for name in names if name.endswith(".safetensors")]
        if len(models) < _FEWEST_MODELS:
            found.append(f"only {len(models)} models are in it")
        if not any(name.endswith("/licenses/LICENSE") for name in names):
            found.append("the licence is missing")
        found += [f"{name} is twice there" for name in set(names) if names.count(name) > 1]
        found += _against_record(wheel, names)
    return found


def _against_record(wheel: zipfile.ZipFile, names: list[str]) -> list[str]:
    """Compare each file with the hash that the wheel's own record gives."""
    record = next((name for name in names if name.endswith(".dist-info/RECORD")), None)
    if record is None:
        return ["it has no RECORD"]
    found = []
    rows = {row[0]: row[1] for row in csv.reader(io.StringIO(wheel.read(record).decode())) if row}
    for name in names:
        if name == record or name.endswith("/"):
            continue
        made = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(name)).digest()).rstrip(b"=")
        if rows.get(name) != f"sha256={made.decode()}":
            found.append(f"{name} is not what RECORD says")
    return found


def main() -> None:
    """Check each wheel that is named; end with 1 where something is wrong."""
    wrong = 0
    for name in sys.argv[1:]:
        found = faults(Path(name))
        wrong += len(found)
        print(f"{name}: {'; '.join(found) or 'as it should be'}")
    sys.exit(bool(wrong) or len(sys.argv) < 2)


if __name__ == "__main__":
    main()
