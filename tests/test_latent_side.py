import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise import NetworkSpec

VARIATIONAL = NetworkSpec("plain", widths=(4, 4), code_channels=3, variational=True)
DENSE = NetworkSpec("dense", widths=(8,), code_channels=3, image_size=(12, 10))
DENSE_VARIATIONAL = NetworkSpec(
    "dense", widths=(8,), code_channels=3, image_size=(12, 10), variational=True
)
RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 255, (5, 12, 10)).astype(np.uint8)


# ---- fully-connected networks among tiles: one tile is the image


def test_a_stack_goes_through_a_fully_connected_network_image_by_image(untrained):
    denoiser = untrained(DENSE)
    assert (denoiser.stride, denoiser.halo) == (12, 0)
    whole = denoiser.denoise(STACK, axes="NYX", precision="float32")
    assert whole.shape == STACK.shape
    code = denoiser.encode(STACK, axes="NYX", precision="float32")
    assert code.shape == (3, 5, 1, 1)
    back = denoiser.decode(code, like=STACK, axes="NYX")
    np.testing.assert_array_equal(back, whole)
    small = denoiser.denoise(STACK, axes="NYX", precision="float32", tile=3)
    np.testing.assert_array_equal(small, whole)


@pytest.mark.parametrize("noise_model", ["gaussian", "camera"])
def test_a_code_is_decoded_with_the_noise_model_it_was_made_with(untrained, noise_model):
    denoiser, inside = untrained("classic"), np.s_[40:-40, 40:-40]
    light = np.full((140, 140), 20.0) + 200 * np.linspace(0, 1, 140)[:, None]
    noisy = RNG.poisson(light)
    image = noisy.astype(np.float32)
    how = {"noise_model": noise_model}
    code = denoiser.encode(image, **how, precision="float32")
    whole = denoiser.denoise(image, **how, precision="float32")
    back = denoiser.decode(code, like=image.tolist(), **how)
    np.testing.assert_allclose(back[inside], whole[inside], rtol=1e-4)


def test_dask_stacks_go_through_a_fully_connected_network(untrained):
    denoiser = untrained(DENSE)
    lazy = da.from_array(STACK, chunks=(2, 5, 7))
    for job in (denoiser.denoise, denoiser.encode):
        made = job(lazy, axes="NYX", precision="float32")
        expected = job(STACK, axes="NYX", precision="float32")
        assert made.shape == expected.shape
        np.testing.assert_allclose(made.compute(), expected, atol=1)


@pytest.mark.parametrize("job", ["denoise", "encode"])
@pytest.mark.parametrize("lazy", [False, True])
def test_images_of_another_size_are_refused(untrained, refused, job, lazy):
    image = RNG.random((24, 20))
    with refused("12 x 10", "24 x 20", remedy="Crop or scale"):
        getattr(untrained(DENSE), job)(da.from_array(image) if lazy else image)


def test_a_fully_connected_code_is_one_pixel(untrained, refused):
    with refused("2 x 1", remedy="(3, ..., 1, 1)"):
        untrained(DENSE).decode(np.zeros((3, 2, 1)))


# ---- variational networks


def test_the_code_is_the_mean_and_the_variance_is_to_be_had(untrained):
    denoiser = untrained(VARIATIONAL)
    image = RNG.random((30, 40)).astype(np.float32)
    code = denoiser.encode(image, precision="float32")
    variance = denoiser.encode_variance(image, precision="float32")
    assert code.shape == variance.shape == (3, 8, 10)
    assert (variance > 0).all()
    tiled = denoiser.encode_variance(image, precision="float32", tile=8)
    np.testing.assert_allclose(tiled, variance, atol=1e-5)
    np.testing.assert_array_equal(denoiser.encode(image, precision="float32"), code)


def test_variance_of_a_plain_code_is_refused(untrained, refused):
    with refused("no variance", remedy="variational"):
        untrained(DENSE).encode_variance(STACK, axes="NYX")


def test_drawn_images_follow_from_the_seed(untrained):
    denoiser = untrained(VARIATIONAL)
    first = denoiser.sample(3, seed=1, size=(30, 21))
    assert first.shape == (3, 30, 21)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, denoiser.sample(3, seed=1, size=(30, 21)))
    assert (first != denoiser.sample(3, seed=2, size=(30, 21))).any()
    assert denoiser.sample(1).shape == (1, 64, 64)


def test_fully_connected_images_are_drawn_in_their_size(untrained, refused):
    denoiser = untrained(DENSE_VARIATIONAL)
    assert denoiser.sample(4, seed=1).shape == (4, 12, 10)
    with refused("12 x 10", "24 x 24"):
        denoiser.sample(4, size=(24, 24))


def test_colours_are_drawn_with_their_channels(untrained):
    assert untrained(VARIATIONAL, channels=3).sample(2, size=(8, 8)).shape == (2, 3, 8, 8)


def test_a_plain_network_draws_nothing(untrained, refused):
    with refused("variational", remedy="variational"):
        untrained("plain").sample(3)


@pytest.mark.parametrize("n", [0, -1, 1.5, 10**9, True, "3"])
def test_numbers_of_images_that_make_no_sense_are_refused(untrained, refused, n):
    with refused(n, remedy="whole number"):
        untrained(VARIATIONAL).sample(n)


@pytest.mark.parametrize("size", [28, (28.5, 28), (-5, 5), (0, 8), (8,), (8, 8, 8), "88"])
def test_sizes_of_no_image_are_refused(untrained, refused, size):
    with refused(repr(size), remedy="two whole numbers above 0"):
        untrained(VARIATIONAL).sample(1, size=size)


@pytest.mark.parametrize("seed", [-1, 1.5, "3", None])
def test_seeds_that_are_none_are_refused(untrained, refused, seed):
    with refused("seed", seed, remedy="not negative"):
        untrained(VARIATIONAL).sample(1, seed=seed)


def test_whole_numbers_of_numpy_draw_images(untrained):
    side = np.int64(8)
    drawn = untrained(VARIATIONAL).sample(np.int64(2), np.int64(1), size=(side, side))
    np.testing.assert_array_equal(drawn, untrained(VARIATIONAL).sample(2, 1, size=(8, 8)))
