"""A network of another family, run by ONNX Runtime, in the place of one of ours.

To all that runs networks tile by tile it is a network with a halo and a grid; it has no code.
"""

from __future__ import annotations

import copy
import hashlib
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_ae_denoise.devices import cpu_count
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.network_spec import NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_ae_denoise.interop.zoo_description import ZooFacts

Planes = npt.NDArray[np.float32]  # (N, channels, Y, X)

_OURS = "NCYX"
_KEPT = 2  # sessions in a process
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_FEATURES = 64  # of a network whose layers are not known: what a pass may take per pixel
_SIGHTS = (256, 640)  # pixels of the images that a halo is measured on
_SEEN = 1e-6  # of the largest change: below it a pixel does not depend on another

_sessions: OrderedDict[str, Any] = OrderedDict()
_lock = threading.Lock()


def no_code() -> DenoisingError:
    """Return the error of who asks such a network for its code."""
    return DenoisingError(
        "This model is of another family than this package's: it has no latent code that is known.",
        "Ask for the denoised image alone, or choose another model.",
    )


@dataclass(frozen=True, slots=True)
class ZooSpec(NetworkSpec):
    """What is said of a network of another family where ours have the numbers they are built from.

    Nothing can be built from it, so it is in no model file.
    """

    def __post_init__(self) -> None:
        """Check nothing: nothing is built from it."""

    @classmethod
    def of(cls, channels: int) -> ZooSpec:
        """Return the spec of a network for images of so many channels."""
        return cls("zoo", channels=channels, widths=(_FEATURES,), skips=True)  # type: ignore[arg-type]


