"""The panel *Compare*: large and lazy layers, Stop, axes, and figures that are missing."""

import time

import dask.array as da
import imageio.v3 as iio
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_ae_denoise import psnr, ssim
from napari_ae_denoise._qt import compare_picture
from napari_ae_denoise.axes import PlaneLayout

from .conftest import wait_idle


@pytest.fixture
def planes_read(monkeypatch):
    """Count the planes that are read, each of which takes a while."""
    read = []
    read_plane = PlaneLayout.read

    def slowly(self, image, plane, *window):
        read.append(plane)
        time.sleep(0.01)
        return read_plane(self, image, plane, *window)

    monkeypatch.setattr(PlaneLayout, "read", slowly)
    return read


def noisy_like(image):
    return np.clip(image + np.random.default_rng(0).normal(0, 9, image.shape), 0, 255)


def choose(panel, reference, *images):
    layers = {layer.name: layer for layer in panel.viewer.layers}
    panel.reference.value = layers[reference]
    panel.images.value = [layers[name] for name in images]


def test_stop_ends_within_a_layer_and_finished_lines_stay(
    qtbot, viewer, open_panel, press, planes_read
):
    small, large = np.zeros((2, 16, 16), np.uint8), np.zeros((2000, 16, 16), np.uint8)
    for name, data in {"large": large, "small": small, "other": large + 1}.items():
        viewer.add_image(data, name=name)
    panel = open_panel("Compare")
    choose(panel, "large", "small", "other")
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: len(planes_read) > 20, timeout=30_000)
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    assert len(planes_read) < 2000
    assert [row[0] for row in panel.rows()] == ["small"]
    assert "Stopped" in panel.bar.status.text()


def test_stop_ends_the_search_for_the_data_range(qtbot, viewer, open_panel, press, planes_read):
    for name in ("a", "b"):
        viewer.add_image(np.zeros((2000, 16, 16), np.uint16), name=name)
    panel = open_panel("Compare")
    choose(panel, "a", "b")
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: len(planes_read) > 5, timeout=30_000)
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    assert len(planes_read) < 2000
    assert panel.rows() == []


@pytest.mark.parametrize("kind", ["dask", "multiscale", "numpy"])
def test_layers_are_read_plane_by_plane(viewer, open_panel, run, small_image, kind):
    clean = np.stack([small_image, small_image[::-1], small_image.T.reshape(96, 80)])
    noisy = noisy_like(clean).astype(np.uint16)
    sizes = []

    def note(block):
        sizes.append(block.size)
        return block

    for name, data in {"clean": clean, "noisy": noisy}.items():
        options = {"name": name, "contrast_limits": (0, 255)}
        lazy = da.from_array(data, chunks=(1, 96, 80))
        lazy = lazy.map_blocks(note, dtype=data.dtype, meta=np.empty((0, 0, 0), data.dtype))
        match kind:
            case "dask":
                viewer.add_image(lazy, **options)
            case "multiscale":
                viewer.add_image([lazy, lazy[:, ::2, ::2]], multiscale=True, **options)
            case "numpy":
                viewer.add_image(data, **options)
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy")
    sizes.clear()
    run(panel)
    ((name, near, alike),) = panel.rows()
    assert name == "noisy"
    assert near == f"{psnr(clean, noisy, data_range=255):.2f}"
    assert alike == f"{ssim(clean, noisy, data_range=255):.4f}"
    assert len(sizes) == (0 if kind == "numpy" else 6)  # each plane of each layer, once


def test_planes_too_small_for_ssim_have_a_psnr_and_a_reason(viewer, open_panel, run, notes):
    image = np.arange(54, dtype=np.uint8).reshape(6, 9)
    viewer.add_image(image, name="clean")
    viewer.add_image(image + 1, name="brighter")
    panel = open_panel("Compare")
    choose(panel, "clean", "brighter")
    run(panel)
    ((_, near, alike),) = panel.rows()
    assert float(near) == pytest.approx(48.13)
    assert alike == ""
    assert any("6 x 9" in note for note in notes())


