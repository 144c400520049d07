"""Noise as photographs have it, against Pillow's JPEG and by what its draws have in common."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.photograph_noise import as_saved, photograph_noise
from napari_ae_denoise.sampling import PatchSampler
from napari_ae_denoise.training_data import TrainingData

CLEAN = data.astronaut()[:256, :256].astype(np.float32).transpose(2, 0, 1)


def draws(light, sigma, count):
    return [photograph_noise(light, sigma, np.random.default_rng(seed)) for seed in range(count)]


def in_common(noise):
    """Return how much red, green and blue have in common: 0 nothing, 1 all."""
    return float(np.corrcoef(noise.reshape(3, -1))[np.triu_indices(3, 1)].mean())


@pytest.mark.parametrize(
    ("quality", "subsampling", "shared"), [(95, 2, (2, 2)), (85, 2, (2, 2)), (90, 1, (1, 2))]
)
def test_noise_is_what_a_jpeg_makes_of_it(quality, subsampling, shared):
    # gray, for the colours of the image itself become coarser too; and not clipped
    clean = np.repeat(50 + 0.6 * CLEAN[:1], 3, axis=0)
    sent = np.rint(clean + np.random.default_rng(0).normal(0, 12, clean.shape))
    file = io.BytesIO()
    image = Image.fromarray(sent.astype(np.uint8).transpose(1, 2, 0))
    image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    saved = Image.open(file)
    real = np.asarray(saved, np.float32).transpose(2, 0, 1) - clean
    step = float(max(saved.quantization[0]))
    made = as_saved(clean, sent - clean, shared, step, (0, 0))
    inner = np.s_[:, 16:-16, 16:-16]
    error = (made - real)[inner].std() / real[inner].std()
    before = ((sent - clean) - real)[inner].std() / real[inner].std()
    # JPEG rounds to whole numbers before: here and there a frequency falls to another step
    assert error < 0.3
    assert before > 1


def test_nothing_that_saving_does_moves_where_a_patch_begins():
    noise = np.random.default_rng(0).standard_normal(CLEAN.shape, dtype=np.float32)
    whole = as_saved(CLEAN / 20, noise, (2, 2), 1.5, (0, 0))
    part = np.s_[:, 21:149, 38:201]
    made = as_saved(CLEAN[part] / 20, noise[part], (2, 2), 1.5, (21 % 16, 38 % 16))
    inner = np.s_[:, 16:-16, 16:-16]
    np.testing.assert_allclose(made[inner], whole[part][inner], atol=1e-4)


def test_without_rounding_gray_noise_is_kept_as_it_is():
    grain = np.random.default_rng(0).standard_normal((1, 33, 47), dtype=np.float32)
    noise = np.repeat(grain, 3, axis=0)
    made = as_saved(np.zeros_like(noise), noise, (2, 2), 0.0, (3, 9))
    np.testing.assert_allclose(made, noise, atol=1e-5)


def test_noise_is_independent_in_part_and_the_same_in_all_colours_in_part():
    noises = draws(np.zeros((3, 96, 96), np.float32), 0.1, 300)
    common = np.array([in_common(noise) for noise in noises])
    assert np.mean(np.abs(common) < 0.04) > 0.4
    assert np.mean(common > 0.99) > 0.02
    assert np.mean(common < -0.05) > 0.02  # a camera's matrix takes one colour from another
    # where colour is coarse, what differs between neighbours is the same in all colours
    fine = np.array([in_common(np.diff(n, axis=2)[:, ::2]) for n in noises])
    assert np.mean(fine > common + 0.1) > 0.2


def test_noise_is_as_strong_as_was_asked_for_or_weaker():
    spread = [n.std() for n in draws(np.zeros((3, 96, 96), np.float32), 0.1, 300)]
    assert max(spread) < 1.3  # rounding in itself may add a little
    assert np.median(spread) == pytest.approx(1, abs=0.02)
    assert min(spread) > 0.4


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (16, 16), (33, 70)])
def test_patches_may_have_any_size(shape):
    for noise in draws(np.ones((3, *shape), np.float32), 0.2, 40):
        assert (noise.shape, noise.dtype) == ((3, *shape), np.float32)
        assert np.isfinite(noise).all()


def test_noise_of_gray_images_is_rounded_in_part():
    light = CLEAN[:1, :96, :96] / 255
    noises = draws(light, 0.1, 100)
    assert {noise.shape for noise in noises} == {(1, 96, 96)}
    white = [
        np.random.default_rng(seed).standard_normal(light.shape, dtype=np.float32)
        for seed in range(100)
    ]
    kept = np.mean([np.array_equal(n, w) for n, w in zip(noises, white, strict=True)])
    assert 0.6 < kept < 0.95
    for noise, before in zip(noises, white, strict=True):
        assert np.corrcoef(noise.ravel(), before.ravel())[0, 1] > 0.7
    assert np.mean([n.std() for n in noises]) == pytest.approx(1, abs=0.1)


HOW = {"channels": 3, "stride": 4, "normalization": Normalization("fixed"), "patch_size": 64}


def patches(image, noise, steps=12):
    sampler = PatchSampler(
        TrainingData(clean=image, axes="YXC"), **HOW, sigma=(20.0, 20.0), noise=noise
    )
    return [sampler.batch(step) for step in range(steps)]


@pytest.mark.parametrize("noise", ["gaussian", "camera", "photograph"])
def test_a_photograph_without_colours_has_the_same_noise_in_all(noise):
    gray = np.repeat(data.camera()[:256, :256, None], 3, axis=2)
    for batch in patches(gray, noise):
        np.testing.assert_array_equal(batch.noisy[:, 0], batch.noisy[:, 1])
        np.testing.assert_array_equal(batch.noisy[:, 0], batch.noisy[:, 2])
        assert (batch.noisy - batch.target).std() > 5


def test_of_a_stack_the_planes_without_colours_alone_have_the_same_noise_in_all():
    colours = data.astronaut()[:256, :256]
    gray = np.repeat(data.camera()[:256, :256, None], 3, axis=2)
    sampler = PatchSampler(
        TrainingData(clean=np.stack([gray] * 5 + [colours]), axes="NYXC"),
        **HOW,
        sigma=(20.0, 20.0),
    )
    for batch in (sampler.batch(step) for step in range(6)):
        for noisy, clean in zip(batch.noisy, batch.target, strict=True):
            same = in_common(noisy - clean) > 0.999
            assert same is bool((clean == clean[:1]).all())


def test_a_training_with_colours_sees_all_of_it():
    clean = data.astronaut()[:256, :256]
    made = [b.noisy - b.target for b in patches(clean, "photograph")]
    common = [in_common(noise) for batch in made for noise in batch]
    assert min(common) < 0.1
    assert max(common) > 0.9
    plain = [in_common(n) for b in patches(clean, "gaussian") for n in b.noisy - b.target]
    np.testing.assert_allclose(plain, 0, atol=0.08)
