"""Keras's model files, ``.h5`` and ``.keras``, read without Keras and without trust.

Nothing in a file is run: its configuration is taken as text, its weights as numbers. Shapes and
sizes are known before anything is allocated for them.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import stat
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.archives import read_archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

ENDINGS = (".h5", ".hdf5", ".keras")
CONTAINERS = ("Sequential", "Functional", "Model")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_LARGEST_FILE = 1024**3  # bytes
_LARGEST_TEXT = 4 * 1024**2  # bytes of configuration
_LARGEST_CHUNK = 2**22  # numbers: a chunk is read whole
_MOST_NAMES = 256  # of layers
_WEIGHTS, _CONFIG, _ABOUT = "model.weights.h5", "config.json", "metadata.json"
_LISTS = ("layers", "_layer_checkpoint_dependencies")  # where .keras files keep layers, by version
# What h5py, zipfile and json raise for files that are not what they seem.
_FAULTS = (
    OSError,
    RuntimeError,  # and its subclasses, such as that of what a library has left out
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of a known shape.

    Parameters
    ----------
    name : str
        Where they stand in the file.
    shape : tuple of int
    dataset : h5py.Dataset, ndarray or None
        What holds the numbers: of an open file, not read yet; or read; or None where only the
        shape is needed.
    """

    name: str
    shape: tuple[int, ...]
    dataset: Any

    def read(self) -> npt.NDArray[np.float32]:
        """Return the numbers, all finite."""
        values = np.asarray(self.dataset[()], np.float32)
        if not np.isfinite(values).all():
            raise ValueError(f'the weights "{self.name}" are not all finite')
        return values


@dataclass(frozen=True, slots=True)
class KerasModel:
    """What a model file of Keras says.

    Parameters
    ----------
    config : dict
        The model: ``class_name``, ``config``.
    weights : list of Weights
        In the order of the layers; of each convolution kernel and bias.
    version : str
        Of the Keras that wrote it.
    size : int
        Bytes that the weights can have at most, by the length of the file.
    """

    config: dict[str, Any]
    weights: list[Weights]
    version: str
    size: int


def is_keras_file(path: Path) -> bool:
    """Return whether a file is meant to be one of Keras: by its ending, or as an HDF5 file."""
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_HDF5)) == _HDF5
    except OSError:
        return False


@contextlib.contextmanager
def opened(path: Path) -> Iterator[KerasModel]:
    """Open a model file; its weights can be read as long as it is open.

    Raises
    ------
    DenoisingError
        If it is missing, empty, truncated, damaged, or no model file of Keras; whatever goes
        wrong in reading its weights included.
    """
    with refusing(path):
        start = check_start(path)
        if start == _HDF5:
            with _hdf5(path) as file:
                yield _from_hdf5(file, path.stat().st_size)
        else:
            parts = read_archive(
                path, {_CONFIG: _LARGEST_TEXT, _ABOUT: _LARGEST_TEXT, _WEIGHTS: _LARGEST_FILE}
            )
            blob = parts[_WEIGHTS]
            with _hdf5(io.BytesIO(blob)) as file:
                yield _from_archive(file, parts, len(blob))


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a file that is not what it seems into its refusal."""
    try:
        yield
    except DenoisingError:
        raise
    except (*_FAULTS, MemoryError, RecursionError) as error:
        raise not_opened(path, _reason(error)) from error


def not_opened(path: Path, reason: str, remedy: str = "") -> DenoisingError:
    """Return the refusal of a file."""
    return DenoisingError(
        f"{path} cannot be opened as a Keras model: {reason}.",
        remedy or "Save the whole model again by model.save, or copy the file again.",
    )


def _reason(error: BaseException) -> str:
    said = " ".join(str(error).split()).rstrip(".")
    return said or type(error).__name__


def check_start(path: Path) -> bytes:
    """Return by which of the two known signs the file begins.

    Raises
    ------
    DenoisingError
        If there is no file, or it is neither of the two.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # opening a pipe would wait for its other end
            raise not_opened(path, "it is a folder, or no file on a disk")
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
    except FileNotFoundError as error:
        raise DenoisingError(
            f"There is no model file {path}.", "Check the path, or choose the file again."
        ) from error
    size = about.st_size
    if size > _LARGEST_FILE:
        raise not_opened(path, f"it is {size / 1024**3:.1f} GiB large")
    if size == 0:
        raise not_opened(path, "it is empty")
    if start == _HDF5:
        return _HDF5
    if start.startswith(_ZIP):
        return _ZIP
    raise not_opened(path, "it is neither an HDF5 file (.h5) nor a zip archive (.keras)")


