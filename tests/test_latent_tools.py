import numpy as np
import pytest

from napari_ae_denoise.latent_tools import (
    as_colours,
    principal_components,
    scatter_coordinates,
    scatter_figure,
    unit_names,
)

RNG = np.random.default_rng(0)


def mixed(places, units=6):
    """Return a code of three independent signals of falling strength, mixed by a rotation."""
    signals = RNG.normal(size=(units, places)) * np.array([9, 4, 2, *[0.01] * (units - 3)])[:, None]
    rotation = np.linalg.qr(RNG.normal(size=(units, units)))[0]
    return (rotation @ signals + 5).astype(np.float32), signals


def test_components_are_the_signals_in_the_order_of_their_strength():
    code, signals = mixed(2000)
    made, explained = principal_components(code.reshape(6, 40, 50))
    assert made.shape == (3, 40, 50)
    for one, signal in zip(made.reshape(3, -1), signals, strict=False):
        assert abs(np.corrcoef(one, signal)[0, 1]) > 0.99
    assert explained.sum() == pytest.approx(1, abs=1e-3)
    assert (np.diff(explained) < 0).all()


def test_components_are_those_of_an_svd():
    code = RNG.normal(size=(5, 300)).astype(np.float32)
    made, _ = principal_components(code, 2)
    centred = code - code.mean(axis=1, keepdims=True)
    expected = np.linalg.svd(centred, full_matrices=False)
    for one, size, row in zip(made, expected[1], expected[2], strict=False):
        np.testing.assert_allclose(abs(one), abs(size * row), atol=1e-3)


def test_codes_of_few_units_have_empty_components():
    made, explained = principal_components(RNG.normal(size=(2, 10, 10)))
    assert (made[2] == 0).all()
    assert explained[2] == 0


def test_places_that_were_not_reached_stay_so_and_are_black():
    code = RNG.normal(size=(4, 8, 8)).astype(np.float32)
    code[:, :2] = np.nan
    made, _ = principal_components(code)
    assert np.isnan(made[:, :2]).all()
    assert np.isfinite(made[:, 2:]).all()
    colours = as_colours(made)
    assert colours.shape == (8, 8, 3)
    assert (colours[:2] == 0).all()
    assert colours.min() >= 0
    assert colours.max() <= 1


def test_a_constant_code_is_grey():
    made, _ = principal_components(np.ones((3, 4, 4)))
    assert (as_colours(made) == 0.5).all()


@pytest.mark.parametrize("code", [np.zeros(3), np.zeros((0, 4)), np.full((2, 3), np.nan)])
def test_what_is_no_code_has_no_components(refused, code):
    with refused("code"):
        principal_components(code)


def test_images_of_two_groups_lie_apart():
    groups = np.repeat([0, 1], 30)
    code = RNG.normal(size=(5, 60, 1, 1)) * 0.1 + 3 * groups[:, None, None]
    points = scatter_coordinates(code)
    assert points.shape == (60, 2)
    first, second = points[groups == 0, 0], points[groups == 1, 0]
    assert max(first) < min(second) or max(second) < min(first)


def test_two_units_are_shown_as_they_are():
    code = RNG.normal(size=(2, 7, 3, 3)).astype(np.float32)
    np.testing.assert_allclose(scatter_coordinates(code), code.mean(axis=(2, 3)).T, rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 1, 8, 8)])
def test_one_image_makes_no_scatter(refused, shape):
    with refused(shape, remedy="stack"):
        scatter_coordinates(np.zeros(shape))


def test_scatter_is_coloured_by_label(refused):
    points = RNG.normal(size=(30, 2))
    labels = np.arange(30) % 3
    axes = scatter_figure(points, labels).axes[0]
    (dots,) = axes.collections
    drawn = {
        tuple(place): tuple(c)
        for place, c in zip(dots.get_offsets(), dots.get_facecolors(), strict=True)
    }
    by_label = [{drawn[tuple(p)] for p in points[labels == one]} for one in range(3)]
    assert [len(colours) for colours in by_label] == [1, 1, 1]
    assert len(set.union(*by_label)) == 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1", "2"]
    assert len(scatter_figure(points).axes[0].collections) == 1
    with refused("29 labels", "30 images"):
        scatter_figure(points, labels[1:])


def test_no_label_of_a_scatter_lies_over_the_others():
    points, labels = RNG.normal(size=(300, 2)), np.repeat(["b", "A", "c"], 100)
    axes = scatter_figure(points, labels).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["A", "b", "c"]
    colours = axes.collections[0].get_facecolors()
    changes = (colours[1:] != colours[:-1]).any(axis=1).sum()
    assert changes > 100  # two, were they drawn label by label


def test_a_scatter_takes_the_colours_of_its_window():
    figure = scatter_figure(RNG.normal(size=(5, 2)), ink="#f0f1f2", paper="#262930")
    red, *_ = figure.get_facecolor()
    assert red < 0.2
    assert figure.axes[0].xaxis.label.get_color() == "#f0f1f2"


def test_units_have_names():
    assert unit_names(2) == ["unit 0", "unit 1"]
    assert unit_names(1, variational=True) == ["mean 0"]
