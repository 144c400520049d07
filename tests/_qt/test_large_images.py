"""Images over a size go to disk, into a layer that fills."""

import dask.array as da
import numpy as np
import pytest
import zarr
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_ae_denoise._qt import disk_places
from napari_ae_denoise._qt.disk_places import folder_for, too_large
from napari_ae_denoise._qt.disk_results import Begun
from napari_ae_denoise._qt.seen import looked_at
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.done_record import FILE_NAME, DoneRecord
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.provenance import KEY
from napari_ae_denoise.result_folder import ResultFolder

from .conftest import wait_idle


@pytest.fixture
def stack():
    rng = np.random.default_rng(0)
    return rng.normal(1000, 200, (3, 300, 400)).astype("u2")


@pytest.fixture
def panel(panel, tmp_path):
    panel.model.value = "tutorial"
    panel.filling.limit.value = 0.0
    panel.filling.folder.value = str(tmp_path)
    panel.tile.value = 64
    return panel


def test_a_large_image_goes_to_a_zarr_folder_and_is_the_same(
    viewer, panel, run, stack, untrained_classic, tmp_path, notes
):
    lazy = da.from_array(stack, chunks=(1, 100, 100))
    viewer.add_image(
        lazy,
        name="cells",
        contrast_limits=(0, 2000),
        scale=(2, 0.5, 0.5),
        translate=(0, 30, -7),
        units=["um"] * 3,
    )
    run(panel)
    layer = viewer.layers["cells denoised"]
    whole = untrained_classic.denoise(stack, axes="ZYX").astype(int)
    assert layer.multiscale
    assert layer.data[0].dtype == np.uint16
    assert np.abs(np.asarray(layer.data[0]).astype(int) - whole).max() <= 16  # bfloat16, perhaps
    assert tuple(layer.contrast_limits) == (0, 2000)
    np.testing.assert_allclose(layer.scale, (2, 0.5, 0.5))
    np.testing.assert_allclose(layer.translate, (0, 30, -7))
    (path,) = tmp_path.glob("*.ome.zarr")
    assert path.name.startswith("cells denoised")
    assert str(path) in panel.bar.status.text()
    assert any("is written to" in note for note in notes())
    back = read_image(path)
    assert (back.axes, back.unit, back.spacing["Z"]) == ("ZYX", "micrometer", 2.0)
    assert back.origin == {"Y": 30.0, "X": -7.0}


@pytest.mark.usefixtures("slow_tiles")
def test_the_layer_is_there_at_once_and_fills_and_cancel_keeps_it(
    viewer, panel, press, qtbot, stack, tmp_path
):
    viewer.add_image(stack, name="cells")
    viewer.dims.set_point(0, 2)
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: "cells denoised" in viewer.layers, timeout=60_000)
    layer = viewer.layers["cells denoised"]
    assert panel.job.state.value == "running"
    view = layer.data[0]
    assert view.dtype == np.float32
    assert np.isnan(view[...]).any()
    qtbot.waitUntil(lambda: np.isfinite(view[...]).any(), timeout=60_000)
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    values = view[...]
    assert np.isnan(values).any()
    assert np.isfinite(values[2]).sum() > np.isfinite(values[0]).sum()  # what was looked at
    assert "Cancelled" in panel.bar.status.text()
    (path,) = tmp_path.glob("*.ome.zarr")
    done = DoneRecord.load(path).finished
    assert 0 < done < 1
    press(panel.bar.start_button)
    wait_idle(qtbot, panel)
    assert "was there" in panel.bar.status.text()
    assert DoneRecord.load(path).finished == 1
    assert not np.isnan(np.asarray(viewer.layers[-1].data[0], float)).any()


def test_a_removed_layer_does_not_stop_the_work(viewer, panel, press, qtbot, stack, tmp_path):
    viewer.add_image(stack, name="cells")
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: "cells denoised" in viewer.layers, timeout=60_000)
    viewer.layers.remove("cells denoised")
    wait_idle(qtbot, panel)
    assert "Done" in panel.bar.status.text()


def test_photographs_go_to_disk_too(viewer, panel, run):
    photograph = np.random.default_rng(0).integers(0, 255, (150, 170, 3)).astype("u1")
    viewer.add_image(photograph, name="photograph", rgb=True)
    run(panel)
    assert viewer.layers["photograph denoised"].rgb
    assert viewer.layers["photograph denoised"].data.shape == photograph.shape


