"""Models of ONNX: a denoiser as a graph that onnxruntime and others run without torch."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.grey_values import GreyValues, whole_image
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_ae_denoise.denoiser import Denoiser

OPSET = 20
_NEEDED = ("onnx", "onnxscript")
_WRONG = "0.7.0"  # of onnxscript: its SpaceToDepth has not the channel order of PixelUnshuffle
_EXAMPLE = (37, 41)  # Y, X of the image that the graph is traced with: odd, and unlike each other


def save_onnx(denoiser: Denoiser, path: Path) -> Path:
    """Write a denoiser as an ONNX graph from grey values to grey values.

    Parameters
    ----------
    denoiser : Denoiser
        Any.
    path : Path
        ``.onnx``.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    DenoisingError
        If the packages for it are missing, the ending is another one, or the file cannot be
        written.

    Notes
    -----
    The graph's inputs:

    - ``image``: (N, channels, Y, X) float32, in grey values; any N, Y and X;
    - ``low`` and ``high``: () float32, the grey values that the network sees as 0 and as 1: the
      percentiles of the whole image that the metadata name. They are no part of the graph, because
      tiles of one image must share them. A model with a fixed map has it in the graph, and has
      these two inputs not.

    Its output ``denoised`` has the shape of ``image`` and is in grey values. What lies beyond its
    edges is in the graph, as `Denoiser.denoise` has it; tiles need ``halo`` pixels around them,
    where the image has them, which are then cut off, and start on multiples of ``stride``. Noise of
    cameras is not levelled in the graph (``noise_model="gaussian"``), and pixels must be finite.

    The metadata (``metadata_props``) hold the card, and from it on their own what is needed to run
    the graph: ``normalization``, ``stride`` and ``halo``.
    """
    if path.suffix.lower() != ".onnx":
        raise DenoisingError(
            f'An ONNX model cannot be saved with the ending "{path.suffix}".', "Use .onnx."
        )
    card = denoiser.card
    fixed = card.normalization.kind == "fixed"
    network = denoiser.network
    module = whole_image(network, card.normalization) if fixed else GreyValues(network)
    inputs = ["image"] if fixed else ["image", "low", "high"]
    facts = {
        "normalization": json.dumps(asdict(card.normalization)),
        "stride": str(denoiser.stride),
        "halo": str(denoiser.halo),
        "card": json.dumps(card.to_record(), default=float),
    }
    model = onnx_graph(module, card.network.channels, card.network.image_size, inputs, facts)
    with replacing(path) as temporary:
        temporary.write_bytes(model)
    return path


def onnx_graph(
    module: nn.Module,
    channels: int,
    size: tuple[int, int] | None,
    inputs: Sequence[str],
    facts: Mapping[str, str],
) -> bytes:
    """Return a module of `grey_values` as an ONNX model, for images of any size.

    Parameters
    ----------
    module : nn.Module
        From ``image`` (N, channels, Y, X) and further inputs of shape () to an image.
    channels : int
        Of the image.
    size : tuple of int or None
        (Y, X), if images have just that.
    inputs : sequence of str
        Names of the inputs, ``image`` first.
    facts : mapping of str to str
        For the metadata.

    Raises
    ------
    DenoisingError
        If the packages for it are missing, or known to write wrong numbers.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise DenoisingError(
            f"To write ONNX, {' and '.join(missing)} must be installed.",
            'Install them: pip install "napari-ae-denoise[onnx]".',
        )
    if version("onnxscript") == _WRONG:
        raise DenoisingError(
            f"onnxscript {_WRONG}, which is installed, writes graphs that compute wrong numbers.",
            'Install a newer one: pip install --upgrade "onnxscript>=0.7.1".',
        )
    height, width = size or _EXAMPLE
    image = torch.linspace(0, 1, 2 * channels * height * width).reshape(2, channels, height, width)
    given = (image, *(torch.tensor(float(n)) for n in range(len(inputs) - 1)))
    free = {0: "N"} if size else {0: "N", 2: "Y", 3: "X"}
    shapes: list[Any] = [free, *({} for _ in inputs[1:])]
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            given,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=["denoised"],
            dynamic_shapes=tuple(shapes),
            verbose=False,
        )
    assert program is not None  # as it is with dynamo
    return _described(program.model_proto, facts)


def _described(model: Any, facts: Mapping[str, str]) -> bytes:
    """Return a model with its metadata, its axes named, and nothing of where it was made."""
    import onnx

    model.producer_name = "napari-ae-denoise"
    for node in model.graph.node:  # the paths and lines of the sources
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    ours = model.graph.input[0].type.tensor_type.shape.dim
    theirs = model.graph.output[0].type.tensor_type.shape.dim
    for own, made in zip(ours, theirs, strict=True):
        made.CopyFrom(own)  # torch writes a formula, which is the size itself
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model)
    return model.SerializeToString()  # type: ignore[no-any-return]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch says of its own insides to itself."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
