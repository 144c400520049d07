"""Packages of bioimage.io (``.zip``), opened without their library and without trust.

Nothing in a package is run, and nothing of it is written to the disk. Its members are looked at
before any is read: their names, how many there are, and how large they say they are; and no more
than that is read of one.
"""

from __future__ import annotations

import contextlib
import io
import lzma
import pickle
import stat
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import torch

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.archives import check_list
from napari_ae_denoise.model_file import model_from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

ATTACHMENT = "denoiser.safetensors"  # our own model file in a package that we write
_DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml")
_LARGEST_TEXT = 1024**2  # bytes of a member that may be packed as far as text can be
_LARGEST_DESCRIPTION = 96 * 1024  # bytes: yaml is read in about a second at that size
_LONGEST_NAME = 300  # characters
_LARGEST_MEMBER = 2 * 1024**3  # bytes
_MOST_MEMBERS = 1000
_MOST_UNPACKED = 200  # times as large as it is packed: text reaches 20
_MAKER = "napari_ae_denoise.interop.grey_values", "from_records"
_OURS = "network.py", "network"  # file and callable, in packages that we write
_PREFIX = "between.network."
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    RuntimeError,  # and its subclasses, such as that of what a library has left out
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)


class AnotherFamily(DenoisingError):
    """The network of a package is none of ours.

    Attributes
    ----------
    record : dict
        The package's description, as it was read.
    """

    record: dict[str, Any]


def is_package(path: Path) -> bool:
    """Return whether a file is meant to be a package of bioimage.io: by its ending."""
    return path.suffix.lower() == ".zip"


