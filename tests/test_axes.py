import math

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ae_denoise.axes import check_axes, guess_axes, is_dask, plane_layout


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((7, 9), "YX"),
        ((5, 7, 9), "ZYX"),
        ((2, 5, 7, 9), "TZYX"),
        ((2, 2, 5, 7, 9), "NTZYX"),
        ((64, 64, 3), "YXC"),
        ((64, 64, 4), "YXC"),
        ((5, 64, 64, 3), "ZYXC"),
        ((64, 3, 3), "ZYX"),
        ((64, 64, 2), "ZYX"),
        ((4, 64, 3), "ZYX"),
        ((64, 3), "YX"),
        ((1, 1), "YX"),
    ],
)
def test_axes_are_guessed_from_the_shape(shape, axes):
    assert guess_axes(shape) == axes


def test_guess_follows_what_is_known_about_colours():
    assert guess_axes((64, 64, 3), rgb=False) == "ZYX"
    assert guess_axes((2, 2, 3), rgb=True) == "YXC"


@pytest.mark.parametrize("shape", [(), (5,), (1, 2, 3, 4, 5, 6)])
def test_shapes_that_cannot_be_guessed_are_refused(refused, shape):
    with refused(shape, f"{len(shape)} axes", remedy="ZYX"):
        guess_axes(shape)


def test_axes_are_read_in_either_case_and_with_blanks():
    assert check_axes(" zyx ", (2, 3, 4)) == "ZYX"


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ("QYX", ["QYX", "Q"]),
        ("YYX", ["YYX", "twice"]),
        ("ZCX", ["ZCX", "lack"]),
        ("YX", ["YX", "2 axes", "(2, 8, 9)"]),
        ("", ["lack"]),
        ("Y X", ["' '"]),
    ],
)
def test_axes_that_do_not_fit_are_refused(refused, axes, words):
    with refused(*words, remedy="ZYX"):
        check_axes(axes, (2, 8, 9))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 6, 7)])
def test_images_without_pixels_are_refused(refused, shape):
    with refused(shape, "no pixels", remedy="empty"):
        plane_layout(shape, None)


@pytest.mark.parametrize("axes", [None, "ZYX"])
def test_dask_arrays_of_unknown_shape_are_refused(refused, axes):
    image = da.zeros((5, 8, 9), chunks=4)
    image = image[image.sum((1, 2)) == 0]
    with refused("not known", "nan", remedy="compute_chunk_sizes()"):
        plane_layout(image.shape, axes)
    image.compute_chunk_sizes()
    assert plane_layout(image.shape, axes).shape == (5, 8, 9)


def test_dask_arrays_are_told_from_others():
    assert is_dask(da.zeros((2, 2)))
    assert not is_dask(np.zeros((2, 2)))
    assert not is_dask([[1]])


@pytest.mark.parametrize(("shape", "axes", "found"), [((8, 9, 3), "YXC", 3), ((5, 8, 9), "CYX", 5)])
def test_channels_that_do_not_fit_the_network_are_refused(refused, shape, axes, found):
    with refused("2 channels", shape, axes, f"has {found}", remedy="one channel"):
        plane_layout(shape, axes, network_channels=2)


@st.composite
def images(draw):
    """Draw an image with axes in any order, and the channels of a network that takes it."""
    others = draw(st.lists(st.sampled_from("NTZC"), unique=True, max_size=3))
    axes = "".join(draw(st.permutations([*others, "Y", "X"])))
    shape = tuple(draw(st.integers(1, 5)) for _ in axes)
    values = np.arange(math.prod(shape)).reshape(shape)
    channels = shape[axes.index("C")] if "C" in axes else 1
    colours = min(channels, 3) if axes.endswith("C") and channels in (3, 4) else channels
    return axes, values, draw(st.sampled_from([1, channels, colours, None]))


def everything(layout):
    return slice(0, layout.plane_shape[0]), slice(0, layout.plane_shape[1])


@given(images())
def test_planes_written_back_give_the_image(drawn):
    axes, image, channels = drawn
    layout = plane_layout(image.shape, axes, network_channels=channels)
    back = np.full_like(image, -1)
    for plane in range(layout.planes):
        window = layout.read(image, plane, *everything(layout))
        assert window.shape == (layout.plane_channels, *layout.plane_shape)
        place = layout.index(plane, *everything(layout))
        assert (back[place] == -1).all(), "a pixel belongs to two planes"
        layout.write(back, plane, *everything(layout), window)
    if layout.has_alpha:
        assert (back[..., -1] == -1).all()
        back[..., -1] = image[..., -1]
    np.testing.assert_array_equal(back, image)


@given(images())
def test_a_plane_is_the_image_in_the_order_channel_y_x(drawn):
    axes, image, channels = drawn
    layout = plane_layout(image.shape, axes, network_channels=channels)
    order = [axes.index(a) for a in (*layout.stack_axes, "C", "Y", "X") if a in axes]
    if not layout.joint and "C" in axes:
        order = [axes.index(a) for a in (*layout.stack_axes, "Y", "X")]
    turned = image.transpose(order)
    if layout.has_alpha:
        along_c = order.index(axes.index("C"))
        turned = turned.take(range(layout.channels), axis=along_c)
    turned = turned.reshape(layout.planes, layout.plane_channels, *layout.plane_shape)
    for plane in range(layout.planes):
        np.testing.assert_array_equal(layout.read(image, plane, *everything(layout)), turned[plane])


@given(images(), st.data())
def test_a_window_is_that_part_of_its_plane(drawn, data):
    axes, image, channels = drawn
    layout = plane_layout(image.shape, axes, network_channels=channels)
    plane = data.draw(st.integers(0, layout.planes - 1))
    bounds = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in layout.plane_shape]
    y, x = (slice(*b) for b in bounds)
    whole = layout.read(image, plane, *everything(layout))
    np.testing.assert_array_equal(layout.read(image, plane, y, x), whole[:, y, x])


def test_reading_copies_nothing():
    image = np.zeros((2, 8, 9))
    layout = plane_layout(image.shape, "ZYX")
    assert np.shares_memory(layout.read(image, 1, slice(2, 5), slice(3, 4)), image)


@pytest.mark.parametrize(
    ("shape", "axes", "network", "joint", "channels", "planes"),
    [
        ((8, 9), "YX", 1, True, 1, 1),
        ((8, 9, 3), "YXC", None, True, 3, 1),
        ((8, 9, 4), "YXC", None, True, 3, 1),
        ((8, 9, 4), "YXC", 4, True, 4, 1),
        ((8, 9, 4), "YXC", 1, False, 3, 3),
        ((5, 8, 9), "CYX", None, False, 5, 5),
        ((5, 8, 9), "CYX", 5, True, 5, 1),
        ((4, 8, 9), "CYX", 1, False, 4, 4),
        ((2, 4, 8, 9), "ZCYX", 1, False, 4, 8),
        ((2, 8, 9, 1), "ZYXC", 1, True, 1, 2),
    ],
)
def test_channels_go_together_or_apart(shape, axes, network, joint, channels, planes):
    layout = plane_layout(shape, axes, network_channels=network)
    assert (layout.joint, layout.channels, layout.planes) == (joint, channels, planes)
    assert layout.plane_shape == (8, 9)
    assert layout.has_alpha == (channels == 3 and shape[-1] == 4)
