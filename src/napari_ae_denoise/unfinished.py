"""How pixels of a result are marked that are not made yet."""

from __future__ import annotations

from typing import Any

import numpy as np


def unfinished_value(dtype: np.dtype[Any]) -> Any:
    """Return what pixels hold that are not made yet: NaN, or the largest integer there is.

    Integers have no NaN. The largest value is shown white, not as black that looks finished; the
    record tells exactly.
    """
    if np.issubdtype(dtype, np.floating):
        return np.nan
    return True if dtype == np.bool_ else int(np.iinfo(dtype).max)
