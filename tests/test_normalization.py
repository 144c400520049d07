import tracemalloc

import numpy as np
import pytest
from arrays import Lazy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.grey_map import GreyMap, to_dtype
from napari_ae_denoise.normalization import (
    _BLOCK_BYTES,
    Normalization,
    _blocks,
    _finite_limits,
    sample_values,
)

INTEGERS = ["u1", "i1", "<u2", ">u2", "<i2", ">i2", "u4", "i4", ">u4", "u8", "i8", ">i8"]
FLOATS = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_never_wrap(dtype):
    limits = np.iinfo(np.dtype(dtype))
    values = np.array([-1e30, -1.0, 0.4, 0.6, 1e30, np.inf, -np.inf, limits.max * 2.0])
    result = to_dtype(values, dtype)
    assert result.dtype == np.dtype(dtype)
    wanted = [limits.min, max(-1, limits.min), 0, 1]
    assert [int(v) for v in result[:4]] == wanted
    for high in result[[4, 5, 7]]:
        assert 0 <= limits.max - int(high) <= limits.max // 2**52
    assert int(result[6]) == limits.min


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_never_wrap_from_float32_either(dtype):
    limits = np.iinfo(np.dtype(dtype))
    result = to_dtype(np.array([limits.max, limits.min], np.float32), dtype)
    assert 0 <= limits.max - int(result[0]) <= limits.max // 2**23
    assert int(result[1]) == limits.min


@given(st.floats(-400, 400))
def test_rounding_is_to_the_nearest(value):
    assert int(to_dtype(np.array([value]), np.int16)[0]) == round(value)


def test_nan_as_an_integer_is_zero():
    assert to_dtype(np.array([np.nan]), "u1")[0] == 0


