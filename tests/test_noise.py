import threading

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ae_denoise import add_camera_noise, add_gaussian_noise
from napari_ae_denoise.noise import noise_steps
from napari_ae_denoise.noise_cells import GaussianNoise, Noise
from napari_ae_denoise.steps import drain

RNG = np.random.default_rng(0)
REAL_TYPES = ["u1", "u2", "u4", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">f4", "?"]


def flat(shape=(400, 300), value=100.0, dtype=float):
    return np.full(shape, value, dtype)


# ---- what is added


@pytest.mark.parametrize(("sigma", "mean"), [(7.0, 0.0), (3.0, 20.0), (0.0, 5.0)])
def test_noise_has_the_sigma_and_the_mean_that_were_asked_for(sigma, mean):
    noise = add_gaussian_noise(flat(), sigma, mean=mean, seed=1) - 100
    assert noise.std() == pytest.approx(sigma, rel=0.02, abs=1e-9)
    assert noise.mean() == pytest.approx(mean, abs=0.05 * max(sigma, 0.01))


def test_noise_is_normal_and_white():
    noise = add_gaussian_noise(flat((512, 512)), 1.0, seed=2) - 100
    for bound, share in [(1, 0.6827), (2, 0.9545), (3, 0.9973)]:
        assert (abs(noise) < bound).mean() == pytest.approx(share, abs=0.004)
    for shift in [(0, 1), (1, 0), (0, 128), (128, 0), (128, 128)]:  # also from cell to cell
        assert abs((noise * np.roll(noise, shift, (0, 1))).mean()) < 0.01


def test_planes_of_a_stack_and_colours_have_noise_of_their_own():
    noise = add_gaussian_noise(flat((3, 200, 200)), 1.0, seed=2) - 100
    assert abs(np.corrcoef(noise.reshape(3, -1)) - np.eye(3)).max() < 0.02
    noise = add_gaussian_noise(flat((200, 200, 3)), 1.0, seed=2) - 100
    assert abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.02


def test_relative_noise_is_a_fraction_of_the_data_range():
    image = np.linspace(-50, 150, 120_000).reshape(400, 300)
    noise = add_gaussian_noise(image, 0.1, mean=0.5, relative=True, seed=0) - image
    assert noise.std() == pytest.approx(20, rel=0.02)
    assert noise.mean() == pytest.approx(100, abs=0.5)


def test_nothing_is_clipped_unless_asked():
    image = RNG.random((200, 200))
    noisy = add_gaussian_noise(image, 0.5, seed=0)
    assert noisy.min() < -0.5
    assert noisy.max() > 1.5
    clipped = add_gaussian_noise(image, 0.5, clip=True, seed=0)
    assert (clipped.min(), clipped.max()) == (image.min(), image.max())
    np.testing.assert_array_equal(clipped, np.clip(noisy, image.min(), image.max()))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i1", "i2", "i4", "i8"])
