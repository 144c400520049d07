import numpy as np
import pytest

from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.sampling import PatchSampler
from napari_ae_denoise.small_images import StackSampler, choose_sampler
from napari_ae_denoise.training_data import TrainingData

COUNT, SIDE = 30, 12
HOW = {
    "channels": 1,
    "stride": 4,
    "normalization": Normalization(low=0, high=100),
    "patch_size": SIDE,
    "batch_size": 8,
    "seed": 3,
}


def stack(dtype=np.uint8, shape=(COUNT, SIDE, SIDE)):
    values = np.random.default_rng(0).integers(0, 256, shape)
    return values.astype(dtype)


def numbered(dtype=np.float32):
    """Images of which each is its own number; the first and the last pixel span the range."""
    images = np.full((COUNT, SIDE, SIDE), np.arange(COUNT)[:, None, None], dtype)
    images[0, 0, 0], images[-1, -1, -1] = -1, COUNT
    return images


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_batches_of_pairs_are_those_of_the_patch_sampler(dtype):
    data = TrainingData(clean=stack(dtype), noisy=stack(dtype)[::-1], axes="NYX")
    how = HOW | {"augment": False}
    fast, slow = choose_sampler(data, **how), PatchSampler(data, **how)
    assert isinstance(fast, StackSampler)
    assert fast.steps_per_epoch == slow.steps_per_epoch
    for step in range(9):
        a, b = fast.batch(step), slow.batch(step)
        np.testing.assert_allclose(a.noisy, b.noisy, atol=1e-6)
        np.testing.assert_allclose(a.target, b.target, atol=1e-6)
        np.testing.assert_allclose(a.unit, b.unit)
        assert a.noisy.dtype == a.target.dtype == a.unit.dtype == np.float32
        assert a.usual_error is b.usual_error is None


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("sigma", [(40.0, 40.0), (0.0, 60.0)])
def test_synthetic_noise_is_that_of_the_patch_sampler(sigma, clip):
    data = TrainingData(clean=stack(), axes="NYX")
    how = HOW | {"augment": False, "sigma": sigma, "clip": clip, "batch_size": 400}
    a, b = (kind(data, **how).batch(0) for kind in (StackSampler, PatchSampler))
    np.testing.assert_allclose(a.target, b.target, atol=1e-5)
    np.testing.assert_allclose(a.unit, b.unit, rtol=1e-5)
    if sigma[0] == sigma[1]:
        assert a.usual_error is b.usual_error is None
    else:
        np.testing.assert_allclose(a.usual_error, b.usual_error)
    np.testing.assert_allclose(a.noisy, b.noisy, atol=1e-5)
    for batch in (a, b):
        inside = batch.noisy.min() > -1e-5 and batch.noisy.max() < 1 + 1e-5
        assert inside == clip


def test_noise_is_drawn_afresh_in_each_pass_and_repeats_by_seed():
    sampler = choose_sampler(TrainingData(clean=stack(), axes="NYX"), sigma=(20, 20), **HOW)
    first = sampler.batch(0)
    np.testing.assert_array_equal(first.noisy, sampler.batch(0).noisy)
    assert not np.array_equal(first.noisy, sampler.batch(1).noisy)


def test_every_image_is_seen_once_in_a_pass():
    data = TrainingData(clean=numbered(), noisy=numbered(), axes="NYX")
    sampler = choose_sampler(data, **(HOW | {"batch_size": 10, "validation": 0.0}))
    seen = np.concatenate([sampler.batch(step).target[:, 0, 5, 5] for step in range(3)])
    found = np.rint(seen * (COUNT + 1) - 1)
    assert sorted(found) == list(range(COUNT))


def test_augmented_pairs_are_turned_together_in_all_ways():
    image = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    data = TrainingData(
        clean=np.stack([image] * COUNT), noisy=np.stack([image] * COUNT), axes="NYX"
    )
    batch = choose_sampler(data, **(HOW | {"batch_size": 64})).batch(0)
    np.testing.assert_array_equal(batch.noisy, batch.target)
    assert len({patch.tobytes() for patch in batch.target}) == 8


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (TrainingData(clean=stack(), axes="NYX"), {"patch_size": 8}),
        (TrainingData(clean=stack(), axes="NYX"), {"stride": 8}),
        (TrainingData(clean=[stack(), stack()], axes="NYX"), {}),
        (TrainingData(clean=stack(shape=(SIDE, SIDE)), axes="YX"), {}),
        (TrainingData(clean=stack(shape=(4, 3, SIDE, SIDE)), axes="NCYX"), {}),
        (TrainingData(noisy=stack(np.float32), axes="NYX"), {"scheme": "blind-spot"}),
    ],
)
def test_other_data_go_to_the_patch_sampler(data, changes):
    assert type(choose_sampler(data, **(HOW | changes))) is PatchSampler


def test_invalid_pixels_go_to_the_patch_sampler():
    images = stack(np.float32)
    images[3, 4, 5] = np.nan
    sampler = choose_sampler(TrainingData(clean=images, axes="NYX"), **HOW)
    assert type(sampler) is PatchSampler
    assert sampler.invalid_pixels == 1
