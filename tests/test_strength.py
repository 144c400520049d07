import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.strength import difference, mixed, removed_lazily
from napari_ae_denoise.tile_runner import PredictSettings


def pair(dtype, shape=(5, 40, 30)):
    rng = np.random.default_rng(0)
    top = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    return tuple((rng.random(shape) * top).astype(dtype) for _ in range(2))


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "i2", "u4", "f4", "f8", "f2"])
@given(strength=st.floats(0, 1))
def test_it_is_the_mixture_of_grey_values_rounded(dtype, strength):
    image, denoised = pair(dtype, (6, 7))
    made = mixed(image, denoised, strength)
    assert made.dtype == denoised.dtype
    exact = image.astype("f8") * (1 - strength) + denoised.astype("f8") * strength
    step = 0.51 if made.dtype.kind in "ui" else 1e-3
    top = np.abs(exact).max()
    assert np.abs(made.astype("f8") - exact).max() <= max(step, 1e-6 * top * (dtype == "u4"))


def test_the_ends_are_the_image_and_the_result():
    image, denoised = pair("u2")
    np.testing.assert_array_equal(mixed(image, denoised, 0), image)
    assert mixed(image, denoised, 1) is denoised


def test_neither_is_changed():
    image, denoised = pair("f4")
    before = image.copy(), denoised.copy()
    mixed(image, denoised, 0.3)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(denoised, before[1])


def test_lazy_arrays_stay_lazy_and_give_the_same(tmp_path):
    image, denoised = pair("u2")
    expected = mixed(image, denoised, 0.4)
    stored = zarr.create_array(tmp_path / "a.zarr", data=denoised, chunks=(2, 16, 30))
    reads = []

    def noted(block):
        reads.append(block.shape)
        return block

    lazy = da.from_array(image, chunks=(1, 40, 30)).map_blocks(
        noted, dtype=image.dtype, meta=image[:0]
    )
    for own, clean in [(lazy, denoised), (lazy, stored), (image, stored)]:
        made = mixed(own, clean, 0.4)
        assert isinstance(made, da.Array)
        assert reads == []
        np.testing.assert_array_equal(made, expected)
        reads.clear()
    mixed(lazy, denoised, 0.4)[2].compute()
    assert reads == [(1, 40, 30)]  # one plane was asked for


def test_alpha_and_pixels_that_are_not_finite_stay():
    image, denoised = pair("u1", (8, 9, 4))
    denoised[..., 3] = image[..., 3]
    np.testing.assert_array_equal(mixed(image, denoised, 0.37)[..., 3], image[..., 3])
    image, denoised = pair("f4")
    image[0, 0, 0] = denoised[0, 0, 0] = np.nan
    assert np.isnan(mixed(image, denoised, 0.5)).sum() == 1


def test_it_agrees_with_the_strength_of_a_run(untrained):
    denoiser = untrained("plain")
    image = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)
    settings = PredictSettings(precision="float32", device="cpu")
    whole = denoiser.denoise(image, precision=settings.precision)
    run = denoiser.denoise(image, precision=settings.precision, strength=0.6)
    assert np.abs(mixed(image, whole, 0.6).astype(int) - run).max() <= 1


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_other_strengths_are_refused(strength):
    with pytest.raises(DenoisingError, match="strength"):
        mixed(*pair("u1"), strength)


def test_other_shapes_are_refused():
    image, denoised = pair("u1")
    with pytest.raises(DenoisingError, match=r"\(5, 40, 30\).*\(4, 40, 30\)"):
        mixed(image, denoised[1:], 0.5)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_what_was_removed_is_lazy_and_nan_where_nothing_is_made(dtype):
    image, denoised = pair(dtype)
    denoised[0, :3] = np.nan if dtype == "f4" else np.iinfo(dtype).max
    lazy = da.from_array(denoised, chunks=(1, 16, 16))
    made = removed_lazily(image, lazy, unfinished=True)
    assert (made.dtype, made.chunks) == (np.float32, lazy.chunks)
    noise = made.compute()
    assert np.isnan(noise[0, :3]).all()
    exact = image.astype("f4") - denoised.astype("f4")
    known = np.isfinite(noise)
    np.testing.assert_array_equal(noise[known], exact[known])
    if dtype == "u2":  # of a finished result the largest value is a grey value
        np.testing.assert_array_equal(removed_lazily(image, lazy), exact)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64", "bool"])
def test_the_difference_of_large_values_is_exact(dtype):
    """float32 knows only every 64th of values about a billion."""
    rng = np.random.default_rng(0)
    offset = {"int32": 5e8, "float64": 1e9}.get(dtype, 0)
    clean = offset + rng.integers(0, 2 if dtype == "bool" else 200, (30, 40))
    image, denoised = clean.astype(dtype), (clean + rng.integers(-1, 2, clean.shape)).clip(0)
    denoised = denoised.astype(dtype)
    expected = image.astype(np.float64) - denoised.astype(np.float64)
    made = difference(image, denoised)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, expected)
    lazy = difference(da.from_array(image, chunks=(7, 40)), denoised)
    np.testing.assert_array_equal(lazy.compute(), expected)
