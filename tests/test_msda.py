import numpy as np
import pytest

from napari_ae_denoise.msda import marginalized_linear, stacked_features


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 5))
    return rng.normal(size=(40, 3)) @ mixing + rng.normal(size=5)


def corrupted(data, copies, *, dropout=None, sigma=None):
    rng = np.random.default_rng(1)
    many = np.tile(data, (copies, 1))
    if dropout is not None:
        return many * (rng.random(many.shape) >= dropout)
    return many + sigma * rng.normal(size=many.shape)


def least_squares(seen, wanted):
    """Return the map that ordinary least squares finds from corrupted copies."""
    extended = np.column_stack([seen, np.ones(len(seen))])
    return np.linalg.lstsq(extended, wanted, rcond=None)[0].T


CORRUPTIONS = [{"dropout": 0.3}, {"sigma": 0.7}]


@pytest.mark.parametrize("how", CORRUPTIONS)
def test_closed_form_is_the_limit_of_many_sampled_corruptions(data, how):
    ours = marginalized_linear(data, **how)
    whole = np.column_stack([ours.weights, ours.bias])
    gaps = []
    for copies in (100, 20_000):
        sampled = least_squares(corrupted(data, copies, **how), np.tile(data, (copies, 1)))
        gaps.append(np.abs(sampled - whole).max())
    assert gaps[1] < 0.01
    assert gaps[1] < 0.3 * gaps[0]


@pytest.mark.parametrize("how", CORRUPTIONS)
def test_no_other_linear_map_is_better_on_average(data, how):
    ours = marginalized_linear(data, **how)
    seen, wanted = corrupted(data, 5000, **how), np.tile(data, (5000, 1))
    best = np.square(ours(seen) - wanted).mean()
    rng = np.random.default_rng(2)
    for _ in range(5):
        change = 0.02 * rng.normal(size=ours.weights.shape)
        assert np.square(ours(seen) + seen @ change.T - wanted).mean() > best
    assert best < np.square(seen - wanted).mean()


@pytest.mark.parametrize("how", [{"dropout": 0.0}, {"sigma": 0.0}])
def test_without_corruption_the_data_come_back(data, how):
    np.testing.assert_allclose(marginalized_linear(data, **how)(data), data, atol=1e-8)


def test_features_that_are_always_zero_do_no_harm(data):
    wide = np.column_stack([data, np.zeros(len(data))])
    made = marginalized_linear(wide, dropout=0.2)(wide)
    assert np.isfinite(made).all()
    np.testing.assert_allclose(made[:, -1], 0, atol=1e-10)


def test_layers_are_stacked_each_on_the_one_before(data):
    first, second = stacked_features(data, 2, sigma=0.3)
    np.testing.assert_allclose(first, np.tanh(marginalized_linear(data, sigma=0.3)(data)))
    np.testing.assert_allclose(second, np.tanh(marginalized_linear(first, sigma=0.3)(first)))


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({}, "dropout=None"),
        ({"dropout": 0.1, "sigma": 0.1}, "dropout=0.1"),
        ({"dropout": 1.0}, "1.0"),
        ({"dropout": -0.1}, "-0.1"),
        ({"sigma": float("inf")}, "inf"),
        ({"sigma": -1}, "-1"),
    ],
)
def test_corruptions_that_make_no_sense_are_refused(data, refused, how, word):
    with refused(word):
        marginalized_linear(data, **how)


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.nan)])
def test_what_is_no_table_is_refused(refused, x):
    with refused(x.shape, remedy="features"):
        marginalized_linear(x, sigma=1)
