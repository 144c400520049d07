import itertools
import sys

import numpy as np
import pytest

from napari_ae_denoise import figures


def drawn(figure):
    """Return the images of a figure, as (values, grey limits), in order."""
    return [(a.images[0].get_array(), a.images[0].get_clim()) for a in figure.axes if a.images]


def ramp(low, high):
    return np.linspace(low, high, 200).reshape(10, 20)


def test_a_row_shares_the_grey_limits_of_its_first_image():
    figure = figures.before_after(
        {"noisy": ramp(0, 100), "denoised": ramp(20, 30), "latent": ramp(-1, 1)},
        own_limits=["latent"],
    )
    (_, first), (_, second), (_, own) = drawn(figure)
    assert first == second == pytest.approx((0.1, 99.9), abs=0.01)
    assert own == pytest.approx((-0.998, 0.998))
    assert [axes.get_title() for axes in figure.axes] == ["noisy", "denoised", "latent"]


@pytest.mark.parametrize("draw", [figures.before_after, figures.comparison_grid])
@pytest.mark.parametrize("title", ["field_03 " * 9 + "30.1 dB", "x" * 150, "a\n30.1 dB\nSSIM 0.9"])
def test_long_titles_lie_over_their_own_image_alone(draw, title):
    figure = draw(dict(zip([title, f"{title} denoised", "c"], np.zeros((3, 20, 20)), strict=True)))
    figure.canvas.draw()
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    for left, right in itertools.pairwise(titles):
        assert left.x1 < right.x0
    assert max(box.y1 for box in titles) <= figure.bbox.y1
    assert min(box.x0 for box in titles) >= 0


def test_colours_are_drawn_as_they_are():
    photograph = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    figure = figures.before_after({"a": photograph, "b": photograph / 200.0})
    values = [v for v, _ in drawn(figure)]
    np.testing.assert_array_equal(values[0], photograph)
    assert values[1].max() == 1


def test_nan_pixels_do_not_spoil_the_limits():
    image = ramp(0, 100)
    image[0, :5] = np.nan
    ((_, limits),) = drawn(figures.before_after({"a": image}))
    assert 1 < limits[0] < limits[1] < 100
    ((_, limits),) = drawn(figures.before_after({"a": np.full((4, 4), np.nan)}))
    assert limits == (0, 1)


def test_the_grid_of_the_tutorial_has_pairs_of_rows():
    noisy = np.arange(20 * 4 * 4, dtype=float).reshape(20, 4, 4)
    denoised = -noisy
    images = [v for v, _ in drawn(figures.pair_grid(noisy, denoised))]
    assert len(images) == 40
    for number in range(20):
        row, column = divmod(number, 10)
        np.testing.assert_array_equal(images[20 * row + column], noisy[number])
        np.testing.assert_array_equal(images[20 * row + 10 + column], denoised[number])


def test_a_row_of_small_images_shares_the_limits_of_all():
    found = drawn(figures.image_row(np.stack([ramp(0, 1), ramp(0, 10)])))
    assert len(found) == 2
    assert found[0][1] == found[1][1]
    assert found[0][1][1] > 9


def test_the_loss_curve_shows_loss_and_validation():
    figure = figures.loss_curve([1, 2, 3], [0.3, 0.2, 0.1], {3: 27.5})
    left, right = figure.axes
    assert left.get_yscale() == "log"
    assert left.lines[0].get_ydata().tolist() == [0.3, 0.2, 0.1]
    assert list(right.lines[0].get_ydata()) == [27.5]
    assert "dB" in right.get_ylabel()


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_figures_are_saved(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    figures.save_figure(figures.loss_curve([1], [1.0]), path)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_figure_that_cannot_be_saved_leaves_nothing(tmp_path, refused):
    figure = figures.loss_curve([1], [1.0])
    with refused(".bmp", remedy=".png"):
        figures.save_figure(figure, tmp_path / "a.bmp")
    with refused("could not be written"):
        figures.save_figure(figure, tmp_path / "nowhere" / "a.png")
    assert not list(tmp_path.iterdir())


def test_what_is_no_picture_is_refused(refused):
    with refused("no images"):
        figures.before_after({})
    with refused("(2, 3, 4, 5)"):
        figures.before_after({"a": np.zeros((2, 3, 4, 5))})
    with refused("(3, 4)"):
        figures.image_row(np.zeros((3, 4)))
    with refused("no pairs"):
        figures.pair_grid(np.zeros((2, 4, 4)), np.zeros((3, 4, 4)))


def test_drawing_never_touches_the_global_state_of_matplotlib():
    figures.before_after({"a": ramp(0, 1)})
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
