"""What a package of bioimage.io says of a network that is none of ours, in the few words we run.

The description is read and checked by the zoo's own library, `bioimageio.spec`; nothing in the
package is run, and nothing is downloaded. What a plane of an image cannot go through, tile by tile,
is refused here with its reason.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.packages import model_name
from napari_ae_denoise.interop.zoo_values import Refused, Step, processing_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_ae_denoise.normalization import Normalization

_NEEDED = ("bioimageio.spec", "onnx", "onnxruntime")
_INSTALL = 'Install them: pip install "napari-ae-denoise[bioimageio]".'
_MOST_CHANNELS = 64
_LARGEST_SIDE, _LARGEST_HALO = 4096, 2048  # pixels


@dataclass(frozen=True, slots=True)
class Side:
    """Sizes that an axis of the network's input may have: ``least + n * step``, or just ``least``.

    Parameters
    ----------
    least, step : int
        Pixels; ``step`` 0 for a fixed size.
    """

    least: int
    step: int

    def allowed(self, size: int) -> int:
        """Return the smallest allowed size that is not smaller than one."""
        if size <= self.least or not self.step:
            return self.least
        return self.least + -(-(size - self.least) // self.step) * self.step


@dataclass(frozen=True, slots=True)
class ZooFacts:
    """What is run, and how.

    Parameters
    ----------
    name, description, licence : str
        For people.
    weights : str
        The member with the ONNX graph.
    channels : int
        Of image and result.
    axes, axes_out : str
        Of the graph's input and output, in its order: ``N`` (batch), ``C``, ``Y``, ``X``, and
        ``1`` for an axis of one element.
    sides : (Side, Side)
        Along Y and X.
    square : bool
        Whether Y and X must be alike.
    one_by_one : bool
        Whether the batch holds one plane only.
    halo : int
        Pixels that the package says to cut off its output; 0 where it says nothing.
    normalization : Normalization
        Measured on the image, or fixed.
    before, after : tuple of Step
        Around the graph, within that normalization.
    """

    name: str
    description: str
    licence: str
    weights: str
    channels: int
    axes: str
    axes_out: str
    sides: tuple[Side, Side]
    square: bool
    one_by_one: bool
    halo: int
    normalization: Normalization
    before: tuple[Step, ...]
    after: tuple[Step, ...]


def zoo_facts(path: Path, record: dict[str, Any]) -> ZooFacts:
    """Return the facts of a package whose network is none of ours.

    Raises
    ------
    DenoisingError
        If the zoo's library is missing or refuses the description, or the package is none that
        makes a plane from a plane.
    """
    begin = f'The model "{model_name(path, record)}" in {path} is not of this package\'s family'
    missing = [module for module in _NEEDED if find_spec(module.split(".")[0]) is None]
    if missing:
        raise DenoisingError(
            f"{begin}, and to run it bioimageio.core must be installed ({', '.join(missing)} is "
            "missing).",
            _INSTALL,
        )
    try:
        return _facts(_model(path, record))
    except Refused as error:
        raise DenoisingError(
            f"{begin}, and cannot be run here: {error}.",
            "Run it with bioimageio.core itself, or choose another package.",
        ) from error


def _model(path: Path, record: dict[str, Any]) -> Any:
    """Return the description as the zoo's library reads it, in its newest format."""
    from bioimageio.spec import ValidationContext, build_description
    from bioimageio.spec.model import v0_5

    with zipfile.ZipFile(path) as archive:
        context = ValidationContext(perform_io_checks=False, root=archive, file_name="rdf.yaml")
        made = build_description(record, context=context, format_version="latest")
    if isinstance(made, v0_5.ModelDescr):
        return made
    said = [
        f"{'.'.join(map(str, fault.loc))}: {fault.msg}"
        for detail in made.validation_summary.details
        for fault in detail.errors
    ]
    reason = " ".join(str(said[0] if said else "no reason is given").split())[:200]
    raise Refused(f"bioimageio.spec refuses its description ({reason})")


