"""Signs that tell a micrograph from a photograph, measured on a sample of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_ae_denoise.camera_noise import steadiness
from napari_ae_denoise.noise_level import sigma_from

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_ae_denoise.noise_correlation import NoiseCorrelation

_DARK, _MIDDLE, _BRIGHT = 0.01, 0.5, 0.99  # quantiles of the local mean grey values


@dataclass(frozen=True, slots=True)
class Signs:
    """What a sample of an image tells of where it comes from.

    Parameters
    ----------
    steady : float
        How steadily the noise grows with the light, -1 to 1; see `steadiness`.
    spread : float
        How much more noise there is between distant pixels than between neighbours; see
        `NoiseCorrelation`.
    middle : float
        Where the median of the local means lies between dark (0) and bright (1).
    bright : float
        Grey value that only a hundredth of the local means are above; less moved by noise than
        the largest value.
    noise : float
        sigma of the noise, as a fraction of bright minus dark.
    """

    steady: float = 0.0
    spread: float = 1.0
    middle: float = 0.5
    bright: float = 0.0
    noise: float = 0.0


def signs_of(
    shared: NoiseCorrelation,
    details: npt.NDArray[np.float64],
    means: npt.NDArray[np.float64],
) -> Signs:
    """Return the signs of one channel.

    Parameters
    ----------
    shared : NoiseCorrelation
        How much of the noise neighbouring pixels share.
    details, means : ndarray
        What `details_and_means` gives of them.
    """
    if not means.size:
        return Signs()
    dark, middle, bright = (float(q) for q in np.quantile(means, [_DARK, _MIDDLE, _BRIGHT]))
    reach = bright - dark
    return Signs(
        steadiness(details, means),
        shared.spread,
        (middle - dark) / reach if reach > 0 else 0.5,
        bright,
        sigma_from(details) / reach if reach > 0 else 0.0,
    )
