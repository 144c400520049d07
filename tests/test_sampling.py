import numpy as np
import pytest
from arrays import Lazy

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.sampling import PatchSampler
from napari_ae_denoise.training_data import TrainingData, as_list

FIXED = Normalization("fixed")


def ramp(height=64, width=64, start=0):
    """An image whose every pixel has its own grey value."""
    return (start + np.arange(height * width)).reshape(height, width).astype(np.float32)


def sampler(data, **changes):
    usual = {"channels": 1, "stride": 4, "normalization": FIXED, "patch_size": 16, "batch_size": 4}
    return PatchSampler(data, **(usual | changes))


# ---- what the user has


def test_what_is_given_decides_how_to_train():
    a, b = ramp(), ramp(start=9)
    assert TrainingData(clean=a).kind == "clean"
    pairs = TrainingData(clean=a, noisy=b)
    assert pairs.kind == "pairs"
    assert pairs.sides[0] is b
    assert pairs.sides[1] is a
    twice = TrainingData(noisy=a, noisy_again=b)
    assert twice.kind == "two noisy"
    assert (twice.sides[0] is a, twice.sides[1] is b) == (True, True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["no images"]),
        ({"noisy_again": ramp()}, ["noisy_again"]),
        ({"clean": ramp(), "noisy_again": ramp()}, ["clean and noisy_again"]),
        ({"clean": ramp(), "noisy": ramp(), "noisy_again": ramp()}, ["clean and noisy and"]),
    ],
)
def test_what_cannot_be_trained_on_is_refused(refused, given, words):
    with refused(*words, remedy="Give"):
        TrainingData(**given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"clean": ramp(8, 8), "noisy": ramp(8, 9)}, ["(8, 9)", "(8, 8)", "pair 0"]),
        ({"clean": [ramp()] * 2, "noisy": [ramp()] * 3}, ["3 images", "2"]),
        ({"clean": []}, ["no images"]),
        ({"clean": ramp() * 1j}, ["complex"]),
        ({"clean": ramp(), "noisy": ramp() * 1j}, ["complex"]),
        ({"clean": np.array([["a", "b"]])}, ["no numbers"]),
    ],
)
def test_images_that_do_not_fit_are_refused(refused, given, words):
    with refused(*words):
        TrainingData(**given)


@pytest.mark.parametrize(
    ("values", "words"),
    [(np.full((64, 64), 5.0), ["constant", "5"]), (np.full((64, 64), np.nan), ["NaN"])],
)
def test_images_that_show_nothing_are_refused(refused, values, words):
    with refused(*words):
        sampler(TrainingData(clean=values), sigma=(1, 2))


def test_axes_that_do_not_fit_are_refused(refused):
    with refused("ZYX", "(64, 64)"):
        sampler(TrainingData(clean=ramp(), axes="ZYX"))


def test_channels_are_three_for_colours_else_one():
    assert TrainingData(clean=np.zeros((9, 9, 3))).channels() == 3
    assert TrainingData(clean=np.zeros((9, 9, 4))).channels() == 3
    assert TrainingData(clean=[np.zeros((4, 9, 9))]).channels() == 1


def test_one_array_is_one_image_and_lists_are_many():
    image = ramp()
    assert as_list(image)[0] is image
    assert len(as_list((image, image))) == 2


# ---- batches


def test_same_seed_and_step_give_the_same_batch():
    made = [sampler(TrainingData(clean=ramp()), sigma=(1, 9), seed=s) for s in (3, 3, 4)]
    made[1].batch(17)
    made[1].batch(0)
    first, again, other = (m.batch(5) for m in made)
    np.testing.assert_array_equal(first.noisy, again.noisy)
    np.testing.assert_array_equal(first.target, again.target)
    assert not np.array_equal(first.noisy, other.noisy)
    assert not np.array_equal(first.noisy, made[0].batch(6).noisy)


def test_patches_are_float32_of_the_size_asked_for():
    batch = sampler(TrainingData(clean=ramp().astype(np.uint16)), sigma=(1, 9)).batch(0)
    assert batch.noisy.shape == batch.target.shape == (4, 1, 16, 16)
    assert batch.noisy.dtype == batch.target.dtype == batch.unit.dtype == np.float32
    assert batch.unit.shape == (4,)


