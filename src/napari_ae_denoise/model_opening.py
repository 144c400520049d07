"""From a name or a file to a network and its card; nothing in the file is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_ae_denoise import bundled
from napari_ae_denoise.card import Card
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.keras import is_keras_file, load_keras
from napari_ae_denoise.interop.packages import AnotherFamily, is_package, read_package
from napari_ae_denoise.model_file import opened_model
from napari_ae_denoise.networks import ConvAutoencoder, build_empty
from napari_ae_denoise.storage import is_there

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_ae_denoise.interop.zoo_network import ZooNetwork

_LARGEST_NETWORK = 500_000_000  # parameters


def open_model(name_or_path: str | Path) -> tuple[ConvAutoencoder | ZooNetwork, Card]:
    """Open a bundled model by its name, or a model file; see `Denoiser.load`.

    Returns
    -------
    ConvAutoencoder or ZooNetwork
        The latter for a package of bioimage.io whose network is none of ours.
    Card

    Raises
    ------
    DenoisingError
        If it is no model file, is damaged, or is of a newer format.
    """
    path = Path(name_or_path)
    shipped = bundled.bundled_files()
    if str(name_or_path) in shipped:
        path = shipped[str(name_or_path)]
    elif not path.suffix and not is_there(path):
        raise DenoisingError(
            f'There is no bundled model "{name_or_path}", and no such file.',
            f"Give the path of a model file, or one of: {', '.join(shipped) or 'none'}.",
        )
    if is_keras_file(path):
        return load_keras(path)
    if is_package(path):
        try:
            tensors, record = read_package(path)
        except AnotherFamily as another:
            from napari_ae_denoise.interop.zoo import open_zoo_model

            return open_zoo_model(path, another.record)
        card = Card.from_record(record)
        shapes = {name: tuple(value.shape) for name, value in tensors.items()}
        network = _empty_network(path, card, shapes)
    else:
        with opened_model(path) as model:
            card = Card.from_record(model.card)
            network = _empty_network(path, card, model.shapes)
            tensors = model.tensors()
    weights = {name: value.to(torch.float32) for name, value in tensors.items()}
    network.load_state_dict(weights, assign=True)
    return network, card


def _empty_network(
    path: Path, card: Card, shapes: Mapping[str, tuple[int, ...]]
) -> ConvAutoencoder:
    """Return the network of a card without its weights, which take no memory yet.

    Raises
    ------
    DenoisingError
        If it would be too large, or the file holds other weights than it needs.
    """
    network = build_empty(card.network)
    if network.parameter_count > _LARGEST_NETWORK:
        raise DenoisingError(
            f"The network that {path} describes has {network.parameter_count / 1e6:.0f} million "
            f"weights, and at most {_LARGEST_NETWORK / 1e6:.0f} million are opened.",
            "Use a smaller network.",
        )
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    if expected != shapes:
        found = dict(shapes)
        wrong = sorted(n for n in expected | found if expected.get(n) != found.get(n))
        raise DenoisingError(
            f"The weights in {path} are not those of the network that its card describes "
            f"({len(wrong)} differ, first: {', '.join(wrong[:3])}).",
            "Copy the file again from its source, or train the model anew.",
        )
    return network
