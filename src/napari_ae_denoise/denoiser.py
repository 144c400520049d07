"""A denoiser: a network, how it maps grey values, and its card, ready to use."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_ae_denoise import bundled
from napari_ae_denoise.axes import as_array, is_dask
from napari_ae_denoise.card import Card
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.interop.keras import is_keras_file, load_keras
from napari_ae_denoise.interop.packages import is_package, read_package
from napari_ae_denoise.latent_side import LatentSide
from napari_ae_denoise.model_file import SUFFIX, opened_model, write_model
from napari_ae_denoise.networks import ConvAutoencoder, build_empty
from napari_ae_denoise.prediction import Prediction, TileProgress, predict
from napari_ae_denoise.resolving import NoiseModel, Resolved, resolve
from napari_ae_denoise.steps import drain, warned
from napari_ae_denoise.storage import is_there
from napari_ae_denoise.tile_runner import PredictSettings

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Mapping

    import numpy.typing as npt

    from napari_ae_denoise.result_folder import Destination

_LARGEST_NETWORK = 500_000_000  # parameters


class Denoiser(LatentSide):
    """A trained network, ready to denoise images.

    Parameters
    ----------
    network : ConvAutoencoder
        The trained network.
    card : Card
        What it is; its ``network`` is the network's spec.

    Attributes
    ----------
    network, card
        As given.
    """

    def __init__(self, network: ConvAutoencoder, card: Card) -> None:
        if network.spec != card.network:
            raise DenoisingError(
                f"The card describes another network ({card.network}) than the one given "
                f"({network.spec}).",
                "Give the card of this network.",
            )
        self.network = network.eval().requires_grad_(False)
        self.card = card

    def __repr__(self) -> str:
        """Name the model and its network."""
        spec = self.card.network
        return f"<Denoiser {self.card.name!r}: {spec.style}, {spec.channels} channel(s)>"

    @property
    def stride(self) -> int:
        """Input pixels per code pixel along Y and X."""
        return self.network.stride

    @property
    def halo(self) -> int:
        """Pixels of context that a tile needs on each side."""
        return self.network.halo

    # ---- files

    @classmethod
    def load(cls, name_or_path: str | Path) -> Denoiser:
        """Open a bundled model by its name, or a model file. Nothing in the file is run.

        Parameters
        ----------
        name_or_path : str or path-like
            A name in `bundled_models`, or the path of a ``.safetensors`` file, of a model that
            Keras saved, ``.h5`` or ``.keras``, of the tutorial's layout, or of a bioimage.io
            package, ``.zip``, whose network is one of ours.

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
            return cls(*load_keras(path))
        if is_package(path):
            tensors, record = read_package(path)
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
        return cls(network, card)

    def save(self, path: str | Path) -> Path:
        """Save as one file, whole or not at all.

        Parameters
        ----------
        path : path-like
            The ending ``.safetensors`` is added where there is none.

        Returns
        -------
        Path
            The file that was written.

        Raises
        ------
        DenoisingError
            If the file cannot be written.
        """
        path = Path(path)
        if path.name and path.suffix != SUFFIX:
            path = path.with_name(path.name + SUFFIX)
        write_model(path, self.network.state_dict(), self.card.to_record())
        return path

    def renamed(self, name: str) -> Denoiser:
        """Return the same denoiser under another name."""
        return Denoiser(self.network, replace(self.card, name=name))

    # ---- images

    def denoise(
        self,
        image: npt.ArrayLike,
        *,
        axes: str | None = None,
        tile: int | str = "auto",
        device: str = "auto",
        precision: str = "auto",
        strength: float = 1.0,
        dtype: npt.DTypeLike | None = None,
        noise_model: NoiseModel = "auto",
        to: str | Path | Destination | None = None,
        on_progress: Callable[[TileProgress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Any:
        """Denoise an image.

        Parameters
        ----------
        image : array
            Any real dtype; numpy, zarr or dask. It is not changed.
        axes : str, optional
            One letter per axis, such as ``"TZYX"``; guessed from the shape by default.
        tile : int or "auto"
            Pixels that a tile writes along Y and X. The result does not depend on it.
        device, precision : str
            Where and in which number type the network computes.
        strength : float
            From 0 (the image itself) to 1 (all of the denoising).
        dtype : dtype, optional
            Of the result; by default that of the image. Integers are rounded and clipped.
        noise_model : {"auto", "gaussian", "camera"}
            ``camera`` (Poisson-Gaussian): the noise is estimated from the image, levelled before
            the network, and the levelling is undone without bias. ``auto``: where the model was
            trained with synthetic noise, and that of the image grows with its grey values.
        to : path-like or Destination, optional
            Write to an OME-Zarr folder, tile by tile. After a stop or a crash the same call goes
            on where it was; see `to_disk.begin`.
        on_progress : callable, optional
            Called after each tile with a `TileProgress`. Not for dask arrays without ``to``.
        stop : threading.Event, optional
            Once set, no further tile is begun; pixels not reached keep their noisy values. Nothing
            is returned for an array on disk that was still being read.

        Returns
        -------
        array
            The image's shape. A dask array gives a dask array, computed when asked; ``to`` one
            that reads the result from disk, with NaN or the largest integer where unfinished.

        Raises
        ------
        DenoisingError
            If image, axes, settings and model do not fit.
        """
        settings = PredictSettings(
            tile, device, precision, strength, dtype, noise_model=noise_model
        )
        if to is not None:
            from napari_ae_denoise.to_disk import begin

            job = begin(self, image, to, axes=axes, settings=settings)
            return warned(drain(job.steps(stop=stop), on_progress)).array
        if is_dask(image):
            return self._lazily(image, axes, settings, code=False)
        steps = self.predict_steps(image, axes=axes, settings=settings, stop=stop)
        return warned(drain(steps, on_progress)).denoised

    def encode(
        self,
        image: npt.ArrayLike,
        *,
        axes: str | None = None,
        tile: int | str = "auto",
        device: str = "auto",
        precision: str = "auto",
        noise_model: NoiseModel = "auto",
        on_progress: Callable[[TileProgress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Any:
        """Return the latent code of an image; the parameters are those of `denoise`.

        Returns
        -------
        array
            (code channels, stack axes..., Y/stride, X/stride) float32, rounded up.
        """
        settings = PredictSettings(tile, device, precision, noise_model=noise_model)
        if is_dask(image):
            return self._lazily(image, axes, settings, code=True)
        steps = self.predict_steps(
            image, axes=axes, settings=settings, denoised=False, code=True, stop=stop
        )
        return warned(drain(steps, on_progress)).code

    def _lazily(
        self, image: Any, axes: str | None, settings: PredictSettings, *, code: bool
    ) -> Any:
        from napari_ae_denoise.lazy import predict_lazily

        seen = self.resolve(image, axes, settings.noise_model)
        for warning in seen.warnings:
            warnings.warn(warning, stacklevel=3)
        return predict_lazily(self.network, image, seen.layout, seen.maps, settings, code=code)

    def predict_steps(
        self,
        image: npt.ArrayLike,
        *,
        axes: str | None = None,
        settings: PredictSettings | None = None,
        denoised: bool = True,
        code: bool = False,
        stop: threading.Event | None = None,
    ) -> Generator[TileProgress, None, Prediction]:
        """Denoise and encode in one pass, tile by tile; the core of `denoise` and `encode`."""
        array = as_array(image)
        settings = settings or PredictSettings()
        seen = self.resolve(array, axes, settings.noise_model)
        prediction = yield from predict(
            self.network,
            array,
            seen.layout,
            seen.maps,
            settings,
            denoised=denoised,
            code=code,
            stop=stop,
        )
        return replace(prediction, remarks=seen.remarks, warnings=seen.warnings)

    def resolve(self, image: Any, axes: str | None, noise_model: NoiseModel = "auto") -> Resolved:
        """Return how this denoiser sees an image; see `resolve`.

        Raises
        ------
        DenoisingError
            See there.
        """
        return resolve(self.card, image, axes, noise_model)


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
