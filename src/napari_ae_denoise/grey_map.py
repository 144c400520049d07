"""Grey values as a network sees them, and back: an affine map, and the step into a dtype."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.errors import DenoisingError

_FLOAT32_ROOM = 1e37
_FAR = 1e30  # normalized values beyond it are no image, and grow to infinity in a network


class ValueMap(Protocol):
    """What an image's grey values are to a network, and back: see `GreyMap`, `StabilizedMap`."""

    @property
    def fill(self) -> float:
        """Grey value that stands in for a pixel without finite neighbours."""

    def apply(self, grey: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return grey values of any real dtype as normalized float32."""

    def invert(self, normalized: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return normalized values as grey values; integers are rounded and clipped."""

    def to_record(self) -> dict[str, Any]:
        """Return what json can hold."""


@dataclass(frozen=True, slots=True)
class GreyMap:
    """The affine map of one image: ``normalized = (grey - offset) / scale``.

    Parameters
    ----------
    offset, scale : float
        In the image's own grey values.
    fill : float
        Grey value that stands in for a pixel without finite neighbours.
    """

    offset: float
    scale: float
    fill: float = 0.0

    def apply(self, grey: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return grey values of any real dtype as normalized float32."""
        work = grey.astype(self._work_type(grey.dtype), copy=True)
        with np.errstate(over="ignore"):  # told below
            work -= work.dtype.type(self.offset)
            work /= work.dtype.type(self.scale)
        if work.dtype.kind == "f" and work.size and not -_FAR < work.min() <= work.max() < _FAR:
            for value in (grey.min(), grey.max()):
                self.check(float(value))
        return work.astype(np.float32, copy=False)

    def check(self, grey: float) -> None:
        """Refuse a grey value that lies too far from the others for a network.

        Raises
        ------
        DenoisingError
            If it is finite and more than 1e30 times the image's range away.
        """
        # halves, for the difference of two floats may be larger than any float
        far = abs(grey / 2 - self.offset / 2) / self.scale > _FAR / 2
        if np.isfinite(grey) and (far or not np.isfinite(self.scale)):
            raise DenoisingError(
                f"The image has a grey value of {grey:.3g}, which no network can compute with: "
                f"most of its values are between {self.offset:.3g} and "
                f"{self.offset + self.scale:.3g}.",
                "If it marks missing pixels, replace it by NaN; else divide the image by a number.",
            )

    def invert(self, normalized: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return normalized values as grey values; integers are rounded and clipped."""
        work = normalized.astype(self._work_type(dtype), copy=True)
        work *= work.dtype.type(self.scale)
        work += work.dtype.type(self.offset)
        return to_dtype(work, dtype)

    def to_record(self) -> dict[str, Any]:
        """Return what json can hold."""
        return asdict(self)

    def _work_type(self, dtype: npt.DTypeLike) -> np.dtype[Any]:
        """Return the type to compute in: float64 where float32 would overflow."""
        huge = max(abs(self.offset), self.scale) > _FLOAT32_ROOM
        return np.result_type(dtype, np.float64 if huge else np.float32)


def to_dtype(values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return values in another dtype: clipped to what it holds, never wrapped or infinite."""
    dtype = np.dtype(dtype)
    if values.dtype == dtype:
        return values
    if dtype == np.bool_:
        return values >= 0.5
    if dtype.kind != "f" or values.dtype.kind != "f":
        # the limits of the other type may be no numbers of integers and float16
        values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    if np.issubdtype(dtype, np.integer):
        low, high = (values.dtype.type(n) for n in (np.iinfo(dtype).min, np.iinfo(dtype).max))
        if int(high) > np.iinfo(dtype).max:  # as of int64, whose largest is no float
            high = np.nextafter(high, low)
        values = np.clip(np.nan_to_num(np.rint(values)), low, high)
    elif dtype.itemsize < values.dtype.itemsize:
        most = np.finfo(dtype).max
        values = np.clip(values, -most, most, out=values.copy(), where=np.isfinite(values))
    return values.astype(dtype, copy=False)
