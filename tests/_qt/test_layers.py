import itertools

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels, Points

from napari_ae_denoise._qt.layer_facts import layer_axes
from napari_ae_denoise._qt.layers import take
from napari_ae_denoise.errors import DenoisingError

RNG = np.random.default_rng(0)


def _affine(ndim):
    matrix = np.eye(ndim + 1)
    matrix[:-1, :-1] += 0.1 * RNG.standard_normal((ndim, ndim))
    matrix[:-1, -1] = RNG.standard_normal(ndim)
    return matrix


TRANSFORMS = {
    "plain": {},
    "scaled": {"scale": (0.5, 0.25)},
    "moved": {"scale": (2, 3), "translate": (10, -4)},
    "rotated": {"scale": (2, 3), "translate": (10, -4), "rotate": 30},
    "sheared": {"scale": (2, 3), "shear": [0.3], "rotate": 10, "translate": (1, 2)},
    "affine": {"scale": (2, 3), "translate": (5, 6), "rotate": 20, "affine": _affine(2)},
}
TRANSFORMS_3D = {
    "scaled": {"scale": (2, 0.5, 0.25), "translate": (7, 8, 9)},
    "all": {
        "scale": (2, 0.5, 0.25),
        "translate": (7, 8, 9),
        "rotate": (10, 20, 30),
        "shear": (0.1, 0.2, 0.3),
        "affine": _affine(3),
    },
}


def _world(layer, point):
    return np.asarray(layer.data_to_world(point))


def _edges_in_world(layer, axes):
    """Return the world positions of the corners of the plane of the first pixels (edge to edge)."""
    shape = np.array(layer.data.shape[: layer.ndim])
    y, x = axes
    corners = []
    for at_y, at_x in itertools.product((-0.5, shape[y] - 0.5), (-0.5, shape[x] - 0.5)):
        point = np.zeros(layer.ndim)
        point[y], point[x] = at_y, at_x
        corners.append(_world(layer, point))
    return np.array(corners)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("stride", [1, 4, 8])