def test_floats_never_become_infinite():
    values = np.array([-1e6, -65504, 3, 65504, 1e6, np.inf, -np.inf, np.nan], "f4")
    expected = np.array([-65504, -65504, 3, 65504, 65504, np.inf, -np.inf, np.nan], "f2")
    before = values.copy()
    np.testing.assert_array_equal(to_dtype(values, "f2"), expected)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("held", ["u1", "i1", "u2", "i4", "u4", "f2", "f4"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f2", "f4"])
def test_any_type_is_clipped_to_any_other(held, dtype):
    values = np.array([0, 1, 100], held)
    np.testing.assert_array_equal(to_dtype(values, dtype), np.array([0, 1, values[2]], float))
    largest = (np.finfo if np.dtype(held).kind == "f" else np.iinfo)(held)
    made = to_dtype(np.array([largest.max], held), dtype)
    most = (np.finfo if made.dtype.kind == "f" else np.iinfo)(dtype).max
    assert np.isfinite(made).all()
    assert float(made[0]) == pytest.approx(min(float(largest.max), float(most)), rel=1e-3)


def test_bool_is_cut_at_one_half():
    assert to_dtype(np.array([-3, 0.49, 0.51, 7]), bool).tolist() == [False, False, True, True]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_map_and_back_gives_the_grey_values(dtype):
    dtype = np.dtype(dtype)
    values = np.arange(120).reshape(10, 12).astype(dtype)
    grey_map = GreyMap(3.5, 111.25)
    normalized = grey_map.apply(values)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(
        normalized, (np.arange(120).reshape(10, 12) - 3.5) / 111.25, rtol=1e-6
    )
    back = grey_map.invert(normalized, dtype)
    assert back.dtype == dtype
    np.testing.assert_allclose(back.astype(float), values.astype(float), atol=0.1)


def test_map_keeps_small_contrast_on_a_large_offset():
    values = np.array([2**31 - 1000, 2**31 - 900], np.uint32)
    normalized = GreyMap(2**31 - 1000, 100).apply(values)
    np.testing.assert_array_equal(normalized, np.array([0, 1], np.float32))


def test_map_never_writes_into_its_input():
    values = np.ones((4, 4), np.float32)
    values.flags.writeable = False
    GreyMap(1, 2).apply(values)
    GreyMap(1, 2).invert(values, np.dtype("f4"))
    assert (values == 1).all()


def test_percentiles_become_zero_and_one():
    values = np.random.default_rng(0).normal(100, 20, 10_000)
    grey_map = Normalization(low=2, high=98).of_values(values)
    made = grey_map.apply(np.percentile(values, [2, 98, 50]))
    np.testing.assert_allclose(made[:2], [0, 1], atol=1e-5)
    assert grey_map.fill == pytest.approx(np.median(values))


@given(
    arrays.arrays(np.float64, 50, elements=st.floats(-1e3, 1e3), unique=True),
    st.floats(0.1, 100),
    st.floats(-1e3, 1e3),
)
def test_percentile_map_does_not_see_brightness_and_contrast(values, contrast, brightness):
    kind = Normalization()
    if np.ptp(values) < 1:
        return
    first = kind.of_values(values).apply(values)
    changed = values * contrast + brightness
    np.testing.assert_allclose(kind.of_values(changed).apply(changed), first, atol=1e-3)


def test_fixed_map_is_the_same_for_every_image():
    kind = Normalization("fixed", offset=10, scale=4)
    for values in (np.arange(5.0), np.arange(1000.0)):
        grey_map = kind.of_values(values)
        assert (grey_map.offset, grey_map.scale) == (10, 4)
        assert grey_map.fill == np.median(values)


def test_a_few_bright_pixels_are_enough_for_a_map():
    values = np.zeros(100_000)
    values[7] = 3
    grey_map = Normalization().of_values(values)
    assert (grey_map.offset, grey_map.scale) == (0, 3)


@pytest.mark.parametrize("kind", [Normalization(), Normalization("fixed")])
def test_constant_images_are_refused_with_their_value(refused, kind):
    with refused("constant", "7.5", remedy="shows something"):
        kind.of_values(np.full(9, 7.5))


@pytest.mark.parametrize("values", [[np.nan] * 5, [np.inf, -np.inf, np.nan]])
def test_images_without_finite_values_are_refused(refused, values):
    with refused("no finite", "NaN", remedy="another image"):
        Normalization().of_values(np.array(values))


def test_one_pixel_has_a_map():
    grey_map = Normalization().of_values(np.array([40], np.uint8))
    assert grey_map.scale > 0
    assert grey_map.invert(grey_map.apply(np.array([40], np.uint8)), np.dtype("u1"))[0] == 40


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "minmax"}, ["minmax"]),
        ({"low": 5, "high": 5}, ["5"]),
        ({"low": -1}, ["-1"]),
        ({"high": 101}, ["101"]),
        ({"low": np.nan}, ["nan"]),
        ({"scale": 0}, ["scale 0"]),
        ({"scale": -2}, ["-2"]),
        ({"scale": np.inf}, ["inf"]),
        ({"offset": np.nan}, ["nan"]),
        ({"low": "a"}, ["low = 'a'"]),
        ({"high": None}, ["high = None"]),
        ({"scale": "2"}, ["scale = '2'"]),
        ({"offset": [1]}, ["offset = [1]"]),
        ({"offset": True}, ["offset = True"]),
    ],
)
def test_maps_that_cannot_be_inverted_are_refused(refused, changes, words):
    with refused(*words):
        Normalization(**changes)


def test_fluorescence_channels_have_a_map_each_and_colours_share_one():
    image = np.random.default_rng(0).random((2, 20, 30)) * [[[1]], [[1000]]]
    apart = Normalization().of_image(image, plane_layout(image.shape, "CYX", network_channels=1))
    assert len(apart) == 2
    assert apart[1].scale > 500 * apart[0].scale
    colours = np.stack([image[0], image[1], image[0]], -1)
    for channels in (1, 3):
        layout = plane_layout(colours.shape, "YXC", network_channels=channels)
        assert len(Normalization().of_image(colours, layout)) == 1


@pytest.mark.parametrize("lazy", [False, True])
def test_invalid_pixels_do_not_change_whose_range_a_channel_has(lazy):
    image = np.random.default_rng(0).random((2, 20, 30)) * [[[1]], [[1000]]]
    holed = image.copy()
    holed[0, 3, 4], holed[1, 0, 0], holed[1, 5, 5] = np.nan, np.inf, np.nan
    layout = plane_layout(image.shape, "CYX", network_channels=1)
    expected = Normalization().of_image(image, layout)
    found = Normalization().of_image(Lazy(holed) if lazy else holed, layout)
    for a, b in zip(expected, found, strict=True):
        assert b.scale == pytest.approx(a.scale, rel=0.05)


def test_alpha_is_not_part_of_the_range():
    image = np.random.default_rng(0).integers(0, 50, (20, 20, 4)).astype(np.uint8)
    image[..., 3] = 255
    (grey_map,) = Normalization().of_image(image, plane_layout(image.shape, "YXC"))
    assert grey_map.scale < 51


