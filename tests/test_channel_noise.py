"""What the channels of an image have in common in their noise: measured, and drawn again."""

import numpy as np
import pytest
from skimage import data

from napari_ae_denoise import TrainingData, TrainSettings, train
from napari_ae_denoise.channel_noise import channel_noise
from napari_ae_denoise.noise_level import fine_details, sigma_from
from napari_ae_denoise.photograph_noise import as_saved
from napari_ae_denoise.self_supervision import recorrupted

CLEAN = data.astronaut()[:256, :256].astype(np.float32).transpose(2, 0, 1)
GRAY = np.repeat(CLEAN[:1], 3, axis=0)
SIGMA = 25.0


def noise_of(kind, rng):
    own = SIGMA * rng.standard_normal(CLEAN.shape, dtype=np.float32)
    common = SIGMA * rng.standard_normal((1, *CLEAN.shape[1:]), dtype=np.float32)
    if kind == "jpeg":
        return as_saved(CLEAN, own, (2, 2), 0.0, (0, 0))
    shared = {"own": 0, "half": 0.5, "common": 1}[kind]
    return np.sqrt(1 - shared) * own + np.sqrt(shared) * common


def covariance(noise):
    flat = noise.reshape(len(noise), -1)
    return flat @ flat.T / flat.shape[1]


@pytest.mark.parametrize(("kind", "shared"), [("own", 0), ("half", 0.5), ("common", 1)])
def test_noise_is_drawn_as_it_was_measured(kind, shared):
    noise = noise_of(kind, np.random.default_rng(0))
    clean = GRAY if kind == "common" else CLEAN
    found = channel_noise([clean + noise])
    assert found.colour is None
    made = found.draw(CLEAN.shape, np.random.default_rng(1))
    expected = np.full((3, 3), shared) + (1 - shared) * np.eye(3)
    np.testing.assert_allclose(covariance(made), expected, atol=0.1)


def test_coarse_colours_are_drawn_as_a_jpeg_leaves_them():
    noise = noise_of("jpeg", np.random.default_rng(0))
    found = channel_noise([CLEAN + noise])
    assert found.colour is not None
    unit = sigma_from(np.stack([fine_details(c) for c in noise]).ravel())
    made = unit * found.draw(CLEAN.shape, np.random.default_rng(1))
    np.testing.assert_allclose(covariance(made), covariance(noise), rtol=0.25)
    for axis in (0, 1):  # and span as many pixels
        before, again = (np.diff(n[0] - n[1], axis=axis).std() for n in (noise, made))
        assert again == pytest.approx(before, rel=0.25)


@pytest.mark.parametrize("kind", ["own", "half", "common", "jpeg"])
def test_what_is_seen_and_what_is_wanted_share_no_noise(kind):
    """Else a network learns to keep what they share."""
    noise = noise_of(kind, np.random.default_rng(0))
    clean = GRAY if kind == "common" else CLEAN
    unit = sigma_from(np.stack([fine_details(c) for c in noise]).ravel())
    sums = []
    for channels in (None, channel_noise([clean + noise])):
        seen, target = recorrupted(noise, unit, np.random.default_rng(1), channels)
        sums.append(abs((seen.sum(0) * target.sum(0)).mean()) / noise.sum(0).var())
    independent, measured = sums
    assert measured < 0.12
    assert bool(independent > 0.2) is (kind != "own")


def test_one_channel_and_no_noise_are_told_too():
    rng = np.random.default_rng(0)
    one = channel_noise([CLEAN[:1] + noise_of("own", rng)[:1]])
    np.testing.assert_allclose(one.mixture, [[1]], atol=1e-6)
    for nothing in (np.zeros((3, 64, 64)), np.full((2, 32, 32), np.nan), np.ones((3, 2, 2))):
        found = channel_noise([nothing])
        np.testing.assert_array_equal(found.mixture, np.eye(len(nothing)))
        assert found.colour is None


@pytest.mark.parametrize("gray", [False, True])
def test_training_on_a_noisy_photograph_takes_off_the_noise_that_its_colours_share(gray):
    clean = GRAY if gray else CLEAN
    noisy = clean + noise_of("common", np.random.default_rng(0))
    clean, noisy = (image.transpose(1, 2, 0) for image in (clean, noisy))
    settings = TrainSettings(steps=80, batch_size=4, device="cpu")
    denoiser = train(TrainingData(noisy=noisy, axes="YXC"), settings)
    assert denoiser.card.training["scheme"] == "recorrupted"
    before, after = (
        np.mean((image - clean) ** 2) for image in (noisy, denoiser.denoise(noisy, axes="YXC"))
    )
    assert after < before / 2.5  # 1.1 with noise that was drawn for each colour apart
