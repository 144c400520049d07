"""Training on noisy images alone whose noise neighbouring pixels share."""

import dask.array as da
import numpy as np
import pytest
import zarr
from scipy.ndimage import gaussian_filter

from napari_ae_denoise import TrainingData, TrainSettings, psnr, train
from napari_ae_denoise.independent_pixels import of_independent_pixels

SIDE = 256


@pytest.fixture(scope="module")
def clean():
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    disc = np.hypot(y - 0.5, x - 0.4) < 0.2
    return (60 + 60 * x + 80 * disc + 30 * np.sin(12 * y)).astype(np.float32)


@pytest.fixture(scope="module")
def white(clean):
    return clean + np.random.default_rng(0).normal(0, 15, clean.shape).astype(np.float32)


@pytest.fixture(scope="module")
def shared(clean):
    """Noise as after interpolation: neighbours share it, pixels farther apart do not."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=clean.shape), 0.8)
    return clean + (15 * noise / noise.std()).astype(np.float32)


def test_independent_noise_and_clean_images_stay_as_they_are(clean, white, shared):
    for data in (TrainingData(noisy=white), TrainingData(clean=shared),
                 TrainingData(noisy=shared, clean=clean)):  # fmt: skip
        same, steps = of_independent_pixels(data)
        assert same is data
        assert steps == (1, 1)


def test_every_second_pixel_is_an_image_of_its_own_and_nothing_is_copied(shared, white):
    stack = np.stack([shared, shared[::-1]])
    data, steps = of_independent_pixels(TrainingData(noisy=[stack, white[None]], axes="ZYX"))
    assert steps == (2, 2)
    *parts, last = data.noisy
    np.testing.assert_array_equal(last[0], white)  # its noise is independent
    again = np.empty_like(stack)
    for part, (y, x) in zip(parts, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True):
        again[:, y::2, x::2] = part
        assert np.shares_memory(part, stack)
    np.testing.assert_array_equal(again, stack)


@pytest.mark.parametrize("kind", ["zarr", "dask"])
def test_lazy_images_stay_lazy(shared, kind):
    array = zarr.array(shared, chunks=(64, 64)) if kind == "zarr" else da.from_array(shared)
    data, steps = of_independent_pixels(TrainingData(noisy=array))
    assert steps == (2, 2)
    assert all(isinstance(part, da.Array) for part in data.noisy)
    np.testing.assert_array_equal(data.noisy[3], shared[1::2, 1::2])


def test_shared_noise_falls_without_any_clean_image(clean, shared, monkeypatch):
    def gained():
        settings = TrainSettings(steps=60, batch_size=8, patch_size=32, seed=0)
        denoiser = train(TrainingData(noisy=shared), settings)
        made = denoiser.denoise(shared)
        return denoiser, psnr(clean, made, data_range=255) - psnr(clean, shared, data_range=255)

    denoiser, apart = gained()
    assert denoiser.card.training["apart"] == [2, 2]
    assert denoiser.resolve(shared, "YX").steps == (2, 2)
    monkeypatch.setattr(
        "napari_ae_denoise.training_run.of_independent_pixels", lambda data: (data, (1, 1))
    )
    _, whole = gained()
    assert apart > whole + 1
    assert apart > 4
