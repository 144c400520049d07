"""What options make of their words, where that is not one type."""

from __future__ import annotations

from typer import BadParameter


def tile(text: str) -> int | str:
    """Return a number of pixels, or "auto"."""
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise BadParameter(f'"{text}" is no whole number, and not "auto".') from None