def read_package(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the weights and the card of a package whose network is one of ours.

    Parameters
    ----------
    path : Path
        A package that `save_package` wrote; or another whose PyTorch weights are for a network
        that ``napari_ae_denoise.interop.grey_values.from_records`` builds.

    Returns
    -------
    tensors : dict of str to Tensor
    card : dict

    Raises
    ------
    AnotherFamily
        If its network is another one.
    DenoisingError
        If it is no package, or is damaged or unsafe.
    """
    with _opened(path) as archive:
        names = archive.namelist()
        described = next((name for name in _DESCRIPTIONS if name in names), None)
        if described is None:
            raise _not_opened(path, f"it holds no {' or '.join(_DESCRIPTIONS)}")
        text = _read(archive, described, _LARGEST_DESCRIPTION)
        if ATTACHMENT in names:
            blob = _read(archive, ATTACHMENT, _LARGEST_MEMBER)
            return model_from_bytes(path / ATTACHMENT, blob)
        return _from_description(path, archive, _parsed(text))


def read_member(path: Path, name: str) -> bytes:
    """Return a member of a package by its name.

    Raises
    ------
    DenoisingError
        If it is not there, or the package is damaged or unsafe.
    """
    with _opened(path) as archive:
        return _read(archive, name, _LARGEST_MEMBER)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a package whose members mean no harm; what goes wrong inside is a sentence."""
    try:
        if not path.is_file():  # to open a pipe would wait for somebody to write into it
            raise FileNotFoundError
        with path.open("rb") as file:
            check_list(file)
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            yield archive
    except DenoisingError:
        raise
    except FileNotFoundError as error:
        raise DenoisingError(
            f"There is no model file {path}.", "Check the path, or choose the file again."
        ) from error
    except _FAULTS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise _not_opened(path, reason) from error


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse archives that are made to do harm, before any of it is read."""
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise _not_opened(path, f"it has {len(members)} members")
    seen: set[str] = set()
    for member in members:
        name = member.orig_filename
        plain = PurePosixPath(name)
        if plain.is_absolute() or ".." in plain.parts or "\\" in name or ":" in name:
            raise _not_opened(path, f'its member "{name}" lies outside of it')
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _not_opened(path, f'its member "{name}" is a link')
        if name.casefold() in seen:
            raise _not_opened(path, f'it holds "{name}" twice')
        seen.add(name.casefold())
        unpacked = member.file_size / max(member.compress_size, 1)
        if member.file_size > _LARGEST_MEMBER or (
            member.file_size > _LARGEST_TEXT and unpacked > _MOST_UNPACKED
        ):
            raise _not_opened(
                path, f'its member "{name}" would be {member.file_size / 1024**2:.3g} MiB large'
            )


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a member, which is as large as the archive says and no larger than it may be."""
    with archive.open(name) as member:
        blob = member.read(most + 1)
    if len(blob) > most:
        raise ValueError(f'its member "{name}" is larger than {most / 1024**2:.0f} MiB')
    return blob


def _parsed(text: bytes) -> dict[str, Any]:
    import yaml

    class Plain(yaml.SafeLoader):
        """Reads yaml without aliases, a few of which make endless text."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("its description refers to itself")
            return super().compose_node(parent, index)

    try:
        record = yaml.load(text, Plain)
    except yaml.YAMLError as error:
        raise ValueError("its description is no yaml") from error
    if not isinstance(record, dict):
        raise ValueError("its description is no record")
    return record


def _from_description(
    path: Path, archive: zipfile.ZipFile, record: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read PyTorch weights, if they are for a network that we build."""
    weights = record.get("weights", {}).get("pytorch_state_dict")
    if not isinstance(weights, dict):
        raise _another(path, record, "it has no PyTorch weights")
    architecture = weights.get("architecture", {})
    made_by = architecture.get("import_from"), architecture.get("callable")
    file = str(architecture.get("source", "")).rsplit("/", 1)[-1], architecture.get("callable")
    kwargs = architecture.get("kwargs")
    if (made_by != _MAKER and file != _OURS) or not isinstance(kwargs, dict):
        raise _another(path, record, f'its network is "{architecture.get("callable", "unknown")}"')
    tensors = _tensors(_read(archive, str(weights["source"]), _LARGEST_MEMBER))
    card = {
        "network": kwargs["network"],
        "normalization": kwargs["normalization"],
        "name": model_name(path, record),
        "description": str(record.get("description", "")),
        "licence": str(record.get("license") or ""),
    }
    return tensors, card


def _tensors(blob: bytes) -> dict[str, Tensor]:
    """Return PyTorch weights, of which a file of this size can hold the numbers."""
    if zipfile.is_zipfile(io.BytesIO(blob)):
        with zipfile.ZipFile(io.BytesIO(blob)) as inside:
            if sum(member.file_size for member in inside.infolist()) > len(blob):
                raise ValueError("its weights are packed")  # PyTorch never does
    try:  # only tensors: torch refuses whatever else a pickle could hold
        state = torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError("its weights are not just numbers, and could run code") from error
    tensors = {str(name).removeprefix(_PREFIX): value for name, value in state.items()}
    for name, value in tensors.items():
        if not isinstance(value, torch.Tensor):
            raise ValueError(f'its weights "{name}" are no numbers')
    if sum(value.numel() * value.element_size() for value in tensors.values()) > len(blob):
        raise ValueError("its weights are more numbers than it holds")
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ValueError(f'its weights "{name}" are not all finite numbers')
    return tensors


def model_name(path: Path, record: dict[str, Any]) -> str:
    """Return what a package calls its model, or its file's name where that is no text."""
    name = record.get("name")
    return name[:_LONGEST_NAME] if isinstance(name, str) else path.stem


def _not_opened(path: Path, reason: str) -> DenoisingError:
    return DenoisingError(
        f"{path} is not a bioimage.io package that can be opened: {reason}.",
        "Choose a package of a denoising model, or copy it again from its source.",
    )


def _another(path: Path, record: dict[str, Any], reason: str) -> AnotherFamily:
    name = model_name(path, record)
    made = AnotherFamily(
        f'The model "{name}" in {path} is not of this package\'s family: {reason}.',
        "Run it with bioimageio.core, or choose a package that napari-ae-denoise wrote.",
    )
    made.record = record
    return made
