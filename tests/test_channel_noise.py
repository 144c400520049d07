"""What the channels of an image have in common in their noise: measured, and drawn again."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_ae_denoise import TrainingData, TrainSettings, train
from napari_ae_denoise.channel_noise import channel_noise
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.photograph_noise import as_saved
from napari_ae_denoise.sampling import PatchSampler

CLEAN = data.astronaut()[:256, :256].astype(np.float32).transpose(2, 0, 1)
GRAY = np.repeat(CLEAN[:1], 3, axis=0)
LEVELS = np.array([[[160.0]], [[80.0]], [[40.0]]])
SIGMA = 25.0
SHAPE = CLEAN.shape


def white(seed=0, channels=3):
    return np.random.default_rng(seed).standard_normal((channels, *SHAPE[1:]), dtype=np.float32)


def common(share):
    """Return noise of which a share of the variance is the same in all channels."""
    return SIGMA * (np.sqrt(1 - share) * white() + np.sqrt(share) * white(1, 1))


def covariance(noise):
    flat = noise.reshape(len(noise), -1).astype(np.float64)
    return flat @ flat.T / flat.shape[1]


def drawn(image, *, rgb=True):
    """Return noise in grey values as training draws it again, and what was measured."""
    found = channel_noise([image], rgb=rgb)
    made = found.draw(image.shape, np.random.default_rng(9))
    return found.sigmas[:, None, None] * made, found


def smooth_colours():
    return np.stack([30 * c / c.std() for c in (gaussian_filter(w, 2) for w in white(7))])


def saturated():
    noisy = CLEAN + common(0)
    noisy[:, :, :160] = 255
    return noisy


@pytest.mark.parametrize(
    ("image", "noise"),
    [
        (CLEAN + common(0), common(0)),
        (CLEAN + common(0.5), common(0.5)),
        (GRAY + common(1), common(1)),
        (CLEAN + common(1), common(1)),
        (saturated(), common(0)),
        (smooth_colours() + common(0) * 0.4, common(0) * 0.4),
        ([[[1]], [[1]], [[3]]] * common(0) / 5, [[[1]], [[1]], [[3]]] * common(0) / 5),
        ([[[0]], [[1]], [[0]]] * (CLEAN + common(0)), [[[0]], [[1]], [[0]]] * common(0)),
    ],
    ids=[
        "independent",
        "half in common",
        "a gray image",
        "gray grain on colours",
        "most of it saturated",
        "structure in the colours",
        "one channel noisier",
        "one channel alone",
    ],
)
def test_noise_is_drawn_as_it_is(image, noise):
    made, _ = drawn(np.asarray(image))
    np.testing.assert_allclose(
        covariance(made), covariance(noise), atol=0.12 * covariance(noise).max()
    )


@pytest.mark.parametrize(("sigma", "near"), [(25.0, 0.15), (8.0, 0.35)])
def test_coarse_colours_are_drawn_as_a_jpeg_leaves_them(sigma, near):
    noise = as_saved(CLEAN, sigma * white(), (2, 2), 0.0, (0, 0))
    made, found = drawn(CLEAN + noise)
    assert found.colour is not None
    np.testing.assert_allclose(made.std((1, 2)), noise.std((1, 2)), rtol=near)
    for axis in (0, 1):  # and span as many pixels
        before, again = (np.diff(n[0] - n[1], axis=axis).std() for n in (noise, made))
        assert again == pytest.approx(before, rel=2 * near)


@pytest.mark.parametrize("image", [data.coffee, data.immunohistochemistry, data.astronaut])
@pytest.mark.parametrize("sigma", [0, 2, 5])
def test_structure_is_not_taken_for_coarse_colours(image, sigma):
    clean = image()[:256, :256].transpose(2, 0, 1).astype(np.float32)
    _, found = drawn(clean + sigma * white())
    assert found.colour is None


def test_other_channels_than_colours_have_no_coarse_ones():
    noise = as_saved(CLEAN, SIGMA * white(), (2, 2), 0.0, (0, 0))
    assert drawn(CLEAN + noise, rgb=False)[1].colour is None


@pytest.mark.parametrize("scale", [1, 1e-30, 1e200])
def test_it_does_not_depend_on_the_unit(scale):
    image = scale * (CLEAN + common(0.5)).astype(np.float64)
    found = channel_noise([image], rgb=True)
    expected = channel_noise([image / scale], rgb=True)
    np.testing.assert_allclose(found.mixture, expected.mixture, atol=1e-5)
    np.testing.assert_allclose(found.sigmas / scale, expected.sigmas, rtol=1e-5)


def test_one_channel_and_no_noise_are_told_too():
    one = channel_noise([CLEAN[:1] + common(0)[:1]], rgb=False)
    np.testing.assert_allclose(one.mixture, [[1]], atol=1e-6)
    for nothing in (np.zeros((3, 64, 64)), np.full((2, 32, 32), np.nan), np.ones((3, 2, 2))):
        found = channel_noise([nothing], rgb=len(nothing) == 3)
        np.testing.assert_array_equal(found.mixture, np.eye(len(nothing)))
        assert not found.sigmas.any()
        assert found.colour is None


@pytest.mark.parametrize(
    "noise",
    [
        common(0),
        common(0.5),
        common(1),
        as_saved(np.zeros_like(CLEAN), common(0), (2, 2), 0.0, (0, 0)),
        np.random.default_rng(0).poisson(LEVELS, SHAPE) - LEVELS,
        [[[1]], [[1]], [[3]]] * common(0) / 3,
        [[[0]], [[1]], [[0]]] * common(0),
    ],
    ids=["independent", "half", "all", "JPEG", "photons", "one noisier", "one alone"],
)
def test_what_is_seen_and_what_is_wanted_share_no_noise(noise):
    """Else a network learns to keep what they share, or to take off more than the noise."""
    noise = np.asarray(noise)
    sampler = PatchSampler(
        TrainingData(noisy=(LEVELS + noise).transpose(1, 2, 0), axes="YXC"),
        **{"channels": 3, "stride": 4, "patch_size": 64, "batch_size": 16},
        normalization=Normalization("fixed"),
        scheme="recorrupted",
    )
    shared = np.zeros((3, 3))
    for step in range(12):
        batch = sampler.batch(step)
        seen, wanted = (side.transpose(1, 0, 2, 3) for side in (batch.noisy, batch.target))
        flat = LEVELS[..., None]
        shared += (seen - flat).reshape(3, -1) @ (wanted - flat).reshape(3, -1).T / seen[0].size
    strength = np.sqrt(np.diag(covariance(noise))) + 1e-9
    assert np.abs(shared / 12 / np.outer(strength, strength))[strength > 1].max() < 0.2


@pytest.mark.parametrize("gray", [False, True])
def test_training_on_a_noisy_photograph_takes_off_the_noise_that_its_colours_share(gray):
    clean = (GRAY if gray else CLEAN).transpose(1, 2, 0)
    noisy = clean + common(1).transpose(1, 2, 0)
    settings = TrainSettings(steps=80, batch_size=4, device="cpu")
    denoiser = train(TrainingData(noisy=noisy, axes="YXC"), settings)
    assert denoiser.card.training["scheme"] == "recorrupted"
    before, after = (
        np.mean((image - clean) ** 2) for image in (noisy, denoiser.denoise(noisy, axes="YXC"))
    )
    assert after < before / 2.5  # 1.1 with noise that was drawn for each colour apart
