"""Before and after: the line, the key, and that nothing of them stays behind."""

import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from .conftest import camera_of

BEFORE = "i denoised: before"


@pytest.fixture
def traces(viewer):
    """Return a function that says what a viewer is like."""

    def look():
        return {
            "layers": [layer.name for layer in viewer.layers],
            "mouse": list(viewer.mouse_drag_callbacks),
            "pan": camera_of(viewer).mouse_pan,
            "active": viewer.layers.selection.active,
            "point": tuple(viewer.dims.point),
            "range": tuple(viewer.dims.range),
        }

    return look


def shown(viewer):
    return np.asarray(viewer.layers[BEFORE].data)


@pytest.mark.parametrize("kind", ["gray", "rgb", "stack", "dask", "multiscale", "scaled"])
def test_the_original_is_shown_before_the_line_and_leaves_no_trace(
    viewer, panel, qtbot, run, press, small_image, traces, kind
):
    image, options = small_image, {}
    match kind:
        case "rgb":
            image, options = np.stack([small_image] * 3, axis=-1), {"rgb": True}
        case "stack":
            image = np.stack([small_image, small_image[::-1]])
        case "dask":
            image = da.from_array(small_image, chunks=31)
            options = {"contrast_limits": (0, 255)}
        case "multiscale":
            image = [small_image, small_image[::2, ::2]]
        case "scaled":
            options = {"scale": (0.5, 2), "translate": (5, 7), "rotate": 30}
    layer = viewer.add_image(image, name="i", **options)
    run(panel)
    before = traces()
    press(panel.tools.split_button)
    full = np.asarray(image[0] if kind == "multiscale" else image)
    axis = full.ndim - 2 if kind == "rgb" else full.ndim - 1
    part = np.take(full, range(40), axis)
    np.testing.assert_array_equal(shown(viewer), part)
    np.testing.assert_allclose(viewer.layers[BEFORE].affine, layer.affine)
    np.testing.assert_allclose(viewer.layers[BEFORE].translate, layer.translate)
    assert viewer.layers.selection.active is before["active"]
    panel.tools.split.move(13)
    qtbot.waitUntil(lambda: shown(viewer).shape[axis] == 13, timeout=10_000)
    assert {one.name for one in panel.layer.choices} == {"i", "i denoised"}
    press(panel.tools.split_button)
    assert traces() == before
    assert not panel.tools.split_button.isChecked()