class ZooNetwork(nn.Module):
    """A network of another family; the names are those of `ConvAutoencoder`.

    Parameters
    ----------
    facts : ZooFacts
        How it is run.
    graph : bytes
        The ONNX model.

    Raises
    ------
    DenoisingError
        If ONNX Runtime cannot run it, or no halo is stated and it sees whole images.
    """

    def __init__(self, facts: ZooFacts, graph: bytes) -> None:
        super().__init__()
        self.facts, self._graph = facts, graph
        self.spec = ZooSpec.of(facts.channels)
        digest = hashlib.sha256(graph + repr(facts).encode())
        self._key = digest.hexdigest()
        # among the weights, by which networks are told apart
        self.register_buffer("key", torch.tensor(list(digest.digest()), dtype=torch.uint8))
        _check_graph(graph)
        self.grid = self.stride = math.lcm(*(side.step or 1 for side in facts.sides))
        self.steps = (1, 1)
        self.reach = facts.halo or self._measured_reach()
        self.halo = math.ceil(self.reach / self.stride) * self.stride

    @property
    def bytes_per_pixel(self) -> float:
        """About the most memory that a pass takes per input pixel."""
        return 4 * 6 * _FEATURES

    def copy_on(self, _device: torch.device) -> ZooNetwork:
        """Return a copy: ONNX Runtime computes on the CPU, wherever; the session is shared."""
        return copy.deepcopy(self)

    def forward(self, x: Tensor) -> Tensor:
        """Denoise (N, channels, H, W)."""
        return self.image_and_code(x)[0]

    def encode(self, _x: Tensor, _context: int = 0) -> NoReturn:
        """Refuse: it has no code."""
        raise no_code()

    decode = encode

    def image_and_code(self, x: Tensor, context: int = 0) -> tuple[Tensor, Tensor]:
        """Return the denoised inside of (N, channels, H, W), and a code without channels."""
        planes = x.detach().float().cpu().numpy()
        for step in self.facts.before:
            planes = step(planes)
        if self.facts.sides[0].step:
            made = self._padded(planes)[..., context : x.shape[2] - context, :]
            made = made[..., context : x.shape[3] - context]
        else:
            made = self._in_blocks(planes, context)
        for step in self.facts.after:
            made = step(made)
        image = torch.from_numpy(np.ascontiguousarray(made)).to(x.device)
        return image, image.new_zeros((len(image), 0, *image.shape[2:]))

    # ---- sizes

    def _padded(self, planes: Planes) -> Planes:
        """Run planes of any size, continued at their far ends to one that the graph takes."""
        height, width = planes.shape[2:]
        wanted = [s.allowed(n) for s, n in zip(self.facts.sides, (height, width), strict=True)]
        if self.facts.square:
            wanted = [max(wanted)] * 2
        ends = [(0, wanted[0] - height), (0, wanted[1] - width)]
        return self._run(np.pad(planes, [(0, 0), (0, 0), *ends], "symmetric"))[..., :height, :width]

    def _in_blocks(self, planes: Planes, context: int) -> Planes:
        """Run planes in blocks of the only size that the graph takes; return their inside."""
        halo = min(self.reach, context) if context else self.reach
        off = context - halo if context else 0
        planes = planes[..., off : planes.shape[2] - off, off : planes.shape[3] - off]
        margin = 0 if context else halo  # what is not there is mirrored
        height, width = (n - 2 * halo + 2 * margin for n in planes.shape[2:])
        sides = [side.least for side in self.facts.sides]
        inner = [side - 2 * halo for side in sides]
        rows, columns = (range(0, n, step) for n, step in zip((height, width), inner, strict=True))
        ends = [len(rows) * inner[0] - height, len(columns) * inner[1] - width]
        planes = np.pad(
            planes, [(0, 0), (0, 0), *((margin, margin + end) for end in ends)], "symmetric"
        )
        made = np.empty((*planes.shape[:2], height + ends[0], width + ends[1]), np.float32)
        for y in rows:
            for x in columns:
                block = self._run(planes[..., y : y + sides[0], x : x + sides[1]])
                kept = block[..., halo : halo + inner[0], halo : halo + inner[1]]
                made[..., y : y + inner[0], x : x + inner[1]] = kept
        return made[..., :height, :width]

    def _measured_reach(self) -> int:
        """Return how far a pixel of the result looks, where the package does not say it."""
        sides, step = self.facts.sides, self.stride
        rng = np.random.default_rng(0)
        for wanted in _SIGHTS:
            size = [side.allowed(wanted) for side in sides]
            if self.facts.square:
                size = [max(size)] * 2
            image = rng.standard_normal((1, self.facts.channels, *size)).astype(np.float32)
            first = [n // 2 // step * step for n in size]
            changed = image.copy()
            changed[..., first[0] : first[0] + step, first[1] : first[1] + step] += 1
            change = np.abs(self._run(changed) - self._run(image)).max(axis=(0, 1))
            where = np.argwhere(change > _SEEN * change.max())
            if not len(where):
                return 0
            reach = max(
                max(first[axis] - low, high - first[axis] - step + 1, 0)
                for axis, (low, high) in enumerate(zip(where.min(0), where.max(0), strict=True))
            )
            if all(2 * reach + step < n - 2 for n in size):
                return int(reach)
        raise DenoisingError(
            f'The model "{self.facts.name}" says of no halo, and each pixel of its result depends '
            f"on all of {size[0]} x {size[1]} pixels: tiles would show.",
            "Run it on whole images with bioimageio.core, or choose another model.",
        )

    # ---- the graph

    def _run(self, planes: Planes) -> Planes:
        """Run (N, channels, Y, X) of a size that the graph takes."""
        parts: Iterable[Planes] = [planes]
        if self.facts.one_by_one:
            parts = np.split(planes, len(planes))
        return np.concatenate([self._pass(part) for part in parts])

    def _pass(self, planes: Planes) -> Planes:
        session = self._session()
        (entry,) = session.get_inputs()
        seen = _turned(planes, _OURS, self.facts.axes).astype(_TYPES[entry.type], copy=False)
        try:
            made = session.run(None, {entry.name: seen})[0]
        except Exception as error:
            raise self._failed(error) from error
        axes = self.facts.axes_out
        if made.ndim != len(axes):
            raise self._failed(f"its output has {made.ndim} axes and not {len(axes)}")
        made = _turned(made, axes, _OURS).astype(np.float32, copy=False)
        if made.shape != planes.shape:
            raise self._failed(f"it made {made.shape} of {planes.shape}")
        return made

    def _session(self) -> Any:
        import onnxruntime

        with _lock:
            if self._key not in _sessions:
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = max(1, cpu_count() - 1)
                options.log_severity_level = 4
                try:
                    made = onnxruntime.InferenceSession(
                        self._graph, options, providers=["CPUExecutionProvider"]
                    )
                except Exception as error:
                    raise self._failed(error) from error
                kinds = [one.type for one in made.get_inputs()]
                if len(kinds) != 1 or kinds[0] not in _TYPES:
                    raise self._failed(f"its graph takes {', '.join(kinds) or 'nothing'}")
                _sessions[self._key] = made
            _sessions.move_to_end(self._key)
            while len(_sessions) > _KEPT:
                _sessions.popitem(last=False)
            return _sessions[self._key]

    def _failed(self, reason: object) -> DenoisingError:
        said = " ".join(str(reason).split())[:200]
        return DenoisingError(
            f'The network of the model "{self.facts.name}" could not be run: {said}.',
            "Choose another model, or ask its author.",
        )


def _turned(array: npt.NDArray[Any], axes: str, wanted: str) -> npt.NDArray[Any]:
    """Return an array with other axes; those that only one side has are of one element."""
    gone = [n for n, letter in enumerate(axes) if letter == "1" or letter not in wanted]
    left = [letter for letter in axes if letter != "1" and letter in wanted]
    array = array.reshape([n for place, n in enumerate(array.shape) if place not in gone])
    array = array.transpose([left.index(letter) for letter in wanted if letter in left])
    new = [n for n, letter in enumerate(wanted) if letter == "1" or letter not in left]
    return np.expand_dims(array, tuple(new))


def _check_graph(graph: bytes) -> None:
    """Refuse a graph that reads other files: weights may be only in the graph itself."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import uses_external_data

    try:
        model = onnx.load_model_from_string(graph)
    except DecodeError as error:
        raise DenoisingError(
            "The weights of the package are no ONNX model.", "Copy it again from its source."
        ) from error
    if any(
        uses_external_data(one)
        for part in (model.graph, *model.functions)
        for one in _tensors(part)
    ):
        raise DenoisingError(
            "The ONNX model of the package reads its weights from other files.",
            "Choose a package whose weights are in one file.",
        )


def _tensors(part: Any) -> Iterator[Any]:
    """Go through the numbers in a graph or function, and in the graphs within it."""
    yield from getattr(part, "initializer", ())
    sparse = [*getattr(part, "sparse_initializer", ())]
    for node in part.node:
        for one in node.attribute:
            yield from (one.t, *one.tensors)
            sparse += [one.sparse_tensor, *one.sparse_tensors]
            for inner in (*([one.g] if one.HasField("g") else []), *one.graphs):
                yield from _tensors(inner)
    for one in sparse:
        yield from (one.values, one.indices)