def test_integers_are_rounded_and_clipped_never_wrapped(dtype):
    limits = np.iinfo(dtype)
    image = np.array([[limits.min, limits.max], [limits.max, limits.min]] * 50, dtype)
    noisy = add_gaussian_noise(image, 20, seed=0)
    assert noisy.dtype == image.dtype
    half = (limits.max // 2 + limits.min // 2) or limits.max // 2
    assert ((noisy > half) == (image > half)).all()


def test_integers_are_rounded_to_the_nearest():
    noisy = add_gaussian_noise(flat(dtype=np.uint8), 5, seed=0)
    exact = add_gaussian_noise(flat(dtype=np.float32), 5, seed=0)
    np.testing.assert_array_equal(noisy, np.rint(exact))


@pytest.mark.parametrize("dtype", REAL_TYPES)
def test_every_real_dtype_is_kept_and_the_input_untouched(dtype):
    image = (100 * RNG.random((30, 40))).astype(dtype)
    image.flags.writeable = False
    before = image.tobytes()
    noisy = add_gaussian_noise(image, 10, seed=0)
    assert noisy.dtype == image.dtype
    assert noisy.shape == image.shape
    assert image.tobytes() == before


def test_any_strides_give_the_same():
    image = (200 * RNG.random((60, 80))).astype(np.uint8)
    expected = add_gaussian_noise(image, 10, seed=0)
    for other in (np.asfortranarray(image), np.repeat(image, 2, 1)[:, ::2]):
        np.testing.assert_array_equal(add_gaussian_noise(other, 10, seed=0), expected)


def test_alpha_gets_no_noise():
    image = np.full((60, 50, 4), 100, np.uint8)
    noisy = add_gaussian_noise(image, 20, seed=0)
    assert (noisy[..., 3] == 100).all()
    assert (noisy[..., :3] != 100).mean() > 0.9
    told = add_gaussian_noise(image, 20, seed=0, axes="ZYX")  # no colours then
    assert (told[..., 3] != 100).any()


def test_the_range_of_a_photograph_is_that_of_its_colours():
    image = np.zeros((60, 50, 4), np.float32)
    image[..., 0] = np.linspace(0, 1, 50)
    image[..., 3] = 1000
    noisy = add_gaussian_noise(image, 0.1, relative=True, seed=0)
    assert (noisy - image)[..., :3].std() == pytest.approx(0.1, rel=0.1)


def test_pixels_that_are_not_finite_stay_so_and_do_not_count():
    image = np.linspace(0, 100, 4000).reshape(50, 80)
    image[3, 4], image[5, 6], image[7, 8] = np.nan, np.inf, -np.inf
    noisy = add_gaussian_noise(image, 0.1, relative=True, seed=0)
    np.testing.assert_array_equal(np.isfinite(noisy), np.isfinite(image))
    finite = np.isfinite(image)
    assert (noisy[finite] - image[finite]).std() == pytest.approx(10, rel=0.1)
    clipped = add_gaussian_noise(image, 0.1, relative=True, clip=True, seed=0)
    np.testing.assert_array_equal(clipped[~finite], image[~finite])


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3,), (2, 3, 4, 5, 6), (129, 127)])
def test_every_shape_gets_noise(shape):
    noisy = add_gaussian_noise(np.zeros(shape), 1.0, seed=0)
    assert noisy.shape == shape
    assert (noisy != 0).all()


# ---- seeds and chunks


def test_the_same_seed_gives_the_same_noise_another_seed_another():
    image = flat((50, 60))
    first = add_gaussian_noise(image, 5, seed=3)
    np.testing.assert_array_equal(first, add_gaussian_noise(image, 5, seed=3))
    assert (first != add_gaussian_noise(image, 5, seed=4)).all()
    assert (add_gaussian_noise(image, 5) != add_gaussian_noise(image, 5)).all()


