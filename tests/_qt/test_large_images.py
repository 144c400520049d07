"""Images over a size go to disk, into a layer that fills."""

import dask.array as da
import numpy as np
import pytest
import zarr
from qtpy.QtWidgets import QApplication

from napari_ae_denoise._qt.disk_results import folder_for, too_large
from napari_ae_denoise._qt.seen import looked_at
from napari_ae_denoise.axes import plane_layout
from napari_ae_denoise.done_record import DoneRecord
from napari_ae_denoise.image_files import read_image

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
        lazy, name="cells", contrast_limits=(0, 2000), scale=(2, 0.5, 0.5), units=["um"] * 3
    )
    run(panel)
    layer = viewer.layers["cells denoised"]
    whole = untrained_classic.denoise(stack, axes="ZYX").astype(int)
    assert layer.multiscale
    assert layer.data[0].dtype == np.uint16
    assert np.abs(np.asarray(layer.data[0]).astype(int) - whole).max() <= 16  # bfloat16, perhaps
    assert tuple(layer.contrast_limits) == (0, 2000)
    np.testing.assert_allclose(layer.scale, (2, 0.5, 0.5))
    (path,) = tmp_path.glob("*.ome.zarr")
    assert path.name.startswith("cells denoised")
    assert str(path) in panel.bar.status.text()
    assert any("is written to" in note for note in notes())
    back = read_image(path)
    assert (back.axes, back.unit, back.spacing["Z"]) == ("ZYX", "micrometer", 2.0)


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


def test_what_has_no_room_is_refused(viewer, panel, press, stack, qtbot, notes):
    viewer.add_image(stack, name="cells")
    panel.latent.value = True
    press(panel.bar.start_button)
    wait_idle(qtbot, panel)
    assert any("latent code" in note for note in notes())
    panel.latent.value = False
    panel.filling.folder.value = "/nowhere"
    press(panel.bar.start_button)
    assert any("no folder /nowhere" in note for note in notes())


def test_small_images_stay_in_memory(viewer, panel, run, small_image, tmp_path):
    viewer.add_image(small_image, name="waves")
    panel.filling.limit.value = 2.0
    run(panel)
    assert isinstance(viewer.layers["waves denoised"].data, np.ndarray)
    assert not list(tmp_path.glob("*.zarr"))


def test_the_folder_is_that_of_the_image_or_a_temporary_one(tmp_path):
    image = zarr.create_array(tmp_path / "a.zarr", shape=(8, 8), dtype="u1")
    assert folder_for("", str(tmp_path / "a.zarr")) == tmp_path
    assert folder_for("", None).name == "napari-ae-denoise"
    assert not too_large(image, 1.0)
    assert too_large(image, 0.0)


def test_what_is_looked_at_is_known_in_pixels(viewer, stack):
    layer = viewer.add_image(stack, scale=(2, 0.5, 0.5))
    viewer.dims.set_point(0, 4)
    getattr(viewer, "scene", viewer).camera.center = (0, 100, 50)
    QApplication.processEvents()
    view = looked_at(viewer, layer, plane_layout(stack.shape, "ZYX"))
    assert (view.plane, view.y, view.x) == (2, 200, 100)
