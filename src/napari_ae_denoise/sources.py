"""Images to train on, with how their grey values are mapped at each noise level."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.axes import is_rgb
from napari_ae_denoise.camera_noise import CameraNoise, camera_noise_from
from napari_ae_denoise.channel_noise import ChannelNoise, channel_noise
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.grey_map import GreyMap
from napari_ae_denoise.noise_level import details_and_means, sigma_from
from napari_ae_denoise.normalization import (
    Normalization,
    channel_groups,
    of_plane,
    read_sample,
    sample_values,
)
from napari_ae_denoise.steps import look_for_stop
from napari_ae_denoise.training_noise import BRIGHTEST, NoiseKind, unit_noise

if TYPE_CHECKING:
    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.training_data import Array

_SIGMA_LEVELS = 17  # noise levels at which an image's grey map is measured; between, interpolated
_FEW = 4096  # grey values that a map by percentiles is measured on
_SEED = 0x5EED
_DARK_AND_BRIGHT = (0.5, 99.5)  # percentiles between which noise of cameras grows
_AROUND = 1.5  # pixels: standard deviation of the mean that the noise of a pixel is told by
_BRIGHT = 0.999  # quantile of the grey values that is looked at for photons
# Measured on micrographs, learned from alone for 600 steps, recorruption against the blind spot, in
# dB: 50 photons 36.8 : 35.6; 10 photons 35.2 : 36.1; 9 photons 27.9 : 30.1.
_MANY_PHOTONS = 25
_MOST_NOISE = 10  # data ranges of an image: beyond, the unit must be a mistake


class Greys:
    """How the grey values of an image, or of one channel of it, are mapped at each noise level."""

    def __init__(
        self,
        noisy: npt.NDArray[Any] | None,
        clean: npt.NDArray[Any],
        normalization: Normalization,
        sigma: tuple[float, float],
        relative: bool,
        noise: NoiseKind,
        clip: bool = False,
    ) -> None:
        finite = clean[np.isfinite(clean)].astype(np.float64)
        normalization.of_values(finite)  # says what is wrong with constant and all-NaN images
        span = float(finite.max() - finite.min())
        self.psnr_range = 255.0 if clean.dtype == np.uint8 else span
        self.sigma_unit = span if relative else 1.0  # grey values
        self.limits = float(finite.min()), float(finite.max())
        self._noise = noise
        self._dark, bright = (float(v) for v in np.percentile(finite, _DARK_AND_BRIGHT))
        self._contrast = bright - self._dark or span
        if noisy is None and sigma[1] * self.sigma_unit > _MOST_NOISE * span:
            raise DenoisingError(
                f"Noise of sigma {sigma[1] * self.sigma_unit:g} hides an image whose grey values "
                f"span {span:g} all told.",
                "Give sigma in the grey values of the image, or as a fraction of its data range "
                "(relative).",
            )
        levels = self.sigma_unit * np.linspace(*sigma, _SIGMA_LEVELS if sigma[0] < sigma[1] else 1)
        if noisy is None:  # synthetic noise widens the range that the network sees
            rng = np.random.default_rng(_SEED)
            # the brightest of few noisy pixels is not that of many, which is seen in use
            some = finite if normalization.whole_range else rng.choice(finite, _FEW)
            if some.min() == some.max():  # the few bright points of a dark image were missed
                some[:2] = finite.min(), finite.max()
            maps = []
            for level in levels:
                seen = some + self.draw(some, level, rng)
                maps.append(normalization.of_values(np.clip(seen, *self.limits) if clip else seen))
        else:
            maps = [normalization.of_values(noisy)]
        self._levels = levels[: len(maps)]
        self._offsets = np.array([m.offset for m in maps])
        self._scales = np.array([m.scale for m in maps])
        self._fill = maps[0].fill

    def draw(
        self, grey: npt.NDArray[Any], sigma: float, rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Draw noise for clean grey values, (..., Y, X) or a list; sigma is in grey values."""
        brightness = np.zeros(grey.shape, np.float32)
        if self._noise != "gaussian":
            seen = np.nan_to_num((grey - self._dark) / self._contrast)  # NaN is masked later
            brightness = np.clip(seen, 0, BRIGHTEST).astype(np.float32)
        return sigma * unit_noise(self._noise, brightness, sigma / self._contrast, rng)

    def grey_map(self, sigma: float) -> GreyMap:
        """Return the map at a noise level, in grey values."""
        offset = float(np.interp(sigma, self._levels, self._offsets))
        scale = float(np.interp(sigma, self._levels, self._scales))
        return GreyMap(offset, scale, self._fill)

    def grey_maps(self, sigmas: npt.NDArray[np.float64]) -> GreyMaps:
        """Return the maps at several noise levels, (N,) grey values, at once."""
        return GreyMaps(
            np.interp(sigmas, self._levels, self._offsets),
            np.interp(sigmas, self._levels, self._scales),
        )