def test_noise_has_the_sigma_asked_for_and_is_fresh_in_each_batch():
    draw = sampler(TrainingData(clean=ramp()), sigma=(20, 20))
    noise = [draw.batch(step).noisy - draw.batch(step).target for step in range(12)]
    assert np.std(noise) == pytest.approx(20, rel=0.03)
    assert np.mean(noise) == pytest.approx(0, abs=0.6)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.15


def test_noise_covers_its_range_and_relative_noise_that_of_the_image():
    for relative, unit in [(False, 1.0), (True, 64 * 64 - 1)]:
        draw = sampler(
            TrainingData(clean=ramp()), sigma=(0.1, 0.5), relative=relative, batch_size=16
        )
        batches = [draw.batch(step) for step in range(10)]
        levels = np.array([(b.noisy - b.target).std(axis=(1, 2, 3)) for b in batches]) / unit
        assert 0.08 < levels.min() < 0.2
        assert 0.4 < levels.max() < 0.57


def test_weak_noise_comes_more_often_and_its_errors_count_more():
    made = sampler(TrainingData(clean=ramp()), sigma=(0.0, 100.0), batch_size=64)
    batches = [made.batch(step) for step in range(8)]
    sigmas = np.concatenate([(b.noisy - b.target).std(axis=(1, 2, 3)) for b in batches])
    assert np.median(sigmas) == pytest.approx(100 * 0.5**1.5, abs=8)
    usual = np.concatenate([b.usual_error for b in batches])
    strong = sigmas > 10
    np.testing.assert_allclose(usual[strong], np.sqrt(sigmas[strong] / 100), rtol=0.1)
    assert usual.min() > 0.1  # an image without noise must not count for everything


def test_errors_count_alike_where_the_noise_is_alike():
    assert sampler(TrainingData(clean=ramp()), sigma=(5.0, 5.0)).batch(0).usual_error is None
    pairs = TrainingData(clean=ramp(), noisy=ramp())
    assert sampler(pairs, sigma=(0, 50)).batch(0).usual_error is None


def test_targets_are_windows_of_the_image_turned_or_mirrored():
    image = ramp()
    ways = set()
    draw = sampler(TrainingData(clean=image), sigma=(0, 0), validation=0)
    for step in range(20):
        for (patch,) in draw.batch(step).target:
            across, down = patch[0, 1] - patch[0, 0], patch[1, 0] - patch[0, 0]
            assert {abs(across), abs(down)} == {1, 64}
            corner = int(patch.min())
            y, x = divmod(corner, 64)
            assert set(patch.ravel()) == set(image[y : y + 16, x : x + 16].ravel())
            ways.add((across, down))
    assert len(ways) == 8


@pytest.mark.parametrize("kind", ["pairs", "two noisy"])
def test_both_sides_of_a_pair_are_cut_and_turned_alike(kind):
    first, second = ramp(), ramp(start=10_000)
    images = {"clean": second, "noisy": first}
    if kind == "two noisy":
        images = {"noisy": first, "noisy_again": second}
    draw = sampler(TrainingData(**images), sigma=(5, 50))
    for step in range(5):
        batch = draw.batch(step)
        np.testing.assert_array_equal(batch.target - batch.noisy, 10_000)
        assert batch.noisy.max() < 64 * 64, "synthetic noise was added to pairs"


