"""Models of Keras: the file that the tutorial's program saves, opened and written without Keras.

What can be exchanged is the tutorial's kind of network, of any widths and depth: 3x3 convolutions
and max-pooling down, convolutions and upsampling up, and a last convolution with a sigmoid. Layer
by layer it is the same function here and there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_ae_denoise.card import Card
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.keras_apart import read_apart
from napari_ae_denoise.interop.keras_files import (
    CONTAINERS,
    KerasModel,
    Weights,
    is_keras_file,
    not_opened,
    refusing,
)
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import ConvAutoencoder, build_empty
from napari_ae_denoise.normalization import Normalization

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_keras_file", "load_keras"]

_LAYOUT = (
    "Networks that can be opened are those of the tutorial: Conv2D and MaxPooling2D in turn, then "
    "Conv2D and UpSampling2D as often, then a last Conv2D."
)
_NOTHING_TO_DO = ("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout")  # in use
_DEEPEST = 4  # models in models


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer as the file describes it."""

    kind: str
    name: str
    number: int
    config: dict[str, Any]

    def __str__(self) -> str:
        return f'its layer {self.number}, "{self.name}" ({self.kind}),'

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"{self} {what}")

    def check(self, **wanted: Any) -> None:
        """Refuse other settings than those wanted, which are Keras's defaults too."""
        for key, value in wanted.items():
            found = self.config.get(key, value)
            allowed = value if isinstance(value, tuple) else (value,)
            plain = (
                found[0] if isinstance(found, list) and len(set(map(str, found))) == 1 else found
            )
            if isinstance(plain, bool) != isinstance(allowed[0], bool) or plain not in allowed:
                expected = " or ".join(map(str, allowed))
                raise self.wrong(f"has {key} {found!r} where {expected} is needed")


def load_keras(path: Path) -> tuple[ConvAutoencoder, Card]:
    """Open a model file of Keras 2 or 3, ``.h5`` or ``.keras``. Nothing in it is run.

    Parameters
    ----------
    path : Path
        What ``model.save`` has written.

    Returns
    -------
    network : ConvAutoencoder
        The same function, in this package's own layers.
    card : Card
        Its normalization maps the smallest grey value of an image to 0 and the largest to 1: the
        tutorial's images span just that range.

    Raises
    ------
    DenoisingError
        If it is no such file, is damaged, or holds another network; then it names the layer that
        does not fit.
    """
    path = Path(path)
    with refusing(path):
        model = read_apart(path)
        try:
            layers = list(_flat(model.config))
            spec = _spec(layers, model.weights)
            network = _filled(spec, model)
        except DenoisingError:
            raise
        except ValueError as error:
            raise not_opened(path, str(error), _LAYOUT) from error
        made_by = {"keras": model.version} if model.version else {}
    card = Card(
        spec,
        Normalization(low=0, high=100),
        name=path.stem,
        description=f"opened from a file of Keras {model.version}".strip(),
        objective="",
        versions=made_by,
    )
    return network, card


# ---- which layers there are


def _flat(model: dict[str, Any], depth: int = 0, first: int = 1) -> Iterator[_Layer]:
    """Go through the layers of a model, and of the models in it, in the order of the data."""
    kind, config = model.get("class_name"), model.get("config")
    if kind not in CONTAINERS or not isinstance(config, dict) or depth > _DEEPEST:
        raise ValueError(f'its model is of the kind "{kind}", which is not known here')
    records = config["layers"]
    before = ""
    for record in records:
        if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
            raise ValueError("its configuration lists a layer that is no record")
        layer = _Layer(
            str(record["class_name"]),
            str(record.get("name") or record["config"].get("name", "")),
            first,
            record["config"],
        )
        if kind != "Sequential":
            _check_chain(layer, record, before)
        before = layer.name
        if layer.kind in CONTAINERS:
            for inner in _flat(record, depth + 1, first):
                yield inner
                first = inner.number + 1
        elif layer.kind == "InputLayer":
            continue
        else:
            yield layer
            first += 1
    ends = _flattened(config.get("output_layers", [before]))
    if kind != "Sequential" and [e for e in ends if isinstance(e, str)] != [before]:
        raise ValueError(f'its output is not that of its last layer, "{before}"')


def _check_chain(layer: _Layer, record: dict[str, Any], before: str) -> None:
    """Refuse a layer that does not just take what the one before gives."""
    nodes = record.get("inbound_nodes", [])
    if layer.kind == "InputLayer":
        if nodes or before:
            raise layer.wrong("is a second input")
        return
    names = [name for name in _sources(nodes) if name]
    if len(nodes) != 1 or names != [before]:
        raise layer.wrong(f"takes {', '.join(names) or 'nothing'} and not just {before!r}")


def _sources(node: Any) -> Iterator[str]:
    """Go through the names of the layers that an inbound node of Keras 2 or 3 names."""
    if isinstance(node, dict):
        history = node.get("keras_history")
        if isinstance(history, list) and history:
            yield str(history[0])
        for key, value in node.items():
            if key != "keras_history":
                yield from _sources(value)
    elif isinstance(node, list):
        if node and isinstance(node[0], str):  # Keras 2: name, node, tensor, more arguments
            yield node[0]
        else:
            for one in node:
                yield from _sources(one)


def _flattened(value: Any) -> list[Any]:
    return [x for one in value for x in _flattened(one)] if isinstance(value, list) else [value]


