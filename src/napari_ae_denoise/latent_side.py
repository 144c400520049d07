"""What a denoiser does with codes: from an image to one and back, drawn codes, their variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import as_array, is_dask
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.latent import decode
from napari_ae_denoise.plain_numbers import as_given, is_whole
from napari_ae_denoise.prediction import Prediction, TileProgress, predict
from napari_ae_denoise.resolving import Resolved, resolve
from napari_ae_denoise.steps import drain, warned
from napari_ae_denoise.subsampled_network import subsampled
from napari_ae_denoise.tile_runner import PredictSettings

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari_ae_denoise.card import Card
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.networks import ConvAutoencoder
    from napari_ae_denoise.noise_correlation import Correlated
    from napari_ae_denoise.resolving import NoiseModel
    from napari_ae_denoise.result_folder import Destination

_DRAWN = (64, 64)  # pixels of a drawn image, where no size is asked for
_MOST_DRAWN = 100_000


class LatentSide:
    """The side of a `Denoiser` that has to do with codes."""

    network: ConvAutoencoder
    card: Card

    def check_own(self, what: str) -> None:
        """Refuse what only networks of our own can, such as ``"exported"``; see `ZooDenoiser`."""

    def network_for(self, seen: Resolved) -> ConvAutoencoder:
        """Return the network for images that are seen so: `network`, or it in two passes."""
        return subsampled(self.network, seen.steps)

    def encode(
        self,
        image: npt.ArrayLike,
        *,
        axes: str | None = None,
        tile: int | str = "auto",
        device: str = "auto",
        precision: str = "auto",
        noise_model: NoiseModel = "auto",
        correlated: Correlated = "auto",
        to: str | Path | Destination | None = None,
        on_progress: Callable[[TileProgress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Any:
        """Return the latent code of an image.

        The parameters are those of the same names of `denoise`.

        Returns
        -------
        array
            (code channels, stack axes..., Y/stride, X/stride) float32, rounded up. With ``to`` a
            dask array that reads it from disk, with NaN where unfinished. The folder is an
            OME-Zarr image whose channels are the units of the code; see `CodeOnDisk`.

        Raises
        ------
        DenoisingError
            If image, axes, settings and model do not fit.
        """
        own = cast("Denoiser", self)
        settings = PredictSettings(
            tile, device, precision, noise_model=noise_model, correlated=correlated
        )
        if to is not None:
            from napari_ae_denoise.to_disk import begin

            job = begin(own, image, to, axes=axes, settings=settings, code=True)
            return warned(drain(job.steps(stop=stop), on_progress)).array
        how: Any = {"axes": axes, "settings": settings, "denoised": False, "code": True}
        if is_dask(image):
            return warned(own.predict_lazily(image, **how)).code
        steps = own.predict_steps(image, **how, stop=stop)
        return warned(drain(steps, on_progress)).code

    def decode(
        self,
        code: npt.ArrayLike,
        *,
        like: Any = None,
        axes: str | None = None,
        device: str = "auto",
        noise_model: NoiseModel = "auto",
        correlated: Correlated = "auto",
    ) -> npt.NDArray[Any]:
        """Make an image from a latent code, ``r = g(h)``.

        Parameters
        ----------
        code : array
            (code channels, stack axes..., Y/stride, X/stride), as `encode` returns it.
        like : array, optional
            The image that the code came from: gives the result its size, dtype and grey values,
            and the pixels that are NaN or infinite.
            Without it the result is float32 in the model's own units (0 to 1, or those of its
            fixed normalization).
        axes : str, optional
            Axes of ``like``.
        device : str
            See `choose_device`.
        noise_model : {"auto", "gaussian", "camera"}
            That of `encode`: how the grey values of ``like`` were mapped.
        correlated : {"auto", "none", "y", "x", "xy"}
            That of `encode`, too.

        Returns
        -------
        ndarray
            As ``like``; without it (stack axes..., Y, X), for colours (stack axes..., C, Y, X).

        Raises
        ------
        DenoisingError
            If the network has skip connections, or the code is not of this network.

        Notes
        -----
        ``decode(encode(x), like=x)`` is ``denoise(x)``, all with one ``noise_model`` and one
        ``correlated``, but for the ``halo`` pixels at the edge: beyond it `denoise` mirrors the
        image, and this the code, for it has nothing else.
        """
        like = None if like is None else as_array(like)
        seen = None if like is None else resolve(self.card, like, axes, noise_model, correlated)
        values = np.asarray(code, np.float32)
        return decode(self.network, values, device=device, like=like, seen=seen)

    def sample(
        self,
        n: int,
        seed: int = 0,
        *,
        size: tuple[int, int] | None = None,
        device: str = "auto",
    ) -> npt.NDArray[np.float32]:
        """Draw images from a variational network: codes from the unit Gaussian, decoded.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            The same seed gives the same images.
        size : tuple of int, optional
            (Y, X) in pixels; by default 64 x 64. A fully-connected network has a size of its own.
            A convolutional one draws every place by itself: textures, not things.
        device : str
            See `choose_device`.

        Returns
        -------
        ndarray
            (n, Y, X) float32, for colours (n, C, Y, X), in the model's own units.

        Raises
        ------
        DenoisingError
            If the network is not variational, or numbers make no sense.
        """
        spec, stride = self.network.spec, self.network.stride
        if not spec.variational:
            raise DenoisingError(
                "Only a variational network can draw images: the codes of this one have no known "
                "distribution.",
                'Train one of the kind "variational".',
            )
        if not (is_whole(n) and 0 < n <= _MOST_DRAWN):
            raise DenoisingError(
                f"{n!r} images cannot be drawn.", f"Give a whole number from 1 to {_MOST_DRAWN}."
            )
        if not (is_whole(seed) and seed >= 0):
            raise DenoisingError(
                f"No images can be drawn with the seed {as_given(seed)}.",
                "Give a whole number that is not negative.",
            )
        if size is not None:
            _check_size(size)
            spec.check_plane(size)
        height, width = size or spec.image_size or _DRAWN
        grid = (-(-height // stride), -(-width // stride))
        rng = np.random.default_rng(seed)
        code = rng.standard_normal((spec.code_width, n, *grid), dtype=np.float32)
        return self.decode(code, device=device)[..., :height, :width]

    def encode_variance(
        self,
        image: npt.ArrayLike,
        *,
        axes: str | None = None,
        tile: int | str = "auto",
        device: str = "auto",
        precision: str = "auto",
    ) -> npt.NDArray[np.float32]:
        """Return the variance of a variational network's code; `encode` gives its mean.

        Parameters
        ----------
        image, axes, tile, device, precision
            See `encode`; a dask array is read into memory.

        Returns
        -------
        ndarray
            (code channels, stack axes..., Y/stride, X/stride) float32: near 0 where the image
            decides a unit, near 1 where it says nothing about it.

        Raises
        ------
        DenoisingError
            If the network is not variational, or the image does not fit.
        """
        settings = PredictSettings(tile, device, precision)
        return np.asarray(drain(self.variance_steps(image, axes=axes, settings=settings)).code)

    def variance_steps(
        self,
        image: npt.ArrayLike,
        *,
        axes: str | None = None,
        settings: PredictSettings | None = None,
        stop: threading.Event | None = None,
    ) -> Generator[TileProgress, None, Prediction]:
        """Encode the variance tile by tile; the core of `encode_variance`."""
        if not self.network.spec.variational:
            raise DenoisingError(
                "The code of this network has no variance.",
                'Train a network of the kind "variational", or ask for the code alone.',
            )
        array = as_array(image)
        settings = settings or PredictSettings()
        seen = resolve(self.card, array, axes, settings.noise_model, settings.correlated)
        network = self.network_for(seen).variance_encoder()
        steps = predict(
            network, array, seen.layout, seen.maps, settings, denoised=False, code=True, stop=stop
        )
        return (yield from steps)


def _check_size(size: Any) -> None:
    """Refuse what is no (Y, X) of an image."""
    two = isinstance(size, tuple | list) and len(size) == 2
    if not (two and all(is_whole(side) and side > 0 for side in size)):
        raise DenoisingError(
            f"No images of the size {size!r} can be drawn.",
            "Give (Y, X), two whole numbers above 0.",
        )
