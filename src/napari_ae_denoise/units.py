"""Units of length and time, as files write them, and the one name that is used here for each."""

from __future__ import annotations

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
    "second": 1.0,
    "ms": 1e-3,
    "millisecond": 1e-3,
    "µs": 1e-6,
    "microsecond": 1e-6,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}


def unit_name(text: object) -> str:
    """Return the one name of a unit that is written in any way; what is not known stays."""
    name = str(text or "").strip().strip('"')
    return _NAMES.get(name, _NAMES.get(name.lower(), name))
