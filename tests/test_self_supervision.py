import numpy as np
import pytest

from napari_ae_denoise import TrainingData, add_camera_noise, add_gaussian_noise, psnr
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.samples import mitochondria
from napari_ae_denoise.sampling import PatchSampler
from napari_ae_denoise.self_supervision import blind_spot, recorrupted
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.training import train

RNG = np.random.default_rng(0)


def sampler(noisy, axes=None, **how):
    usual = {"channels": 1, "stride": 4, "normalization": Normalization(), "patch_size": 32}
    return PatchSampler(TrainingData(noisy=noisy, axes=axes), **(usual | how))


# ---- recorrupted


def test_the_noise_of_the_two_recorrupted_images_is_independent():
    noise = 3 * RNG.standard_normal((512, 512)).astype(np.float32)
    seen, target = recorrupted(noise, 3.0, np.random.default_rng(1))
    assert np.corrcoef(seen.ravel(), target.ravel())[0, 1] == pytest.approx(0, abs=0.01)
    assert seen.std() == pytest.approx(3 * np.sqrt(1 + 0.25), rel=0.01)
    assert target.std() == pytest.approx(3 * np.sqrt(1 + 4), rel=0.01)


def test_recorrupted_images_keep_their_mean():
    clean = np.full((256, 256), 7, np.float32)
    for made in recorrupted(clean, 2.0, np.random.default_rng(1)):
        assert made.mean() == pytest.approx(7, abs=0.05)


# ---- blind spot