def test_layers_of_six_axes_are_compared_once_they_are_named(
    viewer, open_panel, run, notes, small_image
):
    image = np.broadcast_to(small_image[:32, :40], (2, 1, 2, 2, 32, 40))
    viewer.add_image(image, name="clean")
    viewer.add_image(noisy_like(image).astype(np.uint8), name="noisy")
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy")
    assert panel.axes.value == ""
    run(panel)
    assert any("one letter each" in note for note in notes())
    panel.axes.value = "NTZCYX"
    run(panel)
    assert float(panel.rows()[0][1]) == pytest.approx(29, abs=1)


def test_the_axes_follow_the_reference(viewer, open_panel, small_image):
    plane = viewer.add_image(small_image)
    stack = viewer.add_image(np.stack([small_image] * 3))
    panel = open_panel("Compare")
    for layer, axes in ((plane, "YX"), (stack, "ZYX")):
        panel.reference.value = layer
        assert panel.axes.value == axes


@pytest.fixture
def stacks(viewer, small_image):
    clean = np.stack([small_image, small_image[::-1], small_image[:, ::-1]])
    rng = np.random.default_rng(0)
    for name, sigma in {"clean": 0, "noisy": 25, "better": 5}.items():
        made = np.clip(clean + rng.normal(0, sigma, clean.shape), 0, 255).astype(np.uint8)
        viewer.add_image(clean if sigma == 0 else made, name=name)
    return clean


def test_classical_methods_at_a_press(qtbot, viewer, open_panel, run, stacks):
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy", "better")
    assert not panel.fields.noisy.native.isVisibleTo(panel)
    panel.fields.classical.value = True
    assert panel.fields.noisy.native.isVisibleTo(panel)
    panel.fields.noisy.value = viewer.layers["noisy"]
    run(panel)
    rows = {name: float(near) for name, near, _ in panel.rows()}
    assert set(rows) == {"noisy", "better", *panel.fields.methods.value}
    assert all(rows[method] > rows["noisy"] + 2 for method in panel.fields.methods.value)


def test_a_line_for_each_plane_or_for_the_shown_one(viewer, open_panel, run, stacks):
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy")
    noisy = viewer.layers["noisy"].data
    panel.fields.planes.value = "one by one"
    run(panel)
    assert [row[0] for row in panel.rows()] == ["noisy Z0", "noisy Z1", "noisy Z2"]
    for number, (_, near, _alike) in enumerate(panel.rows()):
        assert near == f"{psnr(stacks[number], noisy[number], data_range=255):.2f}"
    viewer.dims.set_point(0, 2)
    panel.fields.planes.value = "the shown one"
    run(panel)
    ((_, near, alike),) = panel.rows()
    assert near == f"{psnr(stacks[2], noisy[2], data_range=255):.2f}"
    assert alike == f"{ssim(stacks[2], noisy[2], data_range=255):.4f}"


def test_the_table_is_copied_as_text_and_as_markdown(viewer, open_panel, run, stacks):
    panel = open_panel("Compare")
    assert not panel.copy.isEnabled()
    choose(panel, "clean", "noisy", "better")
    run(panel)
    panel.copy.click()
    lines = [line.split("\t") for line in QApplication.clipboard().text().splitlines()]
    assert lines[0] == ["Layer", "PSNR (dB)", "SSIM", "Data range (grey values)"]
    assert [line[:3] for line in lines[1:]] == panel.rows()
    assert {line[3] for line in lines[1:]} == {"255"}
    panel.table.copy_markdown.click()
    text = QApplication.clipboard().text()
    assert text.splitlines()[1] == "| :-- | --: | --: |"
    assert '"clean", in a data range of 255 grey values' in text
    fonts = [panel.table.grid.item(row, 1).font().bold() for row in range(2)]
    assert fonts == [False, True]


def test_the_picture_is_saved(qtbot, viewer, open_panel, run, stacks, tmp_path):
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy", "better")
    run(panel)
    panel.save_picture(str(tmp_path / "picture.png"))
    wait_idle(qtbot, panel)
    assert (tmp_path / "picture.png").stat().st_size > 5000
    assert "picture.png" in panel.bar.status.text()
    assert len(panel.rows()) == 2