# ---- whether they are a network that can be built


def _spec(layers: list[_Layer], weights: list[Weights]) -> NetworkSpec:
    """Return the network that the layers are; every layer is looked at."""
    steps = list(_joined(layers))
    widths: list[int] = []
    while (place := 2 * len(widths)) + 1 < len(steps):
        (conv, activation), (pool, _) = steps[place : place + 2]
        if pool.kind == "UpSampling2D":
            break
        if pool.kind != "MaxPooling2D":
            raise pool.wrong("stands where a MaxPooling2D or UpSampling2D is needed")
        widths.append(_convolution(conv, activation, "relu"))
        pool.check(pool_size=2, strides=2, padding=("same", "valid"), data_format="channels_last")
    place, depth = 2 * len(widths), len(widths)
    for number, width in enumerate([*reversed(widths), None]):
        if place >= len(steps):
            raise ValueError(f"it ends after {len(layers)} layers, where more are needed")
        conv, activation = steps[place]
        filters = _convolution(conv, activation, "relu" if number < depth else "sigmoid")
        if width is not None and filters != width:
            raise conv.wrong(f"has {filters} filters where the encoder has {width}")
        place += 1
        if number < depth:
            if place >= len(steps):
                raise ValueError(f"it ends after {len(layers)} layers, where more are needed")
            up = steps[place][0]
            if up.kind != "UpSampling2D":
                raise up.wrong("stands where an UpSampling2D is needed")
            up.check(size=2, interpolation="nearest", data_format="channels_last")
            place += 1
    if place < len(steps):
        raise steps[place][0].wrong("stands where the network should end")
    if not widths:
        raise layers[0].wrong("is followed by no MaxPooling2D")
    if not weights or len(weights[0].shape) != 4 or weights[0].shape[2] != filters:
        raise conv.wrong(f"makes {filters} channels where the first layer takes another number")
    return NetworkSpec("plain", channels=filters, widths=tuple(widths), edge="zero")


def _joined(layers: list[_Layer]) -> Iterator[tuple[_Layer, str]]:
    """Go through the layers that do something, each with the activation that follows it."""
    waiting: tuple[_Layer, str] | None = None
    for layer in layers:
        if layer.kind in _NOTHING_TO_DO:
            continue
        activation = str(layer.config.get("activation", "linear"))
        if layer.kind in ("Activation", "ReLU"):
            if waiting is None or waiting[0].kind != "Conv2D" or waiting[1] != "linear":
                raise layer.wrong("does not follow a Conv2D without an activation")
            if layer.kind == "ReLU":
                layer.check(max_value=None, negative_slope=0.0, threshold=0.0)
                activation = "relu"
            waiting = waiting[0], activation
            continue
        if waiting is not None:
            yield waiting
        waiting = layer, activation
    if waiting is not None:
        yield waiting


def _convolution(layer: _Layer, activation: str, wanted: str) -> int:
    """Return the filters of a layer that must be a convolution as the tutorial has them."""
    if layer.kind != "Conv2D":
        raise layer.wrong("stands where a Conv2D is needed")
    layer.check(
        kernel_size=3,
        strides=1,
        dilation_rate=1,
        padding="same",
        groups=1,
        use_bias=True,
        data_format="channels_last",
    )
    if activation != wanted:
        raise layer.wrong(f'has the activation "{activation}" where "{wanted}" is needed')
    filters = layer.config.get("filters")
    if not isinstance(filters, int) or isinstance(filters, bool) or filters < 1:
        raise layer.wrong(f"has {filters!r} filters")
    return filters


# ---- its weights


def convolutions(network: ConvAutoencoder) -> list[nn.Conv2d]:
    """Return the convolutions of a network of style ``plain``, in the order of the data."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def _filled(spec: NetworkSpec, model: KerasModel) -> ConvAutoencoder:
    """Build a network and read its weights, if every shape is as it must be."""
    network = build_empty(spec)
    names = [layer.name for layer in _flat(model.config) if layer.kind == "Conv2D"]
    convs = convolutions(network)
    wanted = [shape for conv in convs for shape in (_kernel_shape(conv), (conv.out_channels,))]
    if len(model.weights) != len(wanted):
        raise ValueError(
            f"it holds {len(model.weights)} arrays of weights where its layers need {len(wanted)}"
        )
    for number, (found, shape) in enumerate(zip(model.weights, wanted, strict=True)):
        if found.shape != shape:
            raise ValueError(
                f'the weights "{found.name}" of its layer "{names[number // 2]}" have the shape '
                f"{found.shape} where {shape} is needed"
            )
    announced = 4 * sum(math.prod(shape) for shape in wanted)
    if announced > model.size:
        raise ValueError(
            f"it announces {announced} bytes of weights, but only {model.size} bytes are there"
        )
    values = (torch.from_numpy(found.read()) for found in model.weights)
    state = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            kernel = next(values).permute(3, 2, 0, 1)  # (Y, X, in, out) -> (out, in, Y, X)
            state[f"{name}.weight"], state[f"{name}.bias"] = kernel.contiguous(), next(values)
    network.load_state_dict(state, assign=True)
    return network


def _kernel_shape(conv: nn.Conv2d) -> tuple[int, ...]:
    return (*conv.kernel_size, conv.in_channels, conv.out_channels)