def test_one_epoch_sees_every_plane_as_often_as_covers_it():
    planes = np.stack([ramp(start=10_000 * i) for i in range(5)])
    draw = sampler(TrainingData(clean=planes), sigma=(0, 0), validation=0)
    counts = np.zeros(5, int)
    for step in range(20):
        for patch in draw.batch(step).target:
            counts[int(patch.min()) // 10_000] += 1
    np.testing.assert_array_equal(counts, 16)  # 5 planes of 4 x 4 patches: one epoch


def test_every_part_of_the_image_is_seen():
    image = ramp(40, 52)
    draw = sampler(TrainingData(clean=image), sigma=(0, 0), validation=0)
    seen = {v for step in range(400) for v in draw.batch(step).target.ravel().tolist()}
    assert set(image[2:-2, 2:-2].ravel()) <= seen
    for edge in (image[0], image[-1], image[:, 0], image[:, -1]):  # corners come seldom
        assert len(set(edge.tolist()) & seen) > 0.8 * edge.size


@pytest.mark.parametrize("shape", [(64, 64), (12, 64, 64), (3, 200, 16)])
def test_held_out_pixels_are_never_trained_on(shape):
    image = np.arange(np.prod(shape)).reshape(shape).astype(np.float32)
    draw = sampler(TrainingData(clean=image), sigma=(0, 0), validation=0.2)
    held_out = {v for b in draw.validation_batches() for v in b.target.ravel().tolist()}
    trained = {v for step in range(60) for v in draw.batch(step).target.ravel().tolist()}
    assert held_out
    assert not held_out & trained


def test_of_images_that_were_one_the_same_rows_are_held_out():
    row_of = np.repeat(np.arange(64.0), 48).reshape(64, 48).astype(np.float32)
    parts = [row_of + number for number in (0.1, 0.2, 0.3, 0.4)] * 3  # as three images taken apart
    draw = sampler(TrainingData(clean=parts), sigma=(0, 0), validation=0.2, apart=True)
    held_out = {int(v) for b in draw.validation_batches() for v in b.target.ravel()}
    trained = {int(v) for step in range(60) for v in draw.batch(step).target.ravel()}
    assert held_out
    assert max(trained) < min(held_out)


def test_validation_is_the_same_each_time_and_spreads_over_the_noise():
    draw = sampler(TrainingData(clean=ramp()), sigma=(0, 50))
    first, again = draw.validation_batches(), draw.validation_batches()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.noisy, b.noisy)
    levels = np.concatenate([(b.noisy - b.target).std(axis=(1, 2, 3)) for b in first])
    assert levels.min() < 15
    assert levels.max() > 35


def test_images_too_small_to_share_are_validated_on_themselves():
    draw = sampler(TrainingData(clean=ramp(9, 9)), sigma=(1, 1))
    assert sum(len(b.target) for b in draw.validation_batches()) >= 1


