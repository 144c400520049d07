"""How images to train on are mapped: as the same images are in use."""

import numpy as np
import pytest

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.sources import Source

SIGMA = 25.0


@pytest.fixture
def usual(camera):
    """Return an image of many pixels."""
    return np.tile(camera.astype(np.uint16), (6, 6))


@pytest.fixture
def hot(usual):
    """Return an image with a few pixels far above all others."""
    image = usual.copy()
    rng = np.random.default_rng(0)
    image[rng.integers(0, image.shape[0], 6), rng.integers(0, image.shape[1], 6)] = 4000
    return image


@pytest.mark.parametrize("percentiles", [(0, 100), (0.1, 99.9)])
@pytest.mark.parametrize("which", ["usual", "hot"])
def test_grey_values_are_mapped_in_training_as_in_use(request, which, percentiles):
    image = request.getfixturevalue(which)
    layout, mapped = (
        plane_layout(image.shape, "YX"),
        Normalization(low=percentiles[0], high=percentiles[1]),
    )
    source = Source(image, image, layout, mapped, (0.0, SIGMA), False, synthetic=True)
    for sigma in (0.0, SIGMA):
        noisy = image + np.random.default_rng(1).normal(0, sigma, image.shape)
        (used,) = mapped.of_image(noisy, layout)
        trained = source.greys(0).grey_map(sigma)
        assert trained.scale == pytest.approx(used.scale, rel=0.05)
        assert trained.offset == pytest.approx(used.offset, abs=0.05 * used.scale)