def _hdf5(source: Path | io.BytesIO) -> Any:
    import h5py

    return h5py.File(source, "r")


def _record(text: Any, what: str) -> dict[str, Any]:
    """Return a record in json, of a bounded size."""
    if not isinstance(text, str | bytes) or len(text) > _LARGEST_TEXT:
        raise ValueError(f"its {what} is no text, or too long")
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError(f"its {what} is no record")
    return record


# ---- .h5: the attribute model_config, and a group of weights per layer


def _from_hdf5(file: Any, size: int) -> KerasModel:
    if "model_config" not in file.attrs:
        alone = "layer_names" in file.attrs or "layers" in file
        what = "weights alone, without the network" if alone else "no network (model_config)"
        raise ValueError(f"it holds {what}")
    config = _record(_attribute(file, "model_config", 1), "configuration")
    store = _group(file, "model_weights")
    weights = []
    for layer in _names(store, "layer_names"):
        group = _group(store, layer)
        weights += [_dataset(group, name) for name in _names(group, "weight_names")]
    version = file.attrs.get("keras_version", "")
    return KerasModel(config, weights, str(version)[:40], size)


def _names(group: Any, attribute: str) -> list[str]:
    """Return the names that an attribute lists."""
    names = np.asarray(_attribute(group, attribute, _MOST_NAMES)).ravel().tolist()
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names]


def _attribute(group: Any, name: str, most: int) -> Any:
    """Return an attribute of so many values at most, whose size is known before it is read."""
    if name not in group.attrs:
        raise ValueError(f'its group "{group.name}" lists no {name}')
    stored = group.attrs.get_id(name)
    count, each = stored.get_space().get_simple_extent_npoints(), stored.get_type().get_size()
    # texts of any length may all be one and the same long text: their number bounds the memory
    if count > most or count * each > _LARGEST_TEXT:
        raise ValueError(f'its group "{group.name}" lists too many {name}')
    return group.attrs[name]


# ---- .keras: config.json, and weights by the class of each layer and its number among its like


def _from_archive(file: Any, text: dict[str, bytes], size: int) -> KerasModel:
    config = _record(text[_CONFIG], _CONFIG)
    version = _record(text[_ABOUT], _ABOUT).get("keras_version", "")
    return KerasModel(config, list(_in_container(file, config, 0)), str(version)[:40], size)


def _in_container(group: Any, model: dict[str, Any], depth: int) -> Iterator[Weights]:
    if depth > 4:
        raise ValueError("its models are nested too deeply")
    where = next((name for name in _LISTS if name in group), None)
    if where is None:
        raise ValueError(f'its group "{group.name}" holds no layers')
    layers, counts = _group(group, where), dict[str, int]()
    for layer in model["config"]["layers"]:
        kind = str(layer["class_name"])
        number = counts[kind] = counts.get(kind, -1) + 1
        name = "functional" if kind == "Model" else kind.lower()
        name = f"{name}_{number}" if number else name
        if kind in CONTAINERS:
            yield from _in_container(_group(layers, name), layer, depth + 1)
        elif kind == "Conv2D":
            values = _group(_group(layers, name), "vars")
            yield from (_dataset(values, str(place)) for place in range(len(values)))


# ---- what both have in common


def _group(parent: Any, name: str) -> Any:
    import h5py

    found = _own(parent, name)
    if not isinstance(found, h5py.Group):
        raise ValueError(f'its "{name}" is no group')
    return found


def _dataset(parent: Any, path: str) -> Weights:
    import h5py

    found = parent
    for part in path.split("/"):
        found = _own(found, part)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f'its "{path}" is no array')
    if found.external or found.is_virtual:
        raise ValueError(f'the numbers of its "{path}" lie in other files, which are not opened')
    if found.dtype.kind != "f" or found.dtype.itemsize > 8 or found.shape is None:
        raise ValueError(f'its "{path}" holds no numbers, but {found.dtype}')
    if found.id.get_create_plist().get_nfilters():  # a filter is a program, or a bomb
        raise ValueError(f'the numbers of its "{path}" are compressed, which Keras does not do')
    if found.chunks is not None and math.prod(found.chunks) > _LARGEST_CHUNK:
        raise ValueError(f'its "{path}" is stored in pieces of {found.chunks} numbers')
    return Weights(path, found.shape, found)


def _own(parent: Any, name: str) -> Any:
    """Return a member of a group; links that could lead out of the file are not followed."""
    import h5py

    if not name or name in (".", "..") or name not in parent:
        raise ValueError(f'its group "{parent.name}" holds no "{name}"')
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f'its "{name}" is a link, which is not followed')
    return parent[name]