@pytest.mark.parametrize("shape", [(1, 7), (3, 2), (5, 40), (16, 1)])
def test_images_smaller_than_a_patch_are_mirrored_to_a_multiple_of_the_stride(shape):
    image = ramp(*shape)
    draw = sampler(TrainingData(clean=image), sigma=(0, 0))
    height, width = draw.patch_shape(16)
    assert (height % 4, width % 4) == (0, 0)
    assert (height, width) == tuple(min(16, -(-n // 4) * 4) for n in shape)
    batch = draw.batch(0)
    assert batch.target.shape[-2:] == (height, width)
    assert set(batch.target.ravel()) <= set(image.ravel())


@pytest.mark.parametrize("scheme", ["blind-spot", "recorrupted"])
def test_a_mirrored_copy_of_a_noisy_pixel_does_not_tell_it(scheme):
    large, small = (np.random.default_rng(0).normal(100, 10, (n, n)) for n in (64, 24))
    made = sampler(
        TrainingData(noisy=[large.astype("f4"), small.astype("f4")]),
        patch_size=64, scheme=scheme, noise_sigma=10.0, augment=False,
    )  # fmt: skip
    batches = [made.batch(step) for step in range(12)] + made.validation_batches()
    likenesses, told, seen = [], [], 0
    for batch in batches:
        for number, (noisy, target) in enumerate(
            zip(batch.noisy[:, 0], batch.target[:, 0], strict=True)
        ):
            if not np.array_equal(target[:, 22], target[:, 24]):
                continue  # it fills the patch
            seen += 1
            if batch.scored is None:
                there, copy = noisy[:24, 1:23], target[:24, 24:46][:, ::-1]
                likenesses.append(np.corrcoef(there.ravel(), copy.ravel())[0, 1])
            else:
                # one may stand in for another: for one of fifty, for each is chosen by chance
                told += [np.isin(target[batch.scored[number, 0]], noisy).mean()]
    assert seen > 3
    assert not likenesses or abs(np.mean(likenesses)) < 0.1
    assert not told or np.mean(told) < 0.1


def test_larger_patches_come_fewer_at_a_time():
    draw = sampler(TrainingData(clean=ramp()), sigma=(1, 1), batch_size=8)
    assert draw.batch(0, 32).noisy.shape == (2, 1, 32, 32)
    assert draw.batch(0, 64).noisy.shape[0] == 1


def test_invalid_pixels_become_grey_on_both_sides():
    clean, noisy = ramp(), ramp(start=5)
    clean[10:30, 10:30] = np.nan
    noisy[40, :] = np.inf
    draw = sampler(TrainingData(clean=clean, noisy=noisy))
    changed = 0
    for step in range(10):
        batch = draw.batch(step)
        assert np.isfinite(batch.noisy).all()
        assert np.isfinite(batch.target).all()
        changed += (batch.target == batch.noisy).sum()
    assert changed > 100


def test_lazy_images_give_what_numpy_gives_without_being_read_whole():
    image = np.random.default_rng(0).random((3, 60, 70)).astype(np.float32)
    a = sampler(TrainingData(clean=image), sigma=(1, 2)).batch(3)
    b = sampler(TrainingData(clean=Lazy(image)), sigma=(1, 2)).batch(3)
    np.testing.assert_array_equal(a.target, b.target)
    large = Lazy(np.broadcast_to(np.arange(4096, dtype=np.float32), (100, 4096, 4096)))
    draw = sampler(TrainingData(clean=large), sigma=(1, 2))
    draw.batch(0)
    assert large.pixels_read < 3_000_000


def test_images_of_many_shapes_go_together():
    images = [ramp(20, 90), ramp(64, 64, 100_000), ramp(9, 9, 200_000)]
    draw = sampler(TrainingData(clean=images), sigma=(0, 0))
    seen = {int(v) // 100_000 for step in range(30) for v in draw.batch(step).target.max((1, 2, 3))}
    assert seen == {0, 1, 2}


def test_colours_stay_together_and_alpha_is_left_out():
    image = np.stack([ramp(), ramp(start=10_000), ramp(start=20_000), np.full((64, 64), 7.0)], -1)
    batch = sampler(TrainingData(clean=image), channels=3, sigma=(0, 0)).batch(0)
    assert batch.target.shape == (4, 3, 16, 16)
    np.testing.assert_array_equal(batch.target[:, 1] - batch.target[:, 0], 10_000)
    np.testing.assert_array_equal(batch.target[:, 2] - batch.target[:, 0], 20_000)


def test_grey_map_of_training_is_that_of_the_noisy_image():
    """What the network sees in training is stretched as `Denoiser.denoise` will stretch it."""
    clean = np.random.default_rng(0).uniform(0, 100, (256, 256))
    for sigma in (0, 20, 60):
        noisy = clean + sigma * np.random.default_rng(1).standard_normal(clean.shape)
        expected = Normalization().of_values(noisy)
        draw = sampler(
            TrainingData(clean=clean), normalization=Normalization(), sigma=(0, 60), batch_size=1
        )
        found = draw._sources[0].greys(0).grey_map(sigma)
        assert found.scale == pytest.approx(expected.scale, rel=0.06)
        assert found.offset == pytest.approx(expected.offset, abs=0.04 * expected.scale)


def test_unit_turns_errors_into_parts_of_the_data_range():
    draw = sampler(TrainingData(clean=ramp()), normalization=Normalization("fixed", scale=8.0))
    assert draw.batch(0).unit[0] == pytest.approx(8 / 4095)
    eight = sampler(TrainingData(clean=ramp(8, 8).astype(np.uint8)))
    assert eight.batch(0).unit[0] == pytest.approx(1 / 255)


def test_training_never_changes_the_images():
    clean = ramp()
    clean[3, 3] = np.nan
    before = clean.tobytes()
    clean.flags.writeable = False
    draw = sampler(TrainingData(clean=clean), normalization=Normalization(), sigma=(1, 9))
    draw.batch(0)
    draw.validation_batches()
    assert clean.tobytes() == before


def test_channels_that_are_seen_apart_are_mapped_apart_as_in_prediction():
    rng = np.random.default_rng(0)
    image = np.stack([rng.uniform(0, 1, (64, 64)), rng.uniform(0, 1000, (64, 64))])
    normalization = Normalization()
    draw = PatchSampler(
        TrainingData(noisy=image, noisy_again=image, axes="CYX"),
        channels=1,
        stride=4,
        normalization=normalization,
        patch_size=16,
    )
    layout = plane_layout(image.shape, "CYX", network_channels=1)
    expected = normalization.of_image(image, layout)
    assert expected[1].scale > 500 * expected[0].scale
    for plane in (0, 1):
        found = draw._sources[0].greys(plane).grey_map(0.0)
        assert (found.offset, found.scale) == (expected[plane].offset, expected[plane].scale)
