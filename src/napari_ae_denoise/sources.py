"""Images to train on, with how their grey values are mapped at each noise level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.noise import brightness_ratio, sigma_of
from napari_ae_denoise.normalization import (
    GreyMap,
    Normalization,
    channel_groups,
    of_plane,
    sample_values,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_ae_denoise.axes import PlaneLayout
    from napari_ae_denoise.self_supervision import Scheme
    from napari_ae_denoise.training_data import Array

_SIGMA_LEVELS = 17  # noise levels at which an image's grey map is measured; between, interpolated
_SEED = 0x5EED
# Bright to dark: photographs with Gaussian noise measured 0.8 to 1.2, micrographs of confocal and
# two-photon microscopes 1.5 to 5.
_GROWING = 1.3
_LOOKED_AT = 8  # images, to choose a scheme
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
        clip: bool = False,
    ) -> None:
        finite = clean[np.isfinite(clean)].astype(np.float64)
        normalization.of_values(finite)  # says what is wrong with constant and all-NaN images
        span = float(finite.max() - finite.min())
        self.psnr_range = 255.0 if clean.dtype == np.uint8 else span
        self.sigma_unit = span if relative else 1.0  # grey values
        self.limits = float(finite.min()), float(finite.max())
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
            few = rng.choice(finite, 4096)
            if few.min() == few.max():  # the few bright points of a dark image were missed
                few[:2] = finite.min(), finite.max()
            noise = rng.standard_normal(few.size)
            seen = [few + s * noise for s in levels]
            if clip:
                seen = [np.clip(values, *self.limits) for values in seen]
            maps = [normalization.of_values(values) for values in seen]
        else:
            maps = [normalization.of_values(noisy)]
        self._levels = levels[: len(maps)]
        self._offsets = np.array([m.offset for m in maps])
        self._scales = np.array([m.scale for m in maps])
        self._fill = maps[0].fill

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
        clip: bool = False,
    ) -> None:
        self.image, self.partner, self.layout = image, partner, layout
        self._sigmas: list[float] = []
        self._greys = [
            Greys(
                None if synthetic else sample_values(image, layout, channel),
                sample_values(partner, layout, channel),
                normalization,
                sigma,
                relative,
                clip,
            )
            for channel in channel_groups(layout)
        ]

    def greys(self, plane: int) -> Greys:
        """Return how the grey values of a plane are mapped; as `Normalization.of_image` has it."""
        return of_plane(self._greys, self.layout, plane)

    def invalid_pixels(self) -> int:
        """Return how many pixels are NaN or infinite; of arrays in memory, others are not read."""
        return sum(
            int(np.count_nonzero(~np.isfinite(image)))
            for image in {id(image): image for image in (self.image, self.partner)}.values()
            if isinstance(image, np.ndarray) and np.issubdtype(image.dtype, np.floating)
        )

    def noise_grows(self) -> bool:
        """Return whether the noise of the image is stronger where it is brighter."""
        groups = channel_groups(self.layout)
        ratios = [brightness_ratio(self.image, self.layout, channel) for channel in groups]
        return max(ratios) > _GROWING

    def noise_sigma(self, plane: int) -> float:
        """Return the noise of a plane of the image, in grey values; estimated at the first call."""
        if not self._sigmas:
            groups = channel_groups(self.layout)
            self._sigmas = [sigma_of(self.image, self.layout, channel) for channel in groups]
        return of_plane(self._sigmas, self.layout, plane)


def choose_scheme(scheme: Scheme, sources: Sequence[Source], *, known: bool) -> Scheme:
    """Return the scheme for noisy images alone: what is asked for, or what ``auto`` stands for.

    That is recorruption, unless the noise is seen to grow with the brightness; and recorruption
    where somebody knows the level of the noise.
    """
    if scheme != "auto":
        return scheme
    if not known and any(source.noise_grows() for source in sources[:_LOOKED_AT]):
        return "blind-spot"
    return "recorrupted"