def test_small_arrays_are_measured_whole_and_large_ones_by_a_bounded_sample():
    small = np.arange(600.0).reshape(20, 30)
    layout = plane_layout(small.shape, "YX")
    np.testing.assert_array_equal(np.sort(sample_values(small, layout)), np.arange(600))
    large = Lazy(np.broadcast_to(np.arange(3000, dtype=np.float32), (50, 3000, 3000)))
    layout = plane_layout(large.shape, "ZYX")
    first = sample_values(large, layout)
    assert 10_000 < large.pixels_read <= 1_100_000
    np.testing.assert_array_equal(first, sample_values(large, layout))


def test_sample_of_a_large_image_has_about_its_percentiles():
    values = np.random.default_rng(0).gamma(2, 100, (1500, 1500)).astype(np.float32)
    layout = plane_layout(values.shape, "YX")
    sampled = Normalization().of_image(values, layout)[0]
    whole = Normalization().of_values(values)
    assert sampled.scale == pytest.approx(whole.scale, rel=0.05)


def test_one_channel_of_a_lazy_image_is_read_alone():
    image = np.zeros((3, 10, 10))
    image[1] = np.arange(100).reshape(10, 10)
    layout = plane_layout(image.shape, "CYX", network_channels=1)
    np.testing.assert_array_equal(sample_values(Lazy(image), layout, 1), np.arange(100))


def test_a_spot_outside_the_sample_still_makes_a_map():
    image = np.zeros((1100, 1100), np.uint16)
    image[1099, 0] = 9
    (grey_map,) = Normalization().of_image(image, plane_layout(image.shape, "YX"))
    assert grey_map.scale == 9


def test_small_bright_things_in_large_images_are_within_the_range():
    image = np.random.default_rng(0).normal(100, 5, (3000, 3000)).astype(np.float32)
    image[2000:2040, 700:740] = 5100
    layout = plane_layout(image.shape, "YX")
    (full,) = Normalization(low=0, high=100).of_image(image, layout)
    assert full.apply(image).max() == pytest.approx(1)
    assert full.apply(image).min() == pytest.approx(0, abs=1e-6)


def test_every_part_of_a_stack_is_sampled():
    stack = np.zeros((40, 512, 512), np.float32)
    stack[:] = np.arange(40)[:, None, None] * 100
    layout = plane_layout(stack.shape, "ZYX")
    assert len(np.unique(sample_values(Lazy(stack), layout))) == 40


def test_alpha_does_not_widen_the_range():
    image = np.random.default_rng(0).random((700, 700, 4)).astype(np.float32)
    image[..., 3] = 255
    layout = plane_layout(image.shape, "YXC")
    (grey_map,) = Normalization(low=0, high=100).of_image(image, layout)
    assert grey_map.scale < 1.01


def test_ranges_that_float32_cannot_hold_are_computed_in_float64():
    image = np.array([[-3e38, 3e38], [1e38, -1e38]], np.float32)
    (grey_map,) = Normalization(low=0, high=100).of_image(image, plane_layout((2, 2), "YX"))
    normalized = grey_map.apply(image)
    np.testing.assert_allclose(normalized, [[0, 1], [2 / 3, 1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(grey_map.invert(normalized, image.dtype), image, rtol=1e-5)


@pytest.mark.parametrize(
    "shape", [(1, 16, 512, 512), (16, 1, 512, 512), (1, 2048, 2048), (4194304,)]
)
def test_the_range_is_found_in_blocks_whatever_the_axes(shape):
    values = np.random.default_rng(0).normal(100, 20, shape).astype("f4")
    for place, value in ((7, np.nan), (-9, np.inf), (5000, -3000.0), (-5, 7000.0)):
        values.flat[place] = value
    blocks = list(_blocks(values))
    assert all(block.nbytes <= _BLOCK_BYTES and np.shares_memory(block, values) for block in blocks)
    assert sum(block.size for block in blocks) == values.size
    larger = np.broadcast_to(values, (3, *shape))
    assert max(block.nbytes for block in _blocks(larger)) <= _BLOCK_BYTES
    if len(shape) > 2:
        axes = "TZYX"[-len(shape) :]
        sample = sample_values(values, plane_layout(shape, axes))
        assert {-3000.0, 7000.0} <= set(sample.tolist())


def test_a_short_first_axis_takes_no_more_memory():
    image = np.ones((1, 64, 512, 512), np.float32)
    layout = plane_layout(image.shape, "TZYX")
    tracemalloc.start()
    try:
        _finite_limits(image, layout, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * _BLOCK_BYTES
