"""Layers that are changed are followed: by axes, levels, the live preview, and scripts."""

import napari
import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication

from napari_ae_denoise._qt.layers import take
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.provenance import KEY


@pytest.fixture
def panel(panel):
    panel.model.value = "tutorial"
    return panel


def test_the_axes_follow_the_data(viewer, panel, run, small_image):
    layer = viewer.add_image(small_image, name="cells")
    assert panel.axes.value == "YX"
    layer.data = np.stack([small_image] * 3)
    assert panel.axes.value == "ZYX"
    assert "(3 x 96 x 80)" in panel.axes.tooltip
    assert "3 planes along Z" in panel.at_once.image_note.text()
    run(panel)
    assert viewer.layers["cells denoised"].data.shape == (3, 96, 80)


def test_axes_that_were_written_stay_while_they_may_fit(viewer, panel, small_image):
    layer = viewer.add_image(np.stack([small_image] * 3), name="cells")
    panel.axes.value = "TYX"
    layer.data = layer.data[:2]
    assert panel.axes.value == "TYX"
    assert "(2 x 96 x 80)" in panel.axes.tooltip
    layer.axis_labels = ("c", "y", "x")
    assert panel.axes.value == "CYX"
    layer.data = small_image
    assert panel.axes.value == "YX"


def test_the_level_follows_the_data(viewer, panel, run, small_image):
    levels = [small_image, small_image[::2, ::2], small_image[::4, ::4]]
    layer = viewer.add_image(levels, name="cells", multiscale=True)
    panel.level.value = 1
    layer.data = levels[:2]
    assert (panel.level.value, len(panel.level.choices)) == (1, 2)
    layer.data = levels[:1]
    assert (panel.level.value, panel.level.choices) == (0, (0,))
    run(panel)
    assert viewer.layers["cells denoised"].data.shape == (96, 80)


def test_a_level_that_is_not_there_is_refused(viewer, small_image):
    layer = viewer.add_image([small_image, small_image[::2, ::2]], name="cells", multiscale=True)
    with pytest.raises(DenoisingError, match='"cells" has 2 levels, and no level 2'):
        take(layer, level=2)


def test_the_live_preview_goes_on_with_other_axes(viewer, panel, qtbot, small_image, notes):
    layer = viewer.add_image(np.stack([small_image] * 3), name="cells")
    panel.live.switch.value = True

    def live():
        return {one.name: one for one in viewer.layers}.get("cells live")

    for data in (small_image, np.stack([small_image] * 2)):
        qtbot.waitUntil(lambda: live() is not None, timeout=60_000)
        layer.data = data
        wanted = (1,) * (data.ndim - 2) + (96, 80)
        qtbot.waitUntil(
            lambda wanted=wanted: live() is not None and live().data.shape == wanted,
            timeout=60_000,
        )
    assert panel.live.switch.value
    assert not any("axes" in note for note in notes())


def test_a_result_is_shown_as_its_image_is_and_covers_it(viewer, panel, run, small_image):
    look = {"gamma": 0.5, "interpolation2d": "cubic", "interpolation3d": "nearest"}
    how = {"colormap": "green", "contrast_limits": (9, 99), "blending": "additive", "opacity": 0.8}
    viewer.add_image(small_image, name="cells", **how, **look)
    panel.noise.value = panel.latent.value = True
    run(panel)
    made = viewer.layers["cells denoised"]
    assert {name: getattr(made, name) for name in look} == look
    assert (made.colormap.name, tuple(made.contrast_limits)) == ("green", (9, 99))
    for name in ("cells removed noise", "cells latent"):
        assert viewer.layers[name].gamma == 1
    for layer in viewer.layers[1:]:  # the noise of the image below does not show through
        assert layer.blending != "additive"
        assert layer.opacity == 1


@pytest.fixture
def script(viewer, panel, open_model, press, tmp_path, untrained_classic, monkeypatch):
    """Return a function that runs the script of a result, as in napari's console."""
    open_model(panel, untrained_classic.save(tmp_path / "mine.safetensors"))
    panel.model.value = "mine"
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)

    def run_script(layer):
        viewer.layers.selection.active = layer
        press(panel.tools.copy_button)
        names = {}
        exec(QApplication.clipboard().text(), names)
        return np.asarray(names["result"])

    return run_script


@pytest.mark.parametrize("limit", [2.0, 0.0])
def test_the_script_reads_a_layer_by_its_present_name(
    viewer, panel, run, script, small_image, tmp_path, limit
):
    panel.filling.limit.value, panel.filling.folder.value = limit, str(tmp_path)
    layer = viewer.add_image(small_image, name="cells")
    panel.noise.value = True
    run(panel)
    results = [viewer.layers[f"cells {what}"] for what in ("denoised", "removed noise")]
    layer.name = "nuclei"
    for result in results:
        levels = result.data if result.multiscale else [result.data]
        made = script(result)
        np.testing.assert_allclose(made, np.asarray(levels[0]), atol=1e-4)
        assert result.metadata[KEY]["image"] == "cells"
    viewer.layers.remove(layer)
    with pytest.raises(KeyError):
        script(results[0])


def test_the_script_refuses_a_file_that_does_not_hold_what_was_denoised(
    viewer, panel, run, script, small_image, tmp_path
):
    tifffile.imwrite(tmp_path / "in.tif", small_image)
    (layer,) = viewer.open(tmp_path / "in.tif", plugin="napari")
    run(panel)
    made = viewer.layers["in denoised"]
    np.testing.assert_array_equal(script(made), made.data)
    layer.data = small_image[::-1].copy()
    run(panel)
    with pytest.raises(SystemExit, match="another image"):
        script(viewer.layers[-1])