def test_hidden_pixels_come_from_neighbours_and_all_others_stay():
    image = np.arange(2 * 64 * 80, dtype=np.float32).reshape(2, 64, 80)
    for seed in range(20):
        seen, hidden = blind_spot(image, np.random.default_rng(seed))
        np.testing.assert_array_equal(hidden[0], hidden[1])
        np.testing.assert_array_equal(seen[~hidden], image[~hidden])
        assert (seen[hidden] != image[hidden]).all()
        for y, x in np.argwhere(hidden[0]):
            around = image[0, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            assert seen[0, y, x] in around
            assert seen[1, y, x] - seen[0, y, x] == 64 * 80  # the same neighbour in each channel


def test_few_pixels_are_hidden_but_always_one():
    _, hidden = blind_spot(np.zeros((1, 512, 512), np.float32), np.random.default_rng(0))
    assert 0.01 < hidden.mean() < 0.03
    for seed in range(20):
        _, hidden = blind_spot(np.zeros((1, 4, 4), np.float32), np.random.default_rng(seed))
        assert hidden.any()


def test_every_neighbour_is_drawn_alike():
    image = np.zeros((1, 401, 401), np.float32)
    y, x = np.mgrid[:401, :401]
    image[0] = 1000 * y + x
    counts = np.zeros((5, 5))
    for seed in range(10):
        seen, hidden = blind_spot(image, np.random.default_rng(seed))
        for at_y, at_x in np.argwhere(hidden[0][2:-2, 2:-2]) + 2:
            from_y, from_x = divmod(int(seen[0, at_y, at_x]), 1000)
            counts[from_y - at_y + 2, from_x - at_x + 2] += 1
    assert counts[2, 2] == 0
    others = np.delete(counts.ravel(), 12)
    assert others.std() / others.mean() < 0.05


# ---- batches


def test_recorrupted_batches_have_the_estimated_noise(camera):
    noisy = add_gaussian_noise(np.full((128, 128), 100.0), 20, seed=0)
    noisy[:, :2] += camera[:, :2]  # something to see
    draw = sampler(noisy, scheme="recorrupted", validation=0)
    batch = draw.batch(0)
    assert batch.scored is None
    scale = Normalization().of_values(noisy).scale
    difference = (batch.noisy - batch.target) * scale  # (a + 1/a) n
    assert difference.std() == pytest.approx(2.5 * 20, rel=0.1)
    told = sampler(noisy, scheme="recorrupted", noise_sigma=5.0, validation=0).batch(0)
    assert ((told.noisy - told.target) * scale).std() == pytest.approx(2.5 * 5, rel=0.05)


def test_channels_apart_have_their_own_noise():
    stack = np.stack([add_gaussian_noise(np.full((64, 64), 9.0), s, seed=0) for s in (1, 50)])
    source, window = sampler(stack, axes="CYX")._sources[0], np.zeros((1, 8, 8), np.float32)
    assert source.noise_sigma(0, window) == pytest.approx(1, rel=0.1)
    assert source.noise_sigma(1, window) == pytest.approx(50, rel=0.1)


def test_blind_spot_batches_say_which_pixels_count(noisy_camera):
    batch = sampler(noisy_camera, scheme="blind-spot").batch(0)
    assert batch.scored.shape == batch.noisy.shape
    np.testing.assert_array_equal(batch.noisy != batch.target, batch.scored)


def test_an_image_without_noise_is_refused(refused):
    ramp = np.add.outer(np.arange(64.0), np.arange(64.0))
    with refused("estimated noise", "0", remedy="blind-spot"):
        sampler(ramp, scheme="recorrupted").batch(0)


@pytest.mark.parametrize("scheme", ["recorrupted", "blind-spot"])
def test_the_same_seed_gives_the_same_batches(noisy_camera, scheme):
    first, second = (sampler(noisy_camera, scheme=scheme, seed=3).batch(5) for _ in range(2))
    np.testing.assert_array_equal(first.noisy, second.noisy)
    np.testing.assert_array_equal(first.target, second.target)


def test_the_scheme_is_chosen_by_the_noise(camera):
    assert sampler(add_gaussian_noise(camera, 20, seed=0)).scheme == "recorrupted"
    assert sampler(mitochondria().noisy).scheme == "blind-spot"  # some 8 photons
    assert sampler(camera, scheme="blind-spot").scheme == "blind-spot"
    light = camera.astype(np.float32)
    assert sampler(add_camera_noise(light, 3.0, seed=0)).scheme == "recorrupted"
    assert sampler(add_camera_noise(light, 30.0, seed=0)).scheme == "blind-spot"  # few photons
    ramp = np.add.outer(np.arange(64.0), np.arange(64.0))
    assert sampler(ramp).scheme == "blind-spot"  # no noise to tell
    assert sampler(ramp, noise_sigma=3.0).scheme == "recorrupted"  # somebody knows better


def test_noise_of_a_camera_is_recorrupted_as_strong_as_it_is_there(camera):
    noisy = add_camera_noise(camera.astype(np.float32), 6.0, read_noise=3, seed=0)
    draw = sampler(noisy, scheme="recorrupted", validation=0, patch_size=128, batch_size=4)
    scale = Normalization().of_values(noisy).scale
    made = [draw.batch(step) for step in range(4)]
    difference = np.concatenate([(b.noisy - b.target) * scale / 2.5 for b in made]).ravel()
    grey = np.concatenate([(b.noisy * 4 + b.target) / 5 for b in made]).ravel()  # the image itself
    grey = grey * scale + Normalization().of_values(noisy).offset
    dark, bright = grey < 40, grey > 180
    assert difference[dark].std() == pytest.approx(np.sqrt(6 * 20 + 9), rel=0.35)
    assert difference[bright].std() == pytest.approx(np.sqrt(6 * 200 + 9), rel=0.15)


# ---- trainings

SPEC = NetworkSpec("residual", widths=(16, 32), blocks=1, skips=True, stem=2)


def settings(**changes):
    usual = {
        "preset": SPEC,
        "steps": 250,
        "batch_size": 8,
        "patch_size": 32,
        "learning_rate": 3e-3,
        "device": "cpu",
        "precision": "float32",
    }
    return TrainSettings(**(usual | changes))


@pytest.mark.parametrize(("scheme", "gain"), [("recorrupted", 4.0), ("blind-spot", 2.5)])
def test_noise_falls_without_any_clean_image(camera, noisy_camera, scheme, gain):
    denoiser = train(TrainingData(noisy=noisy_camera), settings(scheme=scheme))
    denoised = denoiser.denoise(noisy_camera, precision="float32")
    before, after = (psnr(camera, image, data_range=255) for image in (noisy_camera, denoised))
    assert after > before + gain
    assert denoiser.card.data_kind == "noisy"
    assert denoiser.card.sigma is None


@pytest.mark.parametrize(("axes", "shape"), [("ZYX", (3, 40, 48)), ("YXC", (40, 48, 3))])
@pytest.mark.parametrize("scheme", ["recorrupted", "blind-spot"])
def test_stacks_and_photographs_can_be_learned_from_alone(axes, shape, scheme):
    noisy = RNG.normal(100, 20, shape).astype(np.float32)
    how = settings(scheme=scheme, steps=3, preset="residual", batch_size=2)
    denoiser = train(TrainingData(noisy=noisy, axes=axes), how)
    assert denoiser.denoise(noisy, axes=axes).shape == shape
