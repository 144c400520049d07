"""What can be said of an image at a glance: its axes and size in words, and its noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ae_denoise.axes import is_rgb, plane_layout
from napari_ae_denoise.camera_noise import CameraNoise, camera_noise_from
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.noise_correlation import (
    NoiseCorrelation,
    channels_asked,
    noise_correlation,
    steps_of_channels,
)
from napari_ae_denoise.noise_level import details_and_means, sigma_from
from napari_ae_denoise.normalization import channel_groups, check_real, sample_windows
from napari_ae_denoise.resolving import AUTO_GROWTH, SMALLEST
from napari_ae_denoise.signs import Signs, signs_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    import numpy.typing as npt

_NOISY = 0.05  # of bright minus dark; of clean images (Set12, W2S, FMD, photographs) 0.04 is most
_STACKS = {
    "Z": ("plane", "planes along Z"),
    "T": ("time point", "time points"),
    "N": ("image", "images"),
    "C": ("channel", "channels"),
}


@dataclass(frozen=True, slots=True)
class Glance:
    """What a bounded sample of an image tells of it.

    Parameters
    ----------
    axes : str
        One letter per axis.
    shape : tuple of int
        Of the image.
    dtype : str
        Of its pixels, such as ``"uint16"``.
    sigma : tuple of float
        The least and the largest standard deviation of the noise among its channels, in grey
        values. Both are the same where there is one channel, or where the channels are colours.
    camera : CameraNoise or None
        Where the noise of a channel grows with the light: how.
    light : tuple of float
        A dark and a bright grey value, for ``camera``.
    signs : Signs
        What tells micrographs from photographs, of the first channel.
    steps : (int, int)
        Along Y and X: how far apart pixels are whose noise is independent; see
        `NoiseCorrelation`.
    values : (float, float)
        The smallest and the largest finite grey value that was seen; ``(inf, -inf)`` of none.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: str
    sigma: tuple[float, float]
    camera: CameraNoise | None
    light: tuple[float, float]
    signs: Signs = field(default_factory=Signs)
    steps: tuple[int, int] = (1, 1)
    values: tuple[float, float] = (0.0, 1.0)

    @property
    def blank(self) -> bool:
        """Whether nothing was seen that could be denoised."""
        return self.values[0] >= self.values[1]

    @property
    def small(self) -> bool:
        """Whether it has too few pixels for an estimate of its noise."""
        return min(self.shape[self.axes.index(axis)] for axis in "YX") < SMALLEST

    @property
    def photograph(self) -> bool:
        """Whether the channels are the colours of a photograph."""
        return is_rgb(self.axes, self.shape)

    @property
    def noisy(self) -> bool:
        """Whether it has more noise than fine texture may be taken for."""
        return self.signs.noise >= _NOISY

    @property
    def noise_in_words(self) -> str:
        """One sentence on the noise, or two."""
        if self.blank:
            one = np.isfinite(self.values[0])
            what = f"is {self.values[0]:g}" if one else "is not a finite number"
            return f"Every pixel that was looked at {what}."
        alike = "" if self.steps == (1, 1) else " It is alike in neighbouring pixels."
        if self.camera is not None:
            dark, bright = np.sqrt(self.camera.variance(np.array(self.light)))
            return (
                f"Noise grows with the light: sigma about {_figure(dark)} where it is dark, "
                f"{_figure(bright)} where it is bright (grey values).{alike}"
            )
        low, high = self.sigma
        if self.small:
            most = f": sigma at most about {_figure(high)} grey values" if high else ""
            return f"The image is too small for an estimate of its noise{most}."
        if high == 0:
            return "No noise found."
        several = "" if _figure(low) == _figure(high) else f"{_figure(low)} to "
        return f"Noise: sigma about {several}{_figure(high)} grey values.{alike}"


def _figure(value: float) -> str:
    """Return a number with two figures, such as 0.012, 24 or 1800."""
    return f"{float(f'{value:.2g}'):g}"


