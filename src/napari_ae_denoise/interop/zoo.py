"""Packages of bioimage.io whose network is none of ours: denoised with as any other model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.packages import read_member
from napari_ae_denoise.interop.zoo_description import zoo_facts
from napari_ae_denoise.interop.zoo_network import ZooNetwork, no_code

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_ae_denoise.lazy import LazyPrediction
    from napari_ae_denoise.prediction import Prediction, TileProgress
    from napari_ae_denoise.resolving import Resolved


class ZooDenoiser(Denoiser):
    """A model of another family, from a package of bioimage.io.

    It denoises as any other: in memory, lazily, to disk, on a cluster. It has no latent code, and
    can be neither saved nor exported nor trained further.
    """

    def check_own(self, what: str) -> None:
        """Refuse what only networks of our own can."""
        raise DenoisingError(
            f'The model "{self.card.name}" is of another family than this package\'s, and cannot '
            f"be {what}.",
            "Use its package as it is, or choose another model.",
        )

    def network_for(self, seen: Resolved) -> Any:
        """Return the network; it sees every pixel at once."""
        if seen.steps != (1, 1):
            raise DenoisingError(
                "Noise that neighbouring pixels share is treated with models of this package only.",
                'Leave correlated at "auto", or choose another model.',
            )
        return self.network

    def encode(self, *_image: Any, **_how: Any) -> NoReturn:
        """Refuse: it has no code."""
        raise no_code()

    decode = encode

    def predict_steps(
        self, image: Any, *, code: bool = False, **how: Any
    ) -> Generator[TileProgress, None, Prediction]:
        """Denoise tile by tile; see `Denoiser.predict_steps`."""
        if code:
            raise no_code()
        return (yield from super().predict_steps(image, **how))

    def predict_lazily(self, image: Any, *, code: bool = False, **how: Any) -> LazyPrediction:
        """Denoise a dask array; see `Denoiser.predict_lazily`."""
        if code:
            raise no_code()
        return super().predict_lazily(image, **how)


def open_zoo_model(path: Path, record: dict[str, Any]) -> tuple[ZooNetwork, Card]:
    """Open a package whose network is none of ours.

    Parameters
    ----------
    path : Path
        The package, whose members were found harmless.
    record : dict
        Its description.

    Raises
    ------
    DenoisingError
        If what it needs is not installed, or it cannot be run plane by plane; says why.
    """
    facts = zoo_facts(path, record)
    network = ZooNetwork(facts, read_member(path, facts.weights))
    card = Card(
        network=network.spec,
        normalization=facts.normalization,
        name=facts.name,
        description=facts.description,
        objective="",
        noise="",
        licence=facts.licence,
        axes="YXC" if facts.channels > 1 else "YX",
    )
    return network, card