def test_code_and_noise_of_a_large_image_are_on_disk_and_lazy(
    viewer, panel, run, stack, untrained_classic, tmp_path, press
):
    lazy = da.from_array(stack, chunks=(1, 100, 100))
    viewer.add_image(lazy, name="cells", contrast_limits=(0, 2000), scale=(2, 0.5, 0.5))
    panel.latent.value = panel.noise.value = True
    run(panel)
    assert [layer.name for layer in viewer.layers] == [
        "cells",
        "cells denoised",
        "cells removed noise",
        "cells latent",
    ]
    made, noise, code = list(viewer.layers)[1:]
    clean = np.asarray(made.data[0]).astype(np.float32)
    data = noise.data[0] if noise.multiscale else noise.data
    assert isinstance(data, da.Array)
    np.testing.assert_array_equal(data, stack - clean)
    assert noise.contrast_limits[1] > 10
    finest = code.data[0] if code.multiscale else code.data
    assert isinstance(finest, da.Array)
    whole = untrained_classic.encode(stack, axes="ZYX")
    np.testing.assert_allclose(finest, whole, atol=0.02 * np.abs(whole).max())  # bfloat16, perhaps
    np.testing.assert_allclose(code.scale, (1, 2, 2, 2))
    assert code.metadata["napari_ae_denoise"]["units"][0] == "unit 0"
    assert made.visible
    assert not noise.visible
    assert not code.visible
    for layer in (made, noise, code):
        record = layer.metadata["napari_ae_denoise"]
        assert record["normalization"][0]["scale"] > 0
        assert record["folder"].endswith(".ome.zarr")
    names = sorted(path.name.split(" ")[1] for path in tmp_path.glob("*.ome.zarr"))
    assert names == ["denoised", "latent"]
    assert all(name in panel.bar.status.text() for name in names)


def test_noise_or_code_alone_is_made_of_a_large_image(viewer, panel, run, stack):
    viewer.add_image(stack, name="cells")
    panel.denoised.value = False
    panel.noise.value = True
    run(panel)
    assert [layer.name for layer in viewer.layers] == ["cells", "cells removed noise"]
    assert viewer.layers[-1].visible
    panel.noise.value, panel.latent.value = False, True
    run(panel)
    assert viewer.layers[-1].name == "cells latent"
    assert viewer.layers[-1].visible


@pytest.mark.usefixtures("slow_tiles")
def test_a_stopped_large_image_keeps_its_code_and_noise(viewer, panel, press, qtbot, stack):
    viewer.add_image(stack, name="cells")
    panel.noise.value = panel.latent.value = True
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: panel.bar.progress.value() > 0, timeout=60_000)
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    (noise,) = [layer for layer in viewer.layers if "removed noise (cancelled" in layer.name]
    values = np.asarray(noise.data[0] if noise.multiscale else noise.data)
    assert 0 < np.isnan(values).mean() < 1
    press(panel.bar.start_button)
    wait_idle(qtbot, panel)
    assert "was there" in panel.bar.status.text()
    assert "cells latent" in viewer.layers


def test_photographs_have_code_and_noise_on_disk_too(viewer, panel, run):
    photograph = np.random.default_rng(0).integers(0, 255, (150, 170, 3)).astype("u1")
    viewer.add_image(photograph, name="photograph", rgb=True)
    panel.latent.value = panel.noise.value = True
    run(panel)
    noise, code = viewer.layers[-2:]
    assert noise.rgb
    assert np.asarray(noise.data).dtype == np.float32
    assert code.data.shape == (96, 38, 43)  # the units of each colour


def test_a_folder_that_is_not_there_is_refused(viewer, panel, press, stack, notes):
    viewer.add_image(stack, name="cells")
    panel.filling.folder.value = "/nowhere/at all"
    press(panel.bar.start_button)
    assert any("no folder /nowhere/at all" in note for note in notes())


def test_small_images_stay_in_memory(viewer, panel, run, small_image, tmp_path):
    viewer.add_image(small_image, name="waves")
    panel.filling.limit.value = 2.0
    run(panel)
    assert isinstance(viewer.layers["waves denoised"].data, np.ndarray)
    assert not list(tmp_path.glob("*.zarr"))


