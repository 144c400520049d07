from dataclasses import replace

import numpy as np
import pytest

from napari_ae_denoise import Denoiser, TrainSettings, train
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.sampling import PatchSampler
from napari_ae_denoise.training_data import TrainingData
from napari_ae_denoise.training_noise import NOISE_KINDS, unit_noise

LEVELS = np.repeat(np.array([0.0, 0.25, 0.5, 1.0], np.float32), 64)
BRIGHTNESS = np.broadcast_to(LEVELS, (256, 256)).copy()  # stripes, 64 pixels wide


def variances(noise):
    return np.array([noise[:, level == LEVELS][:, 16:-16].var() for level in np.unique(LEVELS)])


def test_gaussian_noise_is_one_everywhere():
    noise = unit_noise("gaussian", BRIGHTNESS, 0.1, np.random.default_rng(0))
    assert noise.dtype == np.float32
    np.testing.assert_allclose(variances(noise), 1, rtol=0.06)


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.5])
def test_camera_noise_is_one_where_it_is_bright_and_grows_with_the_light(sigma):
    draws = [
        variances(unit_noise("camera", BRIGHTNESS, sigma, np.random.default_rng(seed)))
        for seed in range(60)
    ]
    mean = np.mean(draws, axis=0)
    assert mean[-1] == pytest.approx(1, rel=0.05)
    share = 2 / 3  # the mean of 1 - u**2
    np.testing.assert_allclose(mean, 1 - share + share * np.unique(LEVELS), rtol=0.2)
    dark = np.array(draws)[:, 0]
    assert (dark.min() < 0.1, dark.max() > 0.7) == (True, True)  # of many cameras


def test_camera_noise_is_white_in_part_and_blurred_in_part():
    across, down = [], []
    for seed in range(60):
        noise = unit_noise("camera", BRIGHTNESS, 0.1, np.random.default_rng(seed))[:, 208:]
        across.append((noise[:, 1:] * noise[:, :-1]).mean() / noise.var())
        down.append((noise[1:] * noise[:-1]).mean() / noise.var())
    assert np.quantile(across, 0.2) == pytest.approx(0, abs=0.03)
    assert max(across) > 0.5
    assert max(down) > 0.5
    scanned = [x > 0.3 and y < 0.1 for x, y in zip(across, down, strict=True)]
    assert 5 < sum(scanned) < 25


def test_dark_places_of_a_camera_of_few_photons_have_few_photons():
    for seed in range(20):
        noise = unit_noise("camera", 0 * BRIGHTNESS, 0.5, np.random.default_rng(seed))
        assert noise.var() < 1.05


@pytest.mark.parametrize("noise", ["camera", "photograph", "gaussian", "", "of a later version"])
def test_a_model_is_trained_on_with_the_noise_that_it_knows(noise):
    known = noise if noise in NOISE_KINDS else "gaussian"
    image = (100 + 100 * BRIGHTNESS).astype(np.float32)
    settings = TrainSettings("classic", steps=1, batch_size=2, patch_size=16, device="cpu")
    first = train(TrainingData(clean=image), settings)
    assert first.card.noise == "gaussian"
    start = Denoiser(first.network, replace(first.card, noise=noise))
    further = train(TrainingData(clean=image), settings, start=start)
    assert further.card.noise == further.card.training["noise"] == known
    other = train(TrainingData(clean=image), replace(settings, noise="camera"), start=start)
    assert other.card.noise == "camera"


def test_patches_get_the_noise_that_was_asked_for():
    image = 100 + 100 * BRIGHTNESS
    how = {"channels": 1, "stride": 4, "normalization": Normalization("fixed")}
    sampler = PatchSampler(
        TrainingData(clean=image), **how, sigma=(20.0, 20.0), noise="camera", patch_size=256
    )
    batch = sampler.batch(0)
    noise = (batch.noisy - batch.target).ravel()
    bright, dark = batch.target.ravel() > 190, batch.target.ravel() < 110
    assert noise[bright].std() == pytest.approx(20, rel=0.1)
    assert noise[dark].std() < 18
    np.testing.assert_array_equal(sampler.batch(0).noisy, batch.noisy)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e17, 1e30])
def test_a_camera_has_broken_pixels(bad):
    image = 100 + 100 * BRIGHTNESS
    image[4::64, 4::64] = bad
    how = {"channels": 1, "stride": 4, "normalization": Normalization(), "patch_size": 64}
    sampler = PatchSampler(TrainingData(clean=image), **how, sigma=(0.1, 20.0), noise="camera")
    for step in range(5):
        batch = sampler.batch(step)
        assert np.isfinite(batch.noisy).all()
        assert np.isfinite(batch.target).all()
    others = np.abs(batch.target) < 1000
    assert (batch.noisy != batch.target)[others].mean() > 0.9
