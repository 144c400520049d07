"""A denoiser: a network, how it maps grey values, and its card, ready to use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from napari_ae_denoise.axes import as_array, is_dask
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.latent_side import LatentSide
from napari_ae_denoise.model_file import SUFFIX, write_model
from napari_ae_denoise.model_opening import open_model
from napari_ae_denoise.networks import ConvAutoencoder
from napari_ae_denoise.prediction import Prediction, TileProgress, predict
from napari_ae_denoise.resolving import NoiseModel, Resolved, resolve
from napari_ae_denoise.steps import Stopped, drain, warned
from napari_ae_denoise.tile_runner import PredictSettings
from napari_ae_denoise.window_reader import naming_faults

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator

    import numpy.typing as npt

    from napari_ae_denoise.card import Card
    from napari_ae_denoise.lazy import LazyPrediction
    from napari_ae_denoise.noise_correlation import Correlated
    from napari_ae_denoise.result_folder import Destination


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
            Keras saved, ``.h5`` or ``.keras``, or of a bioimage.io package, ``.zip``.

        Raises
        ------
        DenoisingError
            If it is no model file, is damaged, or is of a newer format or another kind.
        """
        network, card = open_model(name_or_path)
        if not isinstance(network, ConvAutoencoder):
            from napari_ae_denoise.interop.zoo import ZooDenoiser

            return ZooDenoiser(cast("ConvAutoencoder", network), card)
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
        self.check_own("saved")
        path = Path(path)
        if path.name and path.suffix != SUFFIX:
            path = path.with_name(path.name + SUFFIX)
        write_model(path, self.network.state_dict(), self.card.to_record())
        return path

    def renamed(self, name: str) -> Denoiser:
        """Return the same denoiser under another name."""
        return type(self)(self.network, replace(self.card, name=name))

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
        correlated: Correlated = "auto",
        orientations: int = 1,
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
        device : str
            ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; see `choose_device`.
        precision : {"auto", "float32", "bfloat16", "float16"}
            In which number type the network computes; see `choose_precision`.
        strength : float
            From 0 (the image itself) to 1 (all of the denoising).
        dtype : dtype, optional
            Of the result; by default that of the image. Integers are rounded and clipped.
        noise_model : {"auto", "gaussian", "camera"}
            ``camera`` (Poisson-Gaussian): it is estimated from the image, levelled, and the
            levelling undone without bias. ``auto``: where the image shows it; see `resolve`.
        correlated : {"auto", "none", "y", "x", "xy"}
            Axes along which neighbours share their noise, as after scaling: every second pixel
            is denoised apart, then the whole. ``auto``: where it is plain to see.
        orientations : {1, 8}
            8: turned and mirrored as well, and averaged. About 0.1 dB better, 8 times as long.
        to : path-like or Destination, optional
            OME-Zarr folder to fill; after a stop the same call goes on: see `to_disk.begin`.
        on_progress : callable, optional
            Called after each tile with a `TileProgress`. Not for dask arrays without ``to``.
        stop : threading.Event, optional
            Once set, no tile is begun; pixels not reached keep their noisy values. Nothing is
            returned for an array on disk that was still being read.

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
        how = False, noise_model, correlated, orientations
        settings = PredictSettings(tile, device, precision, strength, dtype, *how)
        if to is not None:
            from napari_ae_denoise.to_disk import begin

            try:
                job = begin(self, image, to, axes=axes, settings=settings, stop=stop)
            except Stopped:
                return None
            return warned(drain(job.steps(stop=stop), on_progress)).array
        if is_dask(image):
            return warned(self.predict_lazily(image, axes=axes, settings=settings)).denoised
        steps = self.predict_steps(image, axes=axes, settings=settings, stop=stop)
        return warned(drain(steps, on_progress)).denoised

    def predict_lazily(
        self,
        image: Any,
        *,
        axes: str | None = None,
        settings: PredictSettings | None = None,
        denoised: bool = True,
        code: bool = False,
        seen: Resolved | None = None,
    ) -> LazyPrediction:
        """Denoise and encode a dask array lazily; the core of `denoise` and `encode` for these.

        Parameters
        ----------
        image : dask array
            Of it one bounded sample is read, for both results.
        axes, settings
            See `predict_steps`.
        denoised, code : bool
            What to make.
        seen : Resolved, optional
            What `resolve` gave, if it was asked before: nothing is read then.

        Returns
        -------
        LazyPrediction
            With the record of how grey values are mapped.
        """
        from napari_ae_denoise.lazy import LazyPrediction, check_dask, predict_lazily

        check_dask(image)
        settings = settings or PredictSettings()
        seen = seen or self.resolve(image, axes, settings.noise_model, settings.correlated)
        how = self.network_for(seen), image, seen.layout, seen.maps, settings
        made, codes = (
            predict_lazily(*how, code=is_code) if wanted else None
            for is_code, wanted in ((False, denoised), (True, code))
        )
        return LazyPrediction(made, codes, seen)

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
        """Denoise and encode in one pass, tile by tile; the core of `denoise` and `encode`.

        Parameters
        ----------
        image : array
            Any real dtype; numpy, zarr or dask. It is not changed.
        axes : str, optional
            One letter per axis; guessed from the shape by default.
        settings : PredictSettings, optional
            How to run the network.
        denoised, code : bool
            What to make.
        stop : threading.Event, optional
            Once set, no tile is begun; the prediction holds what was made until then.

        Yields
        ------
        TileProgress
            After each tile.

        Returns
        -------
        Prediction
            With what was found in the image, and how its grey values were mapped.

        Raises
        ------
        DenoisingError
            If image, axes, settings and model do not fit. A tile that cannot be made raises a
            `TileError`, with the prediction so far, where others were made before it.
        """
        array = as_array(image)
        settings = settings or PredictSettings()
        try:
            named = naming_faults(array, stop)
            seen = self.resolve(named, axes, settings.noise_model, settings.correlated)
        except Stopped:
            return Prediction(None, None, None, 0, 0.0, 0.0)
        prediction = yield from predict(
            self.network_for(seen),
            array,
            seen.layout,
            seen.maps,
            settings,
            denoised=denoised,
            code=code,
            stop=stop,
        )
        return replace(
            prediction,
            remarks=seen.remarks,
            warnings=seen.warnings,
            normalization=seen.normalization,
            steps=seen.steps,
        )

    def resolve(
        self,
        image: Any,
        axes: str | None,
        noise_model: NoiseModel = "auto",
        correlated: Correlated = "auto",
    ) -> Resolved:
        """Return how this denoiser sees an image; see `resolve`."""
        return resolve(self.card, image, axes, noise_model, correlated)
