"""What is taken for a number where one is asked for: no text, and neither True nor False."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_number(value: Any) -> bool:
    """Return whether a value is a number, of Python, numpy or an array of one."""
    if isinstance(value, str | bytes | bool | np.bool_):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def as_given(value: Any) -> str:
    """Return a value for a message, in which a text must not look like a number."""
    return repr(value) if isinstance(value, str | bytes) else str(value)