def test_the_folder_is_that_of_the_image_or_a_temporary_one(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_places.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    image = zarr.create_array(tmp_path / "a.zarr", shape=(8, 8), dtype="u1")
    assert folder_for("", str(tmp_path / "a.zarr")) == tmp_path
    assert folder_for(str(tmp_path / "new"), None) == tmp_path / "new"
    assert (tmp_path / "new").is_dir()  # as in Batch
    assert folder_for("", None) == tmp_path / "temporary" / "napari-ae-denoise"
    assert not too_large(image, 1.0)
    assert too_large(image, 0.0)


def test_what_is_looked_at_is_known_in_pixels(viewer, stack):
    layer = viewer.add_image(stack, scale=(2, 0.5, 0.5))
    viewer.dims.set_point(0, 4)
    getattr(viewer, "scene", viewer).camera.center = (0, 100, 50)
    QApplication.processEvents()
    view = looked_at(viewer, layer, plane_layout(stack.shape, "ZYX"))
    assert (view.plane, view.y, view.x) == (2, 200, 100)


@pytest.mark.parametrize(
    ("axes", "colours", "alone"),
    [("ZYX", False, True), ("YZX", False, False), ("ZYXC", True, False)],
)
def test_a_picture_is_drawn_anew_where_its_own_plane_has_changed(
    viewer, panel, qtbot, axes, colours, alone
):
    stack = np.zeros((3, 30, 40, 3) if colours else (3, 30, 40), "u1")
    layout = plane_layout(stack.shape, axes, network_channels=1)
    layer = {"data": stack, "name": "x", "rgb": colours, "contrast_limits": (0, 255)}
    writes = {}
    panel.filling.begin(Begun(layer, layout, (), 0.0, writes))
    shown = viewer.layers["x"]
    qtbot.waitUntil(lambda: shown.visible, timeout=30_000)
    viewer.dims.set_point(0, 1)
    panel.filling._look()
    writes |= {0: 1, 2: 3}
    assert panel.filling._changed(shown) != alone
    writes[1] = 1
    assert panel.filling._changed(shown)
    assert not panel.filling._changed(shown)
    panel.filling.end(None)


def test_no_picture_is_drawn_anew_while_somebody_scrolls(viewer, panel, qtbot, monkeypatch):
    stack = np.zeros((40, 30, 40), "u1")
    layout = plane_layout(stack.shape, "ZYX", network_channels=1)
    writes = {}
    layer = {"data": stack, "name": "x", "contrast_limits": (0, 255)}
    panel.filling.begin(Begun(layer, layout, (), 0.0, writes))
    shown = viewer.layers["x"]
    qtbot.waitUntil(lambda: shown.visible, timeout=30_000)
    panel.filling._timer.stop()
    drawn = []
    monkeypatch.setattr(type(shown), "refresh", lambda *_, **how: drawn.append(how))
    for plane in range(20):
        writes[plane] = 1
        viewer.dims.set_point(0, plane)
        panel.filling._look()
    assert not drawn
    panel.filling._look()
    assert len(drawn) == 1
    for number in range(20):  # and not at each tile that comes
        writes[19] = number + 2
        panel.filling._look()
    assert len(drawn) == 5
    panel.filling.end(None)


def test_another_image_of_the_same_name_goes_to_a_place_of_its_own(
    viewer, panel, run, stack, tmp_path, untrained_classic
):
    layer = viewer.add_image(stack[0, :80, :90], name="cells")
    run(panel)
    layer.data = stack[1, :80, :90]
    run(panel)
    assert "Done" in panel.bar.status.text()
    assert "was there" not in panel.bar.status.text()
    assert len(list(tmp_path.glob("cells denoised *.ome.zarr"))) == 2
    made = viewer.layers[-1].data
    finest = made[0] if viewer.layers[-1].multiscale else made
    expected = untrained_classic.denoise(stack[1, :80, :90]).astype(int)
    assert np.abs(np.asarray(finest).astype(int) - expected).max() <= 16
    layer.data = stack[0, :80, :90]
    run(panel)
    assert "was there" in panel.bar.status.text()


def test_a_result_on_disk_is_never_saved_over_itself(
    viewer, panel, run, stack, tmp_path, qtbot, notes
):
    viewer.add_image(stack[0, :80, :90], name="cells")
    run(panel)
    (path,) = tmp_path.glob("*.ome.zarr")
    button = panel.tools.save_button
    button.save(path)
    qtbot.waitUntil(lambda: button.job.state.value == "idle", timeout=60_000)
    assert notes()[-1] == f"{path} is where the result lies already. Choose another name."
    assert path.exists()


def test_what_cannot_be_gone_on_with_is_left_alone(viewer, panel, run, stack, tmp_path):
    viewer.add_image(stack[0, :80, :90], name="cells")
    run(panel)
    (path,) = tmp_path.glob("*.ome.zarr")
    (path / FILE_NAME).write_text("{}", encoding="utf-8")
    for said in (False, True):
        run(panel)
        assert "Done" in panel.bar.status.text()
        assert ("was there" in panel.bar.status.text()) is said
    (path / FILE_NAME).unlink()
    run(panel)
    assert "was there" in panel.bar.status.text()
    other = path.with_name(path.name.replace(".ome.zarr", "-2.ome.zarr"))
    assert set(tmp_path.glob("*.ome.zarr")) == {path, other}


def test_the_buttons_are_about_what_is_on_disk_too(
    viewer, panel, run, press, stack, tmp_path, notes
):
    panel.filling.limit.value = 2.0
    original = viewer.add_image(stack, name="cells")
    run(panel)
    panel.filling.limit.value, panel.noise.value = 0.0, True
    run(panel)
    result = viewer.layers["cells denoised [1]"]
    assert viewer.layers.selection.active is result  # and not its removed noise
    record = result.metadata[KEY]
    assert record["finished"] == 1
    assert record["remarks"] == []
    viewer.layers.selection.active = original
    press(panel.tools.split_button)
    assert "cells denoised [1]: before" in viewer.layers
    press(panel.tools.copy_button)
    assert str(next(tmp_path.glob("*.ome.zarr"))) in QApplication.clipboard().text()


@pytest.mark.usefixtures("slow_tiles")
def test_what_is_being_written_is_the_last_result_at_once(viewer, panel, press, qtbot, stack):
    original = viewer.add_image(stack, name="cells")
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: "cells denoised" in viewer.layers, timeout=60_000)
    layer = viewer.layers["cells denoised"]
    assert layer.metadata[KEY]["finished"] == 0
    viewer.layers.selection.active = original
    press(panel.tools.split_button)
    assert "cells denoised: before" in viewer.layers
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    assert 0 <= layer.metadata[KEY]["finished"] <= 1