@dataclass(frozen=True, slots=True)
class GreyMaps:
    """The maps of N images: ``normalized = (grey - offset) / scale``, (N,) float64 each."""

    offset: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    def apply(self, grey: npt.NDArray[Any] | float) -> npt.NDArray[np.float32]:
        """Return grey values, (N, C, Y, X) or one for all, as normalized float32 (N, C, Y, X)."""
        work = np.result_type(np.asarray(grey).dtype, np.float32)
        offset, scale = (
            side.astype(work)[:, None, None, None] for side in (self.offset, self.scale)
        )
        made: npt.NDArray[Any] = np.subtract(grey, offset, dtype=work)
        made /= scale
        return made.astype(np.float32, copy=False)


class Source:
    """One image (and its partner) with its grey maps."""

    def __init__(
        self,
        image: Array,
        partner: Array,
        layout: PlaneLayout,
        normalization: Normalization,
        sigma: tuple[float, float],
        relative: bool,
        *,
        synthetic: bool,
        noise: NoiseKind = "gaussian",
        clip: bool = False,
    ) -> None:
        self.image, self.partner, self.layout = image, partner, layout
        self._noises: list[float | CameraNoise] = []
        self._greys = [
            Greys(
                None if synthetic else sample_values(image, layout, channel),
                sample_values(partner, layout, channel),
                normalization,
                sigma,
                relative,
                noise,
                clip,
            )
            for channel in channel_groups(layout)
        ]

    def greys(self, plane: int) -> Greys:
        """Return how the grey values of a plane are mapped; as `Normalization.of_image` has it."""
        return of_plane(self._greys, self.layout, plane)

    def draw_noise(
        self, plane: int, grey: npt.NDArray[Any], sigma: float, rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Draw noise for clean grey values, (channels, Y, X); sigma is in grey values.

        Where red, green and blue are the same all over a patch, so is their noise: black-and-white
        photographs are stored thus, and a network that has only seen noise of three colours leaves
        theirs.
        """
        greys = self.greys(plane)
        colourless = len(grey) == 3 and (grey == grey[:1]).all() and grey.min() < grey.max()
        if not colourless:
            return greys.draw(grey, sigma, rng)
        return np.broadcast_to(greys.draw(grey[:1], sigma, rng), grey.shape)

    def invalid_pixels(self) -> int:
        """Return how many pixels are NaN or infinite; of arrays in memory, others are not read."""
        return sum(
            int(np.count_nonzero(~np.isfinite(image)))
            for image in {id(image): image for image in (self.image, self.partner)}.values()
            if isinstance(image, np.ndarray) and np.issubdtype(image.dtype, np.floating)
        )

    @functools.cached_property
    def channel_noise(self) -> ChannelNoise | None:
        """What the noise of channels that are seen together has in common; None for one channel."""
        if self.layout.plane_channels == 1:
            return None
        rgb = is_rgb(self.layout.axes, self.layout.shape)
        return channel_noise(read_sample(self.image, self.layout), rgb=rgb)

    def noise_sigma(self, plane: int, window: npt.NDArray[np.float32]) -> float | npt.NDArray[Any]:
        """Return the noise of the image, in grey values; estimated at the first call.

        Parameters
        ----------
        plane : int
            Where the window lies.
        window : ndarray
            (channels, Y, X) of the noisy image, in grey values.

        Returns
        -------
        float or ndarray
            One number, or one for each of several channels, (channels, 1, 1); or that of each
            pixel of the window where the noise is that of a camera: by the mean around the pixel,
            which its own noise hardly moves.
        """
        noise = of_plane(self._measured(), self.layout, plane)
        if isinstance(noise, float):
            shared = self.channel_noise
            return noise if shared is None else shared.sigmas[:, None, None]
        from scipy.ndimage import gaussian_filter

        mean = gaussian_filter(window, (0, _AROUND, _AROUND), mode="reflect")
        return np.asarray(np.sqrt(noise.variance(mean)), np.float32)

    def recorruptible(self) -> bool:
        """Return whether the noise is near enough to Gaussian in every channel of the image.

        Recorruption takes noise for Gaussian. Counts of few photons are skewed, and the two images
        that it makes of them are not independent.
        """
        noises = self._measured()
        photons = [
            noise.electrons(float(np.quantile(self._sample(channel), _BRIGHT)))
            for noise, channel in zip(noises, channel_groups(self.layout), strict=True)
            if isinstance(noise, CameraNoise)
        ]
        return 0 not in noises and min(photons, default=np.inf) >= _MANY_PHOTONS

    def _sample(self, channel: int | None) -> npt.NDArray[Any]:
        values = sample_values(self.image, self.layout, channel)
        return np.asarray(values[np.isfinite(values)])

    def _measured(self) -> list[float | CameraNoise]:
        if not self._noises:
            look_for_stop()
            self._noises = [self._noise(channel) for channel in channel_groups(self.layout)]
        return self._noises

    def _noise(self, channel: int | None) -> float | CameraNoise:
        details, means = details_and_means(read_sample(self.image, self.layout, channel))
        try:
            return camera_noise_from(details, means)
        except DenoisingError:
            return sigma_from(details)