@settings(max_examples=40)
@given(data=st.data())
def test_noise_does_not_depend_on_chunks(data):
    ndim = data.draw(st.integers(2, 4))
    shape = tuple(data.draw(st.integers(1, n)) for n in (3, 3, 300, 200)[-ndim:])
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    chunks = tuple(max(c, n // 4) for c, n in zip(chunks, shape, strict=True))
    options = {
        "relative": data.draw(st.booleans()),
        "clip": data.draw(st.booleans()),
        "mean": 0.1,
        "seed": data.draw(st.integers(0, 9)),
    }
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    if image.size < 2:
        options["relative"] = False
    whole = add_gaussian_noise(image, 0.5, **options)
    lazy = add_gaussian_noise(da.from_array(image, chunks=chunks), 0.5, **options)
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == image.dtype
    np.testing.assert_allclose(lazy.compute(scheduler="synchronous"), whole, rtol=1e-6, atol=1e-4)


def test_a_lazy_image_is_the_same_each_time_it_is_computed():
    lazy = add_gaussian_noise(da.zeros((300, 300), chunks=100), 5)
    np.testing.assert_array_equal(lazy.compute(), lazy.compute())
    np.testing.assert_array_equal(lazy[100:200, 50:70].compute(), lazy.compute()[100:200, 50:70])


def test_nothing_lazy_is_computed_before_it_is_asked_for():
    computed = []

    def note(block):
        computed.append(1)
        return block

    lazy = da.zeros((64, 64), chunks=8).map_blocks(note, dtype=float, meta=np.empty((0, 0)))
    add_gaussian_noise(lazy, 0.5, clip=True, relative=True, seed=0)
    assert not computed


def test_alpha_of_a_lazy_photograph_gets_no_noise():
    image = np.full((60, 50, 4), 100, np.uint8)
    lazy = add_gaussian_noise(da.from_array(image, chunks=(30, 50, 2)), 20, seed=0)
    np.testing.assert_array_equal(lazy.compute(), add_gaussian_noise(image, 20, seed=0))


def test_a_zarr_array_gives_a_lazy_one_in_its_own_chunks():
    image = np.arange(6000, dtype=np.float32).reshape(3, 40, 50)
    stored = zarr.array(image, chunks=(1, 20, 25))
    for noisy in (
        add_gaussian_noise(stored, 0.1, relative=True, seed=1),
        drain(noise_steps(stored, GaussianNoise(0.1, relative=True), seed=1)),
    ):
        assert isinstance(noisy, da.Array)
        assert noisy.chunksize == (1, 20, 25)
        expected = add_gaussian_noise(image, 0.1, relative=True, seed=1)
        np.testing.assert_array_equal(noisy.compute(), expected)


# ---- in steps


@pytest.mark.parametrize(
    ("shape", "dtype", "options"),
    [
        ((300, 290), "u1", {}),
        ((3, 140, 150), "f4", {"relative": True, "clip": True, "mean": 0.1}),
        ((5, 40, 50, 4), "u2", {"axes": "ZYXC", "clip": True}),
        ((150, 140, 7), ">f4", {"axes": "YXZ", "relative": True}),
        ((9,), "f8", {"relative": True}),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_steps_give_the_noise_of_the_function(shape, dtype, options, lazy):
    image = (250 * RNG.random(shape)).astype(dtype)
    law = GaussianNoise(0.3, options.get("mean", 0.0), options.get("relative", False))
    how = {name: options[name] for name in ("clip", "axes") if name in options}
    made = drain(noise_steps(da.from_array(image) if lazy else image, law, seed=4, **how))
    assert isinstance(made, da.Array if lazy else np.ndarray)
    assert made.dtype == image.dtype
    np.testing.assert_array_equal(made, add_gaussian_noise(image, 0.3, seed=4, **options))


def test_steps_tell_the_finished_part_up_to_one():
    parts = []
    drain(noise_steps(flat((3, 200, 200)), GaussianNoise(1.0)), parts.append)
    assert len(parts) == 12
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (pytest.approx(128**2 / 120_000), 1)


def test_steps_measure_the_limits_of_an_image_once(monkeypatch):
    measured = []
    limits = Noise.limits
    monkeypatch.setattr(
        Noise, "limits", lambda self, image: measured.append(image.shape) or limits(self, image)
    )
    image = RNG.random((20, 130, 140))
    drain(noise_steps(image, GaussianNoise(0.1, relative=True), clip=True))
    assert measured == [image.shape]


def test_steps_read_a_lazy_image_once_for_its_limits_and_not_for_the_noise():
    read = []

    def note(block):
        read.append(1)
        return block

    image = da.from_array(RNG.random((8, 30, 30)), chunks=(1, 30, 30))
    image = image.map_blocks(note, dtype=float, meta=np.empty((0, 0, 0)))
    drain(noise_steps(image, GaussianNoise(0.1)))
    assert not read  # neither relative nor clipped: nothing need be known
    noisy = drain(noise_steps(image, GaussianNoise(0.1, relative=True)))
    assert len(read) == 8
    noisy[3].compute()
    assert len(read) == 9


@pytest.mark.parametrize("lazy", [False, True])
def test_steps_stop_between_two_parts(lazy):
    stop, parts = threading.Event(), []
    image = RNG.random((9, 50, 50))
    if lazy:
        image = da.from_array(image, chunks=(1, 50, 50))

    def note(part):
        parts.append(part)
        if len(parts) == 2:
            stop.set()

    assert drain(noise_steps(image, GaussianNoise(0.1, relative=True), stop=stop), note) is None
    assert parts == pytest.approx([1 / 9, 2 / 9])


def test_steps_refuse_a_lazy_image_without_range_before_it_is_looked_at(refused):
    with refused("every pixel is 7"):
        drain(noise_steps(da.full((30, 30), 7.0), GaussianNoise(0.1, relative=True)))
    with refused("no pixel is finite"):
        drain(noise_steps(da.full((30, 30), np.nan), GaussianNoise(0.1, relative=True)))


# ---- what is refused


def test_noise_that_changes_nothing_is_refused(refused):
    with refused("Noise of sigma 0 and mean 0 changes nothing.", remedy="Give sigma above 0."):
        add_gaussian_noise(flat(), 0)
    with refused("changes nothing"):
        drain(noise_steps(flat(), GaussianNoise(0.0, relative=True)))


@pytest.mark.parametrize("sigma", [-1, np.nan, np.inf, "5", None, True])
def test_a_sigma_that_is_none_is_refused_with_its_value(refused, sigma):
    with refused("standard deviation", sigma, remedy="at least 0"):
        add_gaussian_noise(flat(), sigma)


def test_a_mean_that_is_no_number_is_refused(refused):
    for mean in (np.nan, "5", None):
        with refused("mean", mean):
            add_gaussian_noise(flat(), 1, mean=mean)


@pytest.mark.parametrize("numbers", [("5", 0, 1), (1, None, 1), (1, 0, "2")])
def test_a_camera_of_no_numbers_is_refused(refused, numbers):
    gain, offset, read_noise = numbers
    with refused("gain, offset and read noise", *numbers, remedy="three numbers"):
        add_camera_noise(flat(), gain, offset=offset, read_noise=read_noise)


@pytest.mark.parametrize("seed", [-1, 1.5, "3", True])
def test_a_seed_that_is_none_is_refused(refused, seed):
    with refused("seed", seed, remedy="not negative"):
        add_gaussian_noise(flat(), 5, seed=seed)


def test_a_grey_value_alone_gives_one_of_numpy():
    made = add_gaussian_noise(np.float32(5), 1.0, seed=0)
    assert (type(made), made.shape, made.dtype) == (np.ndarray, (), np.float32)
    assert made != 5
    np.testing.assert_array_equal(add_gaussian_noise(np.asarray(5, "f4"), 1.0, seed=0), made)


def test_no_range_to_be_relative_to_is_refused(refused):
    with refused("every pixel is 100", remedy="grey values"):
        add_gaussian_noise(flat(), 0.1, relative=True)
    with refused("no pixel is finite"):
        add_gaussian_noise(flat(value=np.nan), 0.1, relative=True)


def test_what_holds_no_real_numbers_is_refused(refused):
    with refused("complex"):
        add_gaussian_noise(np.zeros((9, 9), complex), 1)
    with refused("no numbers"):
        add_gaussian_noise(np.array([["a", "b"]]), 1)
    with refused("no pixels"):
        add_gaussian_noise(np.zeros((0, 9)), 1)
    with refused("no pixels", "(0,)"):
        add_gaussian_noise(np.zeros(0), 1)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", [np.asmatrix, np.ma.asarray], ids=["matrix", "masked"])
def test_arrays_of_other_classes_are_taken_as_plain_ones(kind):
    image = np.arange(12.0).reshape(3, 4)
    for options in ({"sigma": 0.1, "relative": True}, {"sigma": 3.0, "clip": True}):
        made = add_gaussian_noise(kind(image), seed=0, **options)
        np.testing.assert_array_equal(made, add_gaussian_noise(image, seed=0, **options))
        assert type(made) is np.ndarray


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_noise_of_any_size_is_finite(size):
    image = np.arange(12.0).reshape(3, 4)
    made = add_gaussian_noise(size * image, 0.1, relative=True, seed=0)
    expected = add_gaussian_noise(image, 0.1, relative=True, seed=0)
    np.testing.assert_allclose(made / size, expected, rtol=1e-6)


def test_spans_of_time_are_no_grey_values(refused):
    with refused("no numbers", "timedelta"):
        add_gaussian_noise(np.zeros((3, 4), "m8[s]"), 1.0)