def test_a_cancelled_result_on_disk_says_so_and_is_saved_as_it_lies_there(
    viewer, panel, press, run, qtbot, stack, tmp_path, notes, monkeypatch
):
    viewer.add_image(stack, name="cells")
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: panel.bar.progress.value() > 0, timeout=60_000)
    layer = viewer.layers.selection.active = viewer.layers["cells denoised"]
    monkeypatch.setattr(QFileDialog, "exec", lambda _dialog: 0)  # or it would wait for somebody
    press(panel.tools.save_button)
    assert notes()[-1].startswith('"cells denoised" is still being made.')
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    part = layer.metadata[KEY]["finished"]
    assert 0 < part < 1
    assert layer.name == f"cells denoised (cancelled at {part:.0%})"
    button = panel.tools.save_button
    assert "cancelled at" in button.chosen().name
    button.save(tmp_path / "out.tif")
    qtbot.waitUntil(lambda: button.job.state.value == "idle", timeout=60_000)
    (path,) = tmp_path.glob("*.ome.zarr")
    made, lies = read_image(tmp_path / "out.tif").array, np.asarray(read_image(path).array)
    assert made.dtype == np.uint16
    np.testing.assert_array_equal(made, lies)
    run(panel)
    assert "was there" in panel.bar.status.text()
    assert list(tmp_path.glob("*.ome.zarr")) == [path]
    assert viewer.layers[-1].name == "cells denoised"


def test_a_result_that_broke_off_on_disk_says_so_and_is_gone_on_with(
    viewer, panel, run, stack, monkeypatch
):
    viewer.add_image(stack, name="cells")
    usual, tiles = ResultFolder.write, iter(range(20))

    def until_full(self, *args):
        if next(tiles, None) is None:
            raise OSError(28, "No space left on device")
        return usual(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(ResultFolder, "write", until_full)
        run(panel)
    layer = viewer.layers[-1]
    record = layer.metadata[KEY]
    assert 0 < record["finished"] < 1
    assert "No space left" in record["problem"]
    assert layer.name == f"cells denoised (broken off at {record['finished']:.0%})"
    run(panel)
    assert "was there" in panel.bar.status.text()
    assert viewer.layers[-1].metadata[KEY]["finished"] == 1
