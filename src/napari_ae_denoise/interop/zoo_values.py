"""What a package of bioimage.io does to grey values before and after its network.

Steps that are the same for each image are done around the network; what is measured on an image is
a `Normalization`, measured once on the whole image and never on a tile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.grey_map import GreyMap
from napari_ae_denoise.normalization import Normalization

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDENTITY = Normalization("fixed")
_FLOATS = ("float32", "float64")


class Refused(Exception):
    """Why a package is not run, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Moments(Normalization):
    """Each image's own mean becomes 0, and its standard deviation 1."""

    def of_values(self, values: npt.NDArray[Any]) -> GreyMap:
        """Return the map of an image; see `Normalization.of_values`."""
        usual = Normalization.of_values(self, values)  # refuses what has no range
        finite = values[np.isfinite(values)].astype(np.float64)
        deviation = float(finite.std())
        return GreyMap(float(finite.mean()), deviation or usual.scale, usual.fill)


@dataclass(frozen=True, slots=True)
class Step:
    """A fixed step of pre- or postprocessing: ``clip(gain * x + offset, low, high)``.

    Parameters
    ----------
    gain, offset : tuple of float
        One for all channels, or one for each.
    low, high : float
        Limits.
    """

    gain: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    low: float = -math.inf
    high: float = math.inf

    def __call__(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Apply the step to (N, channels, Y, X)."""
        gain, offset = (np.array(v, np.float32)[:, None, None] for v in (self.gain, self.offset))
        limits = np.float32(self.low), np.float32(self.high)
        return np.asarray(np.clip(x * gain + offset, *limits), np.float32)

    @property
    def clips(self) -> bool:
        """Whether it does not keep all values apart."""
        return math.isfinite(self.low) or math.isfinite(self.high)


def processing_of(
    incoming: Any, outgoing: Any
) -> tuple[Normalization, tuple[Step, ...], tuple[Step, ...]]:
    """Return how grey values are mapped to what the graph sees, and back.

    Where the package maps its output back by itself, both ways are fixed steps; where not, what it
    did before the graph is undone, for a denoised image has the grey values of the noisy one.
    """
    measured: Normalization | None = None
    before: list[Step] = []
    for one in incoming.preprocessing:
        name = str(one.id)
        how: Any = getattr(one, "kwargs", None)
        if name in ("scale_range", "zero_mean_unit_variance"):
            _check_joint(name, how, incoming)
            if measured is not None or before:  # programs do not agree on what is measured then
                raise Refused(f"its {name} is not the first step before the network")
            if name == "scale_range":
                measured = Normalization("percentile", how.min_percentile, how.max_percentile)
            else:
                measured = Moments("percentile", 0, 100)
        else:
            before += _fixed(name, how, "before")
    after = [
        step
        for one in outgoing.postprocessing
        for step in _fixed(str(one.id), getattr(one, "kwargs", None))
    ]
    back = any(_uniform(step) != (1.0, 0.0) for step in after)
    if measured is not None and back:
        raise Refused("it maps grey values by each image's own range, and back by a fixed one")
    if back:
        return _IDENTITY, tuple(before), tuple(after)
    gain, offset = 1.0, 0.0  # of what is undone after the graph
    for step in before:
        linear = _uniform(step)
        if linear is None or (step.clips and measured is None):
            raise Refused("what it does to grey values before the network cannot be undone")
        gain, offset = gain * linear[0], offset * linear[0] + linear[1]
    if measured is not None:
        if (gain, offset) != (1.0, 0.0):
            raise Refused("what it does to grey values before the network cannot be undone")
        return measured, tuple(before), tuple(after)
    return Normalization("fixed", offset=-offset / gain, scale=1 / gain), (), tuple(after)


def _check_joint(name: str, how: Any, tensor: Any) -> None:
    """Refuse statistics that are not of all of a plane, or of another tensor."""
    reference = getattr(how, "reference_tensor", None)
    if reference is not None and str(reference) != str(tensor.id):
        raise Refused(f"its {name} looks at another tensor ({reference})")
    if how.axes is None:
        return
    over = {str(axis) for axis in how.axes}
    apart = [str(a.id) for a in tensor.axes if a.type != "batch" and a.size != 1]
    left = [axis for axis in apart if axis not in over]
    if left:
        raise Refused(f'its {name} treats each place along "{left[0]}" apart')


def _fixed(name: str, how: Any, where: str = "after") -> Sequence[Step]:
    """Return a step that is the same for each image; none where it does nothing to floats."""
    match name:
        case "ensure_dtype" if how.dtype in _FLOATS:
            return []
        case "clip" if how.min_percentile is None and how.max_percentile is None:
            low = -math.inf if how.min is None else float(how.min)
            return [Step(low=low, high=math.inf if how.max is None else float(how.max))]
        case "scale_linear" if str(getattr(how, "axis", "channel")) == "channel":
            return [_linear(how.gain, how.offset)]
        case "fixed_zero_mean_unit_variance" if str(getattr(how, "axis", "channel")) == "channel":
            means, deviations = _numbers(how.mean), _numbers(how.std)
            gain = [1 / d for d in deviations]
            return [_linear(gain, [-m * g for m, g in zip(means, gain, strict=True)])]
    detail = f" to {how.dtype}" if how is not None and name == "ensure_dtype" else ""
    raise Refused(f'it has "{name}"{detail} {where} the network, which is not for denoised images')


def _linear(gain: Any, offset: Any) -> Step:
    gains, offsets = _numbers(gain), _numbers(offset)
    if not all(math.isfinite(n) for n in (*gains, *offsets)) or min(gains) <= 0:
        raise Refused(f"it multiplies grey values by {min(gains):g}")
    return Step(gains, offsets)


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, list | tuple) else (float(value),)


def _uniform(step: Step) -> tuple[float, float] | None:
    """Return gain and offset of a step, if they are those of all channels."""
    if len(set(step.gain)) > 1 or len(set(step.offset)) > 1:
        return None
    return step.gain[0], step.offset[0]