def _facts(model: Any) -> ZooFacts:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise Refused(
            f"it has {len(model.inputs)} inputs and {len(model.outputs)} outputs, not one image "
            "and its denoised one"
        )
    (incoming,), (outgoing,) = model.inputs, model.outputs
    axes, axes_out = _axes(incoming, "input"), _axes(outgoing, "output")
    channels, made = (_channels(t) for t in (incoming, outgoing))
    if channels != made or not 1 <= channels <= _MOST_CHANNELS:
        raise Refused(f"it makes {made} channels of {channels}, and a denoised image has as many")
    for data in outgoing.data if isinstance(outgoing.data, list | tuple) else [outgoing.data]:
        if hasattr(data, "values"):
            raise Refused("its output are labels, as of a segmentation, and no grey values")
    sides, square = _sides(incoming)
    halo = _halo(incoming, outgoing)
    onnx = model.weights.onnx
    if onnx is None or onnx.external_data is not None:
        raise Refused(
            f"its weights are {', '.join(sorted(model.weights.available_formats))}, and only those "
            "in an ONNX file of their own are run, for others could run code (the program "
            "`bioimageio add-weights` adds them, for a package that you trust)"
        )
    normalization, before, after = processing_of(incoming, outgoing)
    batch = [a for a in (*incoming.axes, *outgoing.axes) if a.type == "batch"]
    return ZooFacts(
        name=str(model.name),
        description=str(model.description or ""),
        licence=str(model.license or ""),
        weights=str(onnx.source),
        channels=channels,
        axes=axes,
        axes_out=axes_out,
        sides=sides,
        square=square,
        one_by_one=len(batch) < 2 or any(axis.size == 1 for axis in batch),
        halo=halo,
        normalization=normalization,
        before=before,
        after=after,
    )


# ---- axes and sizes


def _axes(tensor: Any, what: str) -> str:
    letters = ""
    for axis in tensor.axes:
        if axis.type in ("batch", "channel"):
            letters += {"batch": "N", "channel": "C"}[axis.type]
        elif axis.type == "space" and str(axis.id) in ("x", "y"):
            letters += str(axis.id).upper()
        elif axis.size == 1:
            letters += "1"
        else:
            raise Refused(f'its {what} has the axis "{axis.id}", and only planes (Y, X) are run')
    named = letters.replace("1", "")
    if not {"Y", "X"} <= set(named) or len(set(named)) < len(named):
        raise Refused(f"the axes of its {what} are no plane (Y, X)")
    return letters


def _channels(tensor: Any) -> int:
    return next((int(axis.size) for axis in tensor.axes if axis.type == "channel"), 1)


def _along(tensor: Any) -> dict[str, Any]:
    return {str(axis.id): axis for axis in tensor.axes if axis.type == "space"}


def _sides(tensor: Any) -> tuple[tuple[Side, Side], bool]:
    """Return the sizes along Y and X, and whether they must be the same."""
    spaces, square, made = _along(tensor), False, []
    for name in "yx":
        size = spaces[name].size
        if hasattr(size, "axis_id"):  # that of the other axis
            other = spaces.get(str(size.axis_id))
            if other is None or size.offset or hasattr(other.size, "axis_id"):
                raise Refused(f'the size of its axis "{name}" depends on more than the image')
            size, square = other.size, True
        made.append(Side(size, 0) if isinstance(size, int) else Side(size.min, size.step))
        if max(made[-1].least, made[-1].step) > _LARGEST_SIDE:
            raise Refused(
                f'along "{name}" it takes {made[-1].least} pixels in steps of {made[-1].step}, and '
                f"at most {_LARGEST_SIDE} are run"
            )
    return (made[0], made[1]), square


def _halo(incoming: Any, outgoing: Any) -> int:
    """Return the halo that is stated; the output must lie on the input pixel by pixel."""
    before, after, halo = _along(incoming), _along(outgoing), 0
    for name in "yx":
        size = after[name].size
        if hasattr(size, "axis_id"):
            same = str(size.axis_id) == name and not size.offset
            same = same and math.isclose(after[name].scale, before[name].scale)
        else:
            same = size == before[name].size
        if not same:
            raise Refused(f'its output is not as large as its input along "{name}"')
        halo = max(halo, int(getattr(after[name], "halo", 0)))
    if halo > _LARGEST_HALO:
        raise Refused(f"its halo is {halo} pixels, and at most {_LARGEST_HALO} are run")
    return halo
