"""Units of length and time, as files write them, and the one name that is used here for each."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# How units are written, and the one name that we use for each.
_NAMES = {
    "nm": "nanometer",
    "µm": "micrometer",  # the micro sign
    "\N{GREEK SMALL LETTER MU}m": "micrometer",
    "\\u00b5m": "micrometer",  # as ImageJ escapes it
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "in": "inch",
}
IMAGEJ_UNITS = {
    "nanometer": "nm",
    "micrometer": "micron",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
}
# without a unit, OME means micrometers; its "reference frame" is the unit of what is not measured
OME_UNITS = {**IMAGEJ_UNITS, "micrometer": "µm", "inch": "in", "": "reference frame"}
CENTIMETERS = {
    "nanometer": 1e-7,
    "micrometer": 1e-4,
    "millimeter": 0.1,
    "centimeter": 1.0,
    "inch": 2.54,
    "meter": 100.0,
}
INCH = "inch"
PRINT_UNITS = (INCH, "centimeter")  # in which files tell how large a picture is printed
SECOND = "second"
SECONDS = {
    "s": 1.0,
    "sec": 1.0,  # as ImageJ writes it
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "msec": 1e-3,
    "millisecond": 1e-3,
    "µs": 1e-6,
    "microsecond": 1e-6,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
}


def distances(found: Mapping[str, Any]) -> dict[str, float]:
    """Return those of the spacings in a file that neighbouring pixels can have: finite, above 0.

    Files hold anything: a mirrored axis is written with a distance below zero, and one that is not
    known as 0 or infinite.
    """
    return {
        axis: float(value)
        for axis, value in found.items()
        if isinstance(value, Real) and math.isfinite(value) and float(value) > 0
    }


def seconds(time: object, unit: object) -> float | None:
    """Return a time in seconds; None if it is no number, or in a unit that is not known."""
    factor = SECONDS.get(str(unit).strip())
    return time * factor if isinstance(time, int | float) and factor is not None else None


def tells_size(unit: str) -> bool:
    """Return whether pixels in a unit have a size in the world; those of prints have none."""
    return unit_name(unit) not in {"", "pixel", "pixels", *PRINT_UNITS}


def unit_name(text: object) -> str:
    """Return the one name of a unit that is written in any way; what is not known stays."""
    name = str(text or "").strip().strip('"')
    return _NAMES.get(name, _NAMES.get(name.lower(), name))
