"""How a denoiser sees an image: its planes, its grey values, and the noise that is assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from napari_ae_denoise.axes import PlaneLayout, is_rgb, plane_layout
from napari_ae_denoise.camera_noise import camera_noise_from, stabilized_map
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.noise_correlation import (
    CORRELATED,
    Correlated,
    channels_asked,
    noise_correlation,
    steps_for,
    steps_of_channels,
)
from napari_ae_denoise.noise_level import details_and_means, sigma_from
from napari_ae_denoise.normalization import (
    channel_groups,
    check_real,
    check_varied,
    level_of,
    limits_known,
    read_sample,
    sample_values,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_ae_denoise.card import Card
    from napari_ae_denoise.grey_map import ValueMap
    from napari_ae_denoise.network_spec import NetworkSpec

NoiseModel = Literal["auto", "gaussian", "camera"]
NOISE_MODELS: tuple[NoiseModel, ...] = get_args(NoiseModel)

AUTO_GROWTH = (
    2.0  # of the variance from dark to bright, from which on noise is taken for a camera's
)
_ANY_GROWTH = 1.05
SMALLEST = 64  # pixels: in smaller images details are structure as often as noise
_BEYOND = 1.25  # of a model's noise range: the estimate is no closer than that
_NEARLY_ALL = (0.1, 99.9)  # percentiles
_FAR_FROM_ALL = 3.0  # times their range: beyond, a model that maps the whole range sees little
_RANGE_OF_STD = 4.5  # grey values span about so many standard deviations in photographs


@dataclass(frozen=True, slots=True)
class Resolved:
    """How a denoiser sees an image.

    Parameters
    ----------
    layout : PlaneLayout
        Its planes.
    maps : list of ValueMap
        One for all planes, or one for each channel of axis C.
    remarks : tuple of str
        What was found and is assumed, in sentences.
    warnings : tuple of str
        What people should know before they trust the result.
    steps : (int, int)
        Along Y and X: how far apart pixels are whose noise is independent.
    """

    layout: PlaneLayout
    maps: Sequence[ValueMap]
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    steps: tuple[int, int] = (1, 1)

    @property
    def note(self) -> str:
        """What people should know before they trust the result; empty if nothing."""
        return " ".join(self.warnings)

    @property
    def normalization(self) -> tuple[dict[str, Any], ...]:
        """How grey values are mapped, as plain values that json can hold: to be kept with results.

        One record for all planes, or one for each channel of axis C.
        """
        return tuple(grey_map.to_record() for grey_map in self.maps)


def check_ways(noise_model: str, correlated: str) -> None:
    """Refuse noise that is not known.

    Raises
    ------
    DenoisingError
        With what there is.
    """
    if noise_model not in NOISE_MODELS:
        raise DenoisingError(
            f'The noise model "{noise_model}" is not known.', f"Use {' or '.join(NOISE_MODELS)}."
        )
    if correlated not in CORRELATED:
        raise DenoisingError(
            f'Noise cannot be correlated along "{correlated}".', f"Use {' or '.join(CORRELATED)}."
        )


def resolve(
    card: Card,
    image: Any,
    axes: str | None,
    noise_model: NoiseModel,
    correlated: Correlated = "auto",
) -> Resolved:
    """Return how a denoiser sees an image.

    Parameters
    ----------
    card : Card
        Of the denoiser.
    image : array
        numpy, dask or zarr. At most about a million pixels are read of each channel.
    axes : str or None
        One letter per axis; None to guess.
    noise_model : {"auto", "gaussian", "camera"}
        ``camera``: the noise is levelled before the network. ``auto``: where the model was trained
        with synthetic noise, and that of the image grows with its grey values.
    correlated : {"auto", "none", "y", "x", "xy"}
        Along which axes neighbouring pixels share their noise; ``auto``, where the model was
        trained with synthetic noise, or from noisy images alone: see `steps_for`.

    Raises
    ------
    DenoisingError
        If the image is complex, empty, constant or all NaN, or its axes or channels do not fit.
    """
    check_ways(noise_model, correlated)
    check_real(image)
    layout = layout_for(card.network, image.shape, axes)
    remarks, warnings = _about_channels(card, layout), []
    # also for a model that knows cameras: it measured 0.2 dB more on twelve real micrographs
    large = min(layout.plane_shape) >= SMALLEST
    told = card.data_kind == "clean" and large
    if card.data_kind == "clean" and noise_model == "auto" and not large:
        remarks.append(
            f"The image is too small for an estimate of its noise ({SMALLEST} pixels a side are "
            "needed): Gaussian noise is assumed."
        )
    if correlated == "auto" and not (large and looks_for_shared_noise(card)):
        correlated = "none"
    levelled = noise_model == "camera" or (noise_model == "auto" and told)
    warnings += _about_limits(card, image, layout)
    if not levelled and not told and correlated != "auto":
        steps = steps_for((), correlated)
        maps: list[ValueMap] = [*card.normalization.of_image(image, layout)]
        remarks += _about_steps(steps)
        return Resolved(layout, maps, tuple(remarks), tuple(warnings), steps)
    groups = channel_groups(layout)
    if correlated == "auto":
        asked = {c: read_sample(image, layout, c) for c in channels_asked(groups)}
        steps = steps_of_channels([noise_correlation(windows) for windows in asked.values()])
    else:
        asked, steps = {}, steps_for((), correlated)
    remarks += _about_steps(steps)
    maps, flat = [], []
    for channel in groups:  # of many channels no more samples are in memory than are asked
        which = "" if channel is None else f" (channel {channel + 1})"
        windows = asked.pop(channel, None) or read_sample(image, layout, channel)
        values = sample_values(image, layout, channel, windows)
        warnings += _about_extremes(card, values)
        flat.append(level_of(values) is not None and limits_known(image, layout, channel))
        if not (levelled or told) or flat[-1]:
            maps.append(card.normalization.of_group(values))
            continue
        independent = [window[:, :: steps[0], :: steps[1]] for window in windows]
        details, means = details_and_means(independent)
        camera = None
        try:
            growth = AUTO_GROWTH if noise_model == "auto" else _ANY_GROWTH
            camera = camera_noise_from(details, means, growth) if levelled else None
        except DenoisingError as error:
            if noise_model == "camera":
                warnings.append(f"{error.cause} Gaussian noise is assumed.")
        if camera is None:
            maps.append(card.normalization.of_group(values))
            if details.size:
                sigma = sigma_from(details)
                remarks.append(f"Estimated Gaussian noise: sigma {sigma:.3g} grey values{which}.")
                warnings += _about_sigma(card, sigma, values)
            elif noise_model != "camera":  # else it is said already
                remarks.append(f"The noise cannot be estimated{which}; Gaussian noise is assumed.")
        else:
            maps.append(stabilized_map(camera, values, card.normalization))
            remarks.append(f"Estimated {camera}{which}.")
    check_varied(maps, flat)
    return Resolved(layout, maps, tuple(remarks), tuple(dict.fromkeys(warnings)), steps)


def looks_for_shared_noise(card: Card) -> bool:
    """Return whether a model's images are asked if neighbouring pixels share their noise.

    They are where it learned noise that is independent from pixel to pixel: synthetic noise, or
    that of `of_independent_pixels`.
    """
    independent = card.data_kind == "clean" or "apart" in card.training
    return independent and card.data_kind in ("clean", "noisy") and card.network.image_size is None


def layout_for(spec: NetworkSpec, shape: Sequence[int], axes: str | None) -> PlaneLayout:
    """Return the planes of an image as a network takes them.

    Raises
    ------
    DenoisingError
        If the axes, the channels or the size do not fit.
    """
    channels = spec.channels
    if channels == 3 and plane_layout(shape, axes).channels == 1:
        channels = 1  # a gray image is seen as three equal colours
    layout = plane_layout(shape, axes, network_channels=channels)
    spec.check_plane(layout.plane_shape)
    return layout


def _about_channels(card: Card, layout: PlaneLayout) -> list[str]:
    """Say where colours and model do not match, but work."""
    colours = is_rgb(layout.axes, layout.shape)
    if colours and not layout.joint:
        return ["The model is for gray images: each colour was denoised on its own."]
    if card.network.channels == 3 and layout.plane_channels == 1:
        seen = "The model is for colours: it saw the gray image as one of three equal channels"
        if card.noise == "photograph":
            return [f"{seen}."]
        # measured of one trained with "gaussian": 20.2 dB before and after, at a sigma of 25
        return [
            f"{seen}, and noise that is the same in all three may stay. Choose a model for gray "
            "images."
        ]
    return []


def _about_steps(steps: tuple[int, int]) -> list[str]:
    """Say where every second pixel is seen apart."""
    where = " and ".join(axis for axis, step in zip("YX", steps, strict=True) if step > 1)
    if not where:
        return []
    return [
        f"The noise of neighbouring pixels is alike along {where}: every second pixel was denoised "
        "apart, then the whole."
    ]


def _about_limits(card: Card, image: Any, layout: PlaneLayout) -> list[str]:
    """Say where a model whose output ends at the brightest pixel may not have seen that pixel."""
    cuts = card.normalization.whole_range and card.network.ends_in_sigmoid
    if not cuts or all(limits_known(image, layout, c) for c in channel_groups(layout)):
        return []
    return [
        "The model makes nothing brighter or darker than what a sample of this large image showed: "
        "smaller and brighter things may be cut off. A model whose network is residual does not."
    ]


def _about_extremes(card: Card, values: npt.NDArray[Any]) -> list[str]:
    """Say where few pixels decide how a model sees all the others."""
    if not card.normalization.whole_range:
        return []
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return []
    lowest, low, high, highest = np.percentile(finite, [0, *_NEARLY_ALL, 100])
    if highest - lowest <= _FAR_FROM_ALL * (high - low) or high <= low:
        return []
    return [
        f"Nearly all pixels are between {low:.3g} and {high:.3g} grey values, but some reach "
        f"{lowest:.3g} or {highest:.3g}, as hot pixels do: the model, which sees the darkest as 0 "
        f"and the brightest as 1, makes little of the others. Replace those pixels, or choose a "
        "model whose network is residual."
    ]


def _about_sigma(card: Card, sigma: float, values: npt.NDArray[Any]) -> list[str]:
    """Say where the noise is outside the range that the model was trained for."""
    if card.sigma is None or card.data_kind != "clean":
        return []
    unit, where = 1.0, ""
    if card.sigma_relative:
        finite = values[np.isfinite(values)].astype(np.float64)
        low, high = np.percentile(finite, [0.1, 99.9])
        clean = np.sqrt(max(float(finite.var()) - sigma**2, 0.0))
        unit = max(_RANGE_OF_STD * clean, float(high - low) - 6 * sigma)
        where = f" in images that span about {unit:.3g}, as this one does"
    least, most = (limit * unit for limit in card.sigma)
    if least / _BEYOND <= sigma <= most * _BEYOND or unit <= 0:
        return []
    return [
        f"The noise of the image has a sigma of about {sigma:.3g}; the model was trained for "
        f"{least:.3g} to {most:.3g} grey values{where}."
    ]