def in_words(shape: tuple[int, ...], axes: str, dtype: Any) -> str:
    """Describe an image: ``"25 planes along Z, 512 x 400 pixels (X x Y), 16 bit, 10 MB"``.

    Parameters
    ----------
    shape : tuple of int
        Of the image.
    axes : str
        One letter per axis.
    dtype : dtype
        Of its pixels.
    """
    length = dict(zip(axes, shape, strict=True))
    said = []
    for axis in axes:
        if axis == "C" and is_rgb(axes, shape):
            continue
        if axis in _STACKS:
            one, many = _STACKS[axis]
            said.append(f"{length[axis]:,} {one if length[axis] == 1 else many}")
    said.append(f"{length['X']:,} x {length['Y']:,} pixels (X x Y)")
    if is_rgb(axes, shape):
        said.append("RGB" if length["C"] == 3 else "RGB with alpha")
    kind = np.dtype(dtype)
    said.append(
        f"{8 * kind.itemsize} bit" + (" floating point" if kind.kind == "f" else "")
        if kind.kind in "uif"
        else kind.name
    )
    said.append(_bytes(int(np.prod(shape, dtype=object)) * kind.itemsize))
    return ", ".join(said)


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def glance_steps(
    image: Any, axes: str | None = None, *, stop: threading.Event | None = None
) -> Generator[float, None, Glance | None]:
    """Look at a bounded sample of an image, a window at a time.

    Parameters
    ----------
    image : array
        numpy, dask or zarr. At most about a million pixels are read of each channel.
    axes : str, optional
        One letter per axis; guessed from the shape by default.
    stop : threading.Event, optional
        Once set, no further window is read.

    Yields
    ------
    float
        The finished part, 0 to 1.

    Returns
    -------
    Glance or None
        None if stopped.

    Raises
    ------
    DenoisingError
        If the image is complex or empty, or its axes do not fit.
    """
    check_real(image)
    layout = plane_layout(image.shape, axes, network_channels=1)
    sigmas, cameras, lights, signs = [], [], [], Signs()
    groups, steps = channel_groups(layout), (1, 1)
    large = min(layout.plane_shape) >= SMALLEST
    asked: dict[int | None, list[npt.NDArray[Any]]] = {}
    shared: dict[int | None, NoiseCorrelation] = {}
    # first those that say whether neighbouring pixels share their noise, as in `resolve`
    before = channels_asked(groups) if large else []
    read, values = 0, (np.inf, -np.inf)
    for number, channel in enumerate([*before, *groups], start=-len(before)):
        windows = asked.pop(channel, [])
        if not windows:
            wanted = sample_windows(image, layout, channel)
            for done, window in enumerate(wanted):
                if stop is not None and stop.is_set():
                    return None
                windows.append(layout.read(image, *window))
                values = _widened(values, windows[-1])
                yield (read + (done + 1) / len(wanted)) / len(groups)
            read += 1
        if number < 0:
            asked[channel], shared[channel] = windows, noise_correlation(windows)
            continue
        details, means = details_and_means(windows)
        if number == 0:
            steps = steps_of_channels([*shared.values()])
            signs = signs_of(shared.get(channel) or noise_correlation(windows), details, means)
        if steps != (1, 1):
            details, means = details_and_means([w[:, :: steps[0], :: steps[1]] for w in windows])
        sigmas.append(sigma_from(details))
        try:
            cameras.append(camera_noise_from(details, means, AUTO_GROWTH))
        except DenoisingError:
            continue  # its noise does not grow with the light
        dark, bright = np.quantile(means, [0.01, 0.99])
        lights.append((float(dark), float(bright)))
    return Glance(
        layout.axes,
        tuple(image.shape),
        np.dtype(image.dtype).name,
        (min(sigmas), max(sigmas)),
        cameras[0] if cameras else None,
        lights[0] if lights else (0.0, 0.0),
        signs,
        steps,
        values,
    )


def _widened(values: tuple[float, float], window: npt.NDArray[Any]) -> tuple[float, float]:
    finite = window[np.isfinite(window)]
    if finite.size == 0:
        return values
    return min(values[0], float(finite.min())), max(values[1], float(finite.max()))