def test_a_picture_is_of_what_its_figures_are_of(
    qtbot, viewer, open_panel, run, stacks, tmp_path, monkeypatch
):
    drawn, grid = [], compare_picture.comparison_grid
    monkeypatch.setattr(
        compare_picture, "comparison_grid", lambda titled: drawn.append(titled) or grid(titled)
    )
    viewer.add_image(np.full(stacks.shape, np.nan, np.float32), name="nothing")
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy")
    run(panel)
    rows = panel.rows()
    choose(panel, "nothing", "noisy")
    run(panel)
    assert panel.job.ended.value == "failed"
    assert panel.rows() == rows
    panel.save_picture(str(tmp_path / "picture.png"))
    wait_idle(qtbot, panel)
    (titled,) = drawn
    assert [title.split("\n")[0] for title in titled] == ["clean", "noisy"]


def test_a_picture_is_of_what_was_compared_when_its_button_was_pressed(
    qtbot, viewer, open_panel, press, run, stacks, tmp_path, monkeypatch
):
    drawn, grid = [], compare_picture.comparison_grid
    monkeypatch.setattr(
        compare_picture, "comparison_grid", lambda titled: drawn.append(titled) or grid(titled)
    )
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy")
    run(panel)

    def others_are_compared(_dialog):
        choose(panel, "clean", "better")
        run(panel)
        return 1

    monkeypatch.setattr(QFileDialog, "exec", others_are_compared)
    press(panel.table.save)
    wait_idle(qtbot, panel)
    assert (tmp_path / "comparison.png").exists()
    (titled,) = drawn
    assert [title.split("\n")[0] for title in titled] == ["clean", "noisy"]


def test_pairs_of_a_stack_are_the_grid_of_the_tutorial(
    qtbot, viewer, open_panel, run, tmp_path, monkeypatch
):
    drawn = []
    save = compare_picture.save_figure
    monkeypatch.setattr(
        compare_picture, "save_figure", lambda made, path: drawn.append(made) or save(made, path)
    )
    clean = np.random.default_rng(0).integers(0, 255, (25, 16, 16), np.uint8)
    for name, data in {"clean": clean, "noisy": clean // 2, "denoised": clean // 3}.items():
        viewer.add_image(data, name=name)
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy", "denoised")
    run(panel)
    panel.fields.picture.value = "pairs of a stack"
    panel.save_picture(str(tmp_path / "pairs.png"))
    wait_idle(qtbot, panel)
    axes = [one for one in drawn[0].axes if one.images]
    assert len(axes) == 40
    rows = sorted({one.get_position().y0.round(6) for one in axes}, reverse=True)
    columns = sorted({one.get_position().x0.round(6) for one in axes})
    assert (len(rows), len(columns)) == (4, 10)
    for one in axes:  # noisy images, and the denoised ones under them
        place = one.get_position()
        row, column = rows.index(place.y0.round(6)), columns.index(place.x0.round(6))
        side = viewer.layers["denoised" if row % 2 else "noisy"].data
        np.testing.assert_array_equal(one.images[0].get_array(), side[10 * (row // 2) + column])
    height, width, _ = iio.imread(tmp_path / "pairs.png").shape
    assert width / height == pytest.approx(10 / 4, rel=0.1)


def test_pairs_of_what_is_no_stack_are_refused(
    qtbot, viewer, open_panel, run, notes, small_image, tmp_path
):
    for name in ("clean", "noisy"):
        viewer.add_image(small_image, name=name)
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy")
    run(panel)
    panel.fields.picture.value = "pairs of a stack"
    panel.save_picture(str(tmp_path / "picture.png"))
    wait_idle(qtbot, panel)
    assert any("two gray stacks" in note for note in notes())


def test_stop_ends_the_classical_methods_after_a_plane(
    qtbot, viewer, open_panel, press, monkeypatch, small_image
):
    from napari_ae_denoise import comparison

    done = []

    def slowly(image, method, **how):
        done.append(method)
        time.sleep(0.05)
        return image

    monkeypatch.setattr(comparison, "denoise_classically", slowly)
    for name in ("clean", "noisy"):
        viewer.add_image(np.stack([small_image] * 50), name=name)
    panel = open_panel("Compare")
    choose(panel, "clean", "noisy")
    panel.fields.classical.value, panel.fields.noisy.value = True, viewer.layers["noisy"]
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: len(done) > 3, timeout=30_000)
    assert "Gaussian" in panel.bar.status.text()
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    assert len(done) < 50
    assert [row[0] for row in panel.rows()] == ["noisy"]
    assert "Stopped" in panel.bar.status.text()
