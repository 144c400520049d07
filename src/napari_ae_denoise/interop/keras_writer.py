"""Model files of Keras, ``.h5`` and ``.keras``, written without Keras."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.card import now
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.keras import convolutions
from napari_ae_denoise.lean_network import is_plain_chain
from napari_ae_denoise.storage import replacing

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.network_spec import NetworkSpec

_VERSION = "3.0.0"  # of Keras: the first whose files look so
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip archive cannot be without a time
_NAME = "autoencoder"


def save_keras(denoiser: Denoiser, path: Path) -> Path:
    """Write the network of a denoiser as a model file that Keras opens.

    Parameters
    ----------
    denoiser : Denoiser
        Of a network of style ``plain`` without skip connections, such as ``classic``.
    path : Path
        ``.h5``, for Keras 2 and 3, or ``.keras``, for Keras 3.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    DenoisingError
        If the network is of another style, the ending is another one, or the file cannot be
        written.

    Notes
    -----
    Keras sees grey values as they are, (N, Y, X, channels): map them first as the denoiser's card
    says. How grey values are mapped is not in the file. Beyond the edge of an image Keras sees
    zeros; a network that was trained to see the mirrored image there (``edge`` of its spec)
    differs near the edge.
    """
    ending = path.suffix.lower()
    if ending not in (".h5", ".keras"):
        raise DenoisingError(
            f'A Keras model cannot be saved with the ending "{path.suffix}".',
            "Use .h5 (Keras 2 and 3) or .keras (Keras 3).",
        )
    spec = denoiser.card.network
    if not is_plain_chain(spec):
        raise DenoisingError(
            f"The network (style {spec.style}, {'with' if spec.skips else 'without'} skips, code "
            f"{spec.code_activation or 'as it comes'}) has no counterpart in Keras's own layers.",
            "Export a plain chain of layers, such as the preset classic, or as ONNX.",
        )
    arrays = []
    for conv in convolutions(denoiser.network):
        arrays.append(conv.weight.detach().cpu().numpy().transpose(2, 3, 1, 0))  # (Y, X, in, out)
        assert conv.bias is not None
        arrays.append(conv.bias.detach().cpu().numpy())
    layers = _layers(spec)
    with replacing(path) as temporary:
        made = _hdf5(layers, arrays) if ending == ".h5" else _archive(layers, arrays)
        temporary.write_bytes(made)
    return path


def _layers(spec: NetworkSpec) -> list[tuple[str, dict[str, Any]]]:
    """Return class and settings of each layer, with those that both versions of Keras know."""
    widths = [*spec.widths[:-1], spec.code_width]
    made: list[tuple[str, dict[str, Any]]] = []

    def add(kind: str, name: str, **settings: Any) -> None:
        number = sum(kind == other for other, _ in made)
        made.append((kind, {"name": f"{name}_{number}" if number else name, **settings}))

    def conv(filters: int, activation: str) -> None:
        add(
            "Conv2D",
            "conv2d",
            filters=filters,
            kernel_size=[3, 3],
            strides=[1, 1],
            padding="same",
            data_format="channels_last",
            activation=activation,
            use_bias=True,
        )

    for width in widths:
        conv(width, "relu")
        add("MaxPooling2D", "max_pooling2d", pool_size=[2, 2], strides=[2, 2], padding="same")
    for width in reversed(widths):
        conv(width, "relu")
        add("UpSampling2D", "up_sampling2d", size=[2, 2], interpolation="nearest")
    conv(spec.channels, "sigmoid")
    return made


def _input_shape(layers: list[tuple[str, dict[str, Any]]]) -> list[int | None]:
    return [None, None, None, layers[-1][1]["filters"]]


def _names(layers: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [settings["name"] for kind, settings in layers if kind == "Conv2D"]


def _hdf5(layers: list[tuple[str, dict[str, Any]]], arrays: list[npt.NDArray[np.float32]]) -> bytes:
    """Return a file as Keras 2 wrote it; Keras 3 reads it too."""
    import h5py

    # both versions know this name for the shape of an InputLayer, Keras 3 as an old one
    start = {"name": "input_layer", "batch_input_shape": _input_shape(layers), "dtype": "float32"}
    records = [
        {"class_name": kind, "config": how} for kind, how in [("InputLayer", start), *layers]
    ]
    model = {"class_name": "Sequential", "config": {"name": _NAME, "layers": records}}
    store = io.BytesIO()
    with h5py.File(store, "w", track_order=False) as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [str(s["name"]).encode() for _, s in layers]
        weights.attrs["keras_version"], weights.attrs["backend"] = "2.15.0", "tensorflow"
        for _, settings in layers:
            group = weights.create_group(settings["name"])
            group.attrs["weight_names"] = np.array([], "S1")
        for number, name in enumerate(_names(layers)):
            parts = [f"{name}/kernel:0", f"{name}/bias:0"]
            for part, array in zip(parts, arrays[2 * number :], strict=False):
                weights[name].create_dataset(part, data=array, track_times=False)
            weights[name].attrs["weight_names"] = [part.encode() for part in parts]
    return store.getvalue()


def _archive(
    layers: list[tuple[str, dict[str, Any]]], arrays: list[npt.NDArray[np.float32]]
) -> bytes:
    """Return a file as Keras 3 writes it."""
    import h5py

    shape = {"name": "input_layer", "batch_shape": _input_shape(layers), "dtype": "float32"}
    records = [
        {"module": "keras.layers", "class_name": kind, "config": how, "registered_name": None}
        for kind, how in [("InputLayer", shape), *layers]
    ]
    model = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": _NAME, "layers": records, "build_input_shape": _input_shape(layers)},
        "registered_name": None,
        "build_config": {"input_shape": _input_shape(layers)},
    }
    store = io.BytesIO()
    with h5py.File(store, "w") as file:
        file.create_group("vars")
        for number, name in enumerate(_names(layers)):
            values = file.create_group(f"layers/{name}/vars")
            values.attrs["name"] = name
            for place, array in enumerate(arrays[2 * number : 2 * number + 2]):
                values.create_dataset(str(place), data=array, track_times=False)
    about = {"keras_version": _VERSION, "date_saved": now()[:19].replace("T", "@")}
    parts = {
        "metadata.json": json.dumps(about).encode(),
        "config.json": json.dumps(model).encode(),
        "model.weights.h5": store.getvalue(),
    }
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, blob in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), blob)
    return zipped.getvalue()