def test_the_code_lies_exactly_over_a_plane(transform, stride):
    image = Image(np.zeros((64, 32), np.float32), name="i", **transform)
    code = np.zeros((5, 64 // stride, 32 // stride), np.float32)
    latent = Image(**take(image).latent_layer(code, stride, "code", {}))
    assert latent.data.shape == code.shape
    np.testing.assert_allclose(
        _edges_in_world(latent, (1, 2))[:, 1:], _edges_in_world(image, (0, 1)), atol=1e-9
    )


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize("transform", TRANSFORMS_3D.values(), ids=TRANSFORMS_3D)
@pytest.mark.parametrize("axes", ["ZYX", "YXZ", "YZX"])
def test_the_code_lies_exactly_over_a_stack(transform, axes):
    shape = tuple({"Z": 3, "Y": 32, "X": 16}[a] for a in axes)
    image = Image(np.zeros(shape, np.float32), **transform)
    code = RNG.random((5, 3, 8, 4)).astype(np.float32)
    latent = Image(**take(image, axes).latent_layer(code, 4, "code", {}))
    expected = code.transpose([0] + [1 + "ZYX".index(a) for a in axes])
    np.testing.assert_array_equal(latent.data, expected)
    y, x = axes.index("Y"), axes.index("X")
    np.testing.assert_allclose(
        _edges_in_world(latent, (1 + y, 1 + x))[:, 1:], _edges_in_world(image, (y, x)), atol=1e-9
    )


def test_the_code_of_colours_lies_over_the_photograph():
    image = Image(np.zeros((32, 16, 3), np.uint8), rgb=True, scale=(2, 3))
    code = np.zeros((7, 8, 4), np.float32)
    latent = Image(**take(image).latent_layer(code, 4, "code", {}))
    assert not latent.rgb
    np.testing.assert_allclose(
        _edges_in_world(latent, (1, 2))[:, 1:], _edges_in_world(image, (0, 1))
    )


def test_the_code_of_colours_seen_apart_keeps_the_image_axes():
    image = Image(np.zeros((32, 16, 3), np.uint8), rgb=True)
    code = np.zeros((7, 3, 8, 4), np.float32)  # one code per colour
    latent = Image(**take(image).latent_layer(code, 4, "code", {}))
    assert latent.data.shape == (21, 8, 4)


def test_units_and_labels_go_with_the_scale():
    image = Image(
        np.zeros((3, 32, 16)),
        scale=(2, 0.5, 0.5),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
    )
    source = take(image)
    same = Image(**source.denoised_layer(np.zeros((3, 32, 16)), "d", {"made": "here"}))
    assert same.units == image.units
    assert same.axis_labels == image.axis_labels
    assert same.metadata == {"made": "here"}
    latent = Image(**source.latent_layer(np.zeros((5, 3, 8, 4), np.float32), 4, "c", {}))
    assert latent.units[1:] == image.units
    assert latent.axis_labels == ("code", "z", "y", "x")


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_result_of_the_same_shape_lies_where_the_image_lies(transform):
    image = Image(np.zeros((64, 32)), contrast_limits=(2, 9), colormap="magma", **transform)
    same = Image(**take(image).denoised_layer(image.data, "d", {}))
    np.testing.assert_allclose(_edges_in_world(same, (0, 1)), _edges_in_world(image, (0, 1)))
    assert same.contrast_limits == [2, 9]
    assert same.colormap.name == "magma"


def test_the_snapshot_does_not_follow_the_layer():
    image = Image(np.zeros((8, 8)), name="before", scale=(2, 2))
    source = take(image)
    image.name, image.scale = "after", (5, 5)
    assert source.name == "before"
    np.testing.assert_array_equal(source.transforms["scale"], (2, 2))


def test_a_multiscale_layer_gives_its_finest_level():
    levels = [np.zeros((64, 64)), np.zeros((32, 32))]
    assert take(Image(levels, multiscale=True)).image.shape == (64, 64)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_coarser_level_lies_where_the_finest_lies(transform):
    levels = [np.zeros((64, 32)), np.zeros((16, 8))]
    whole = Image(levels, multiscale=True, contrast_limits=(0, 1), **transform)
    source = take(whole, level=1)
    assert (source.image.shape, source.level) == ((16, 8), 1)
    coarse = Image(**source.denoised_layer(source.image, "d", {}))
    finest = Image(levels[0], contrast_limits=(0, 1), **transform)
    np.testing.assert_allclose(_edges_in_world(coarse, (0, 1)), _edges_in_world(finest, (0, 1)))


@pytest.mark.parametrize(
    ("shape", "labels", "rgb", "axes"),
    [
        ((8, 8), None, False, "YX"),
        ((3, 8, 8), None, False, "ZYX"),
        ((2, 3, 8, 8), None, False, "TZYX"),
        ((8, 8, 3), None, True, "YXC"),
        ((8, 8, 3), None, False, "ZYX"),
        ((3, 8, 8), ("t", "y", "x"), False, "TYX"),
        ((3, 8, 8), ("Time", "y", "x"), False, "TYX"),
        ((3, 8, 8), ("channel", "y", "x"), False, "CYX"),
        ((3, 8, 8), ("y", "x", "z"), False, "YXZ"),
        ((3, 8, 8), ("a", "b", "c"), False, "ZYX"),
        ((3, 8, 8), ("y", "y", "x"), False, "ZYX"),
    ],
)
def test_axes_come_from_the_labels_or_the_number(shape, labels, rgb, axes):
    assert layer_axes(Image(np.zeros(shape, np.uint8), rgb=rgb, axis_labels=labels)) == axes


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (None, "no image layer"),
        (Labels(np.zeros((8, 8), int), name="nuclei"), '"nuclei" is a Labels layer'),
        (Points(np.zeros((2, 2)), name="spots"), '"spots" is a Points layer'),
    ],
)
def test_what_is_no_image_is_refused(layer, words):
    with pytest.raises(DenoisingError, match=words) as refusal:
        take(layer)
    assert refusal.value.remedy


def test_a_snapshot_of_a_dask_layer_computes_nothing():
    computed = []

    def note(block):
        computed.append(1)
        return block

    lazy = da.zeros((64, 64), chunks=8).map_blocks(note, dtype=float, meta=np.empty((0, 0)))
    image = Image(lazy, contrast_limits=(0, 1))  # napari computes what it shows
    computed.clear()
    kwargs = take(image).denoised_layer(lazy, "d", {})
    assert kwargs["contrast_limits"] == (0, 1)  # without them napari would compute all of it
    assert not computed


def test_removed_noise_is_shown_around_its_zero():
    noise = RNG.normal(0, 5, (64, 64)).astype(np.float32)
    layer = take(Image(np.zeros((64, 64)))).noise_layer(noise, "n", {})
    low, high = layer["contrast_limits"]
    assert low == -high
    assert 10 < high < 40


def test_removed_noise_of_a_photograph_is_shown_around_grey():
    noise = RNG.normal(0, 5, (64, 64, 3)).astype(np.float32)
    layer = Image(**take(Image(np.zeros((64, 64, 3), np.uint8))).noise_layer(noise, "n", {}))
    assert layer.rgb
    assert abs(float(layer.data.mean()) - 0.5) < 0.02


def test_axes_without_names_are_asked_for():
    image = Image(np.zeros((2, 2, 2, 2, 8, 8)), name="many")
    with pytest.raises(DenoisingError, match='6 axes of "many"') as refusal:
        take(image)
    assert "field Axes" in refusal.value.remedy
    assert take(image, "NTZCYX").axes == "NTZCYX"