def test_the_line_is_dragged_with_the_mouse_and_the_camera_waits(
    make_napari_viewer, qtbot, settle, small_image, untrained_classic
):
    from napari_ae_denoise._qt.denoise_widget import DenoiseWidget

    viewer = make_napari_viewer(show=True, strict_qt="raise")
    viewer.window.resize(900, 700)
    viewer.add_image(small_image, name="i")
    panel = DenoiseWidget(viewer)
    viewer.window.add_dock_widget(panel)
    panel.shelf.add(untrained_classic)
    panel.run()
    qtbot.waitUntil(lambda: "i denoised" in viewer.layers, timeout=60_000)
    viewer.reset_view()
    settle()
    panel.tools.split_button.click()
    split = panel.tools.split
    native = viewer.window._qt_viewer.canvas.native
    middle = native.width() / 2  # the image is in the middle of the view, and so is the line

    def mouse(kind, x, buttons):
        at = QPointF(x, native.height() / 2)
        button = (
            Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else Qt.MouseButton.LeftButton
        )
        event = QMouseEvent(
            kind, at, native.mapToGlobal(at), button, buttons, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(native, event)
        settle()

    centre = camera_of(viewer).center
    left = Qt.MouseButton.LeftButton
    assert split.position == 40
    mouse(QEvent.Type.MouseButtonPress, middle, left)
    for step in range(1, 6):
        mouse(QEvent.Type.MouseMove, middle + 10 * step, left)
    mouse(QEvent.Type.MouseButtonRelease, middle + 50, Qt.MouseButton.NoButton)
    moved = round(50 / camera_of(viewer).zoom)
    assert split.position == pytest.approx(40 + moved, abs=2)
    np.testing.assert_allclose(camera_of(viewer).center, centre)
    assert camera_of(viewer).mouse_pan
    mouse(QEvent.Type.MouseButtonPress, middle - 60, left)  # away from the line: the camera pans
    for step in range(1, 4):
        mouse(QEvent.Type.MouseMove, middle - 60 + 10 * step, left)
    mouse(QEvent.Type.MouseButtonRelease, middle - 30, Qt.MouseButton.NoButton)
    assert split.position == pytest.approx(40 + moved, abs=2)
    assert not np.allclose(camera_of(viewer).center, centre)


def press_key(viewer, key="B"):
    (function,) = [f for k, f in viewer.keymap.items() if str(k) == key]
    function(viewer)


def test_the_key_shows_the_original_and_back(viewer, panel, run, press, small_image, traces):
    viewer.add_image(small_image, name="i")
    run(panel)
    before = traces()
    press_key(viewer)
    np.testing.assert_array_equal(shown(viewer), small_image)
    press_key(viewer)
    assert traces() == before
    press(panel.tools.split_button)
    press_key(viewer)
    np.testing.assert_array_equal(shown(viewer), small_image)
    press_key(viewer)
    panel.tools.split._show_part()
    assert shown(viewer).shape[1] == 40
    assert panel.tools.split_button.isChecked()


def test_the_button_moves_the_line_to_the_middle_where_the_key_has_shown_all(
    viewer, panel, qtbot, run, press, small_image, traces
):
    viewer.add_image(small_image, name="i")
    run(panel)
    before = traces()
    press_key(viewer)
    assert not panel.tools.split_button.isChecked()
    press(panel.tools.split_button)
    assert panel.tools.split_button.isChecked()
    qtbot.waitUntil(lambda: shown(viewer).shape[1] == 40, timeout=10_000)
    press(panel.tools.split_button)
    assert traces() == before


def test_what_covers_the_line_is_hidden_while_it_is_shown(viewer, panel, run, press, small_image):
    viewer.add_image(small_image, name="i")
    run(panel)
    run(panel)
    viewer.add_image(small_image, name="adds", blending="additive")
    viewer.add_image(small_image, name="beside", translate=(0, 100))
    viewer.add_image(small_image, name="off", visible=False)
    viewer.add_points(np.zeros((1, 2)), name="spots")
    before = {layer.name: layer.visible for layer in viewer.layers}
    assert before == {
        **dict.fromkeys(["i", "i denoised", "i denoised [1]", "adds", "beside", "spots"], True),
        "off": False,
    }
    viewer.layers.selection.active = viewer.layers["i denoised"]
    press(panel.tools.split_button)
    now = {layer.name: layer.visible for layer in viewer.layers}
    assert now == {**before, BEFORE: True, "i denoised [1]": False}
    press(panel.tools.split_button)
    assert {layer.name: layer.visible for layer in viewer.layers} == before


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_line_goes_to_a_new_result(
    viewer, panel, qtbot, settle, run, press, small_image, tmp_path, on_disk
):
    viewer.add_image(small_image, name="i")
    run(panel)
    press(panel.tools.split_button)
    panel.tools.split.move(20)
    if on_disk:
        panel.filling.limit.value, panel.filling.folder.value = 0.0, str(tmp_path)
    panel.noise.value = True
    run(panel)
    qtbot.waitUntil(lambda: "i denoised [1]: before" in viewer.layers, timeout=10_000)
    settle()
    result, line = viewer.layers["i denoised [1]"], viewer.layers["i denoised [1]: before"]
    assert BEFORE not in viewer.layers
    assert np.asarray(line.data).shape[1] == 20
    assert result.visible
    assert line.visible
    assert viewer.layers.index(line) == viewer.layers.index(result) + 1
    assert viewer.layers.selection.active is result
    assert panel.tools.split_button.isChecked()
    assert viewer.layers["i denoised"].visible


def test_another_image_over_the_line_ends_it(viewer, panel, qtbot, run, press, small_image):
    viewer.add_image(small_image, name="i")
    run(panel)
    press(panel.tools.split_button)
    viewer.add_points(np.zeros((1, 2)))
    viewer.add_image(small_image, name="beside", translate=(0, 100))
    qtbot.wait(50)
    assert panel.tools.split_button.isChecked()
    viewer.add_image(small_image, name="over it")
    qtbot.waitUntil(lambda: BEFORE not in viewer.layers, timeout=10_000)
    assert not panel.tools.split_button.isChecked()


def test_the_grid_ends_it(viewer, panel, run, press, small_image, traces):
    viewer.add_image(small_image, name="i")
    run(panel)
    before = traces()
    press(panel.tools.split_button)
    getattr(viewer, "canvas", viewer).grid.enabled = True
    assert traces()["layers"] == before["layers"]
    assert not panel.tools.split_button.isChecked()
    getattr(viewer, "canvas", viewer).grid.enabled = False
    assert traces() == before


@pytest.mark.parametrize("rgb", [False, True])
def test_both_sides_look_and_lie_alike_all_the_time(viewer, panel, run, press, small_image, rgb):
    image = np.stack([small_image] * 3, axis=-1) if rgb else small_image
    viewer.add_image(image, name="i", rgb=rgb)
    run(panel)
    press(panel.tools.split_button)
    result, line = viewer.layers["i denoised"], viewer.layers[BEFORE]
    result.interpolation2d = "cubic"
    result.scale, result.rotate, result.shear = (0.3, 0.7), 33, [0.1]
    result.translate = (5, 7)
    result.affine = [[1, 0.2, 3], [0, 1.1, 4], [0, 0, 1]]
    if not rgb:
        result.colormap = "magma"
        assert line.colormap.name == "magma"
    assert line.interpolation2d == "cubic"
    for point in ((0, 0), (50, 30)):
        np.testing.assert_allclose(line.data_to_world(point), result.data_to_world(point))


def test_layers_that_are_removed_take_the_line_with_them(
    viewer, panel, run, press, small_image, traces
):
    viewer.add_image(small_image, name="i")
    run(panel)
    mouse = traces()["mouse"]
    press(panel.tools.split_button)
    viewer.layers.remove(viewer.layers[BEFORE])
    assert not panel.tools.split_button.isChecked()
    assert traces()["mouse"] == mouse
    press(panel.tools.split_button)
    viewer.layers.remove(viewer.layers["i denoised"])
    assert BEFORE not in viewer.layers
    assert traces()["mouse"] == mouse
    assert not panel.tools.split_button.isChecked()


def test_the_contrast_of_both_sides_is_the_same(viewer, panel, run, press, small_image):
    viewer.add_image(small_image, name="i", colormap="green")
    run(panel)
    press(panel.tools.split_button)
    viewer.layers["i denoised"].contrast_limits = (20, 90)
    assert viewer.layers[BEFORE].contrast_limits == [20, 90]
    assert viewer.layers[BEFORE].colormap.name == "green"


@pytest.mark.parametrize("case", ["nothing", "grid"])
def test_where_there_is_nothing_to_split_it_says_so(
    viewer, panel, run, press, small_image, notes, case
):
    viewer.add_image(small_image, name="i")
    if case == "grid":
        run(panel)
        getattr(viewer, "canvas", viewer).grid.enabled = True
    press(panel.tools.split_button)
    assert any({"nothing": "no result", "grid": "grid"}[case] in note for note in notes())
    assert not panel.tools.split_button.isChecked()
    assert BEFORE not in viewer.layers


def test_a_key_that_is_taken_stays(viewer, open_panel):
    pressed = []
    viewer.bind_key("B", lambda _: pressed.append(1))
    open_panel("Denoise")
    press_key(viewer)
    assert pressed == [1]
    viewer.bind_key("B", None)


def test_all_goes_with_the_panel(
    viewer, open_panel, qtbot, run, press, small_image, untrained_classic, traces
):
    viewer.add_image(small_image, name="i")
    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    run(panel)
    before = traces()
    assert "B" in map(str, viewer.keymap)
    press(panel.tools.split_button)
    assert BEFORE in viewer.layers
    viewer.window.remove_dock_widget(panel)
    assert traces() == before
    assert "B" not in map(str, viewer.keymap)
    qtbot.wait(50)


_DELETED = """
import os, time
os.environ["NAPARI_CONFIG"] = ""
import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_ae_denoise._qt.denoise_widget import DenoiseWidget

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)

viewer = napari.Viewer(show=True)
panel = DenoiseWidget(viewer)
viewer.window.add_dock_widget(panel)
viewer.add_image(np.random.default_rng(0).integers(0, 255, (128, 128), np.uint8), name="i")
spin(1)
panel.run()
while panel.job.state.value != "idle":
    spin(0.05)
spin(0.5)
panel.tools.split_button.click()
spin(0.5)
viewer.layers.remove("i denoised")
for _ in range(8):  # longer than the drawings are kept
    spin(0.3)
    viewer.window._qt_window.resize(900, 700 + 10 * _)
    getattr(viewer, "scene", viewer).camera.zoom *= 1.1
spin(0.3)
print([layer.name for layer in viewer.layers], flush=True)
os._exit(0)
"""


def test_a_result_deleted_beside_its_line_does_not_end_the_program():
    done = subprocess.run(
        [sys.executable, "-c", _DELETED], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["['i']"], done.stderr
