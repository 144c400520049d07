"""What people do with a result: save it, and compare it, from the Denoise panel."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ae_denoise._qt.compare_widget import CompareWidget
from napari_ae_denoise._qt.glances import recall
from napari_ae_denoise._qt.result_saving import SaveResultButton, _axes_of
from napari_ae_denoise._qt.worker import JobState
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.provenance import CODE, COLOURED, KEY, as_script


@pytest.fixture
def save(panel, qtbot):
    """Return a function that saves the result that is meant."""

    def save_to(path):
        panel.tools.save_button.save(path)
        job = panel.tools.save_button.job
        qtbot.waitUntil(lambda: job.state is JobState.IDLE, timeout=60_000)

    return save_to


@pytest.mark.parametrize("name", ["out.tif", "out.ome.zarr"])
def test_a_result_is_saved_with_axes_and_pixel_size(
    viewer, panel, run, save, small_image, tmp_path, name
):
    stack = np.stack([small_image, small_image[::-1]])
    viewer.add_image(
        stack, name="s", scale=(2, 0.5, 0.25), units=("um",) * 3, axis_labels=("z", "y", "x")
    )
    run(panel)
    save(tmp_path / name)
    assert f"Saved {tmp_path / name}." in panel.bar.status.text()
    made = read_image(tmp_path / name)
    np.testing.assert_array_equal(made.array, viewer.layers["s denoised"].data)
    assert made.axes == "ZYX"
    assert dict(made.spacing) == pytest.approx({"Z": 2, "Y": 0.5, "X": 0.25})
    assert made.unit == "micrometer"


def test_where_a_layer_lies_is_saved(viewer, panel, run, save, small_image, tmp_path):
    placed = {"scale": (0.5, 0.25), "translate": (20, -3), "units": ("um", "um")}
    viewer.add_image(small_image, name="i", **placed)
    panel.latent.value = True
    run(panel)
    for name in ("i denoised", "i latent"):
        layer = viewer.layers[name]
        viewer.layers.selection.active = layer
        save(tmp_path / f"{name}.ome.zarr")
        made = read_image(tmp_path / f"{name}.ome.zarr")
        y, x = layer.translate[-2:]
        assert dict(made.origin) == pytest.approx({"Y": y, "X": x})
    assert tuple(layer.translate[-2:]) > (20, -3)  # half a code pixel further


def test_what_napari_does_not_read_of_the_file_is_kept(
    viewer, panel, run, save, small_image, tmp_path
):
    image = small_image.astype(np.uint16)
    about = {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "um", "axes": "YX"}}
    tifffile.imwrite(tmp_path / "in.tif", image, **about)
    (layer,) = viewer.open(tmp_path / "in.tif", plugin="napari")
    assert set(layer.scale) == {1}
    run(panel)
    assert panel.tools.save_button.chosen().name == str(tmp_path / "in denoised.tif")
    save(tmp_path / "out.tif")
    made = read_image(tmp_path / "out.tif")
    assert dict(made.spacing) == pytest.approx({"Y": 0.5, "X": 0.25})
    assert made.unit == "micrometer"


def test_removed_noise_is_not_shown_in_the_limits_of_its_image(
    viewer, panel, run, save, small_image, tmp_path
):
    facts = {"axes": "YX", "min": 10.0, "max": 90.0, "Info": "objective: 63x"}
    image = small_image.astype(np.float32)
    tifffile.imwrite(tmp_path / "in.tif", image, imagej=True, metadata=facts)
    viewer.open(tmp_path / "in.tif", plugin="napari")
    panel.denoised.value, panel.noise.value = False, True
    run(panel)
    save(tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.imagej_metadata["Info"] == facts["Info"]
        assert "max" not in file.imagej_metadata


def test_a_photograph_is_offered_in_its_own_format(viewer, panel, run, save, tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "in.png", icc_profile=b"a profile")
    viewer.open(tmp_path / "in.png", plugin="napari")
    run(panel)
    wanted = panel.tools.save_button.chosen().name
    assert wanted == str(tmp_path / "in denoised.png")
    save(wanted)
    made = read_image(wanted)
    np.testing.assert_array_equal(made.array, viewer.layers["in denoised"].data)
    assert made.colour_profile == b"a profile"


def test_a_code_is_saved_with_its_units_as_channels(viewer, panel, run, save, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (2, 40, 48), np.uint8)
    viewer.add_image(image, name="i")
    panel.latent.value = True
    run(panel)
    viewer.layers.selection.active = viewer.layers["i latent"]
    save(tmp_path / "code.zarr")
    made = read_image(tmp_path / "code.zarr")
    assert made.axes == "CZYX"
    np.testing.assert_array_equal(made.array, viewer.layers["i latent"].data)


@pytest.mark.parametrize(
    ("axes", "ndim", "rgb", "code_axes"),
    [
        ("YX", 3, False, "CYX"),
        ("YXC", 3, False, "CYX"),  # the units of a photograph
        ("CYX", 3, False, "CYX"),  # channels that went in together
        ("CYX", 4, False, "NCYX"),  # and one by one
        ("YX", 2, True, "YXC"),  # colours of the components
        ("CYX", 3, True, "NYXC"),
    ],
)
def test_the_axes_of_a_code_are_told_apart(axes, ndim, rgb, code_axes):
    layer, record = SimpleNamespace(ndim=ndim, rgb=rgb), {"what": CODE, "axes": axes}
    assert _axes_of(layer, record) == code_axes


def test_a_result_is_never_saved_over_its_image(
    viewer, panel, run, save, notes, small_image, tmp_path
):
    tifffile.imwrite(tmp_path / "in.tif", small_image)
    viewer.open(tmp_path / "in.tif", plugin="napari")
    run(panel)
    save(tmp_path / "in.tif")
    assert any("what the result was made of" in note for note in notes())
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "in.tif"), small_image)


def test_what_a_format_cannot_hold_is_said(viewer, panel, run, save, small_image, tmp_path):
    viewer.add_image(small_image.astype(np.float32))
    run(panel)
    save(tmp_path / "out.png")
    assert "PNG file cannot hold a float32 image" in panel.bar.status.text()
    assert not (tmp_path / "out.png").exists()


def test_too_large_a_result_is_saved_part_by_part_alone(
    viewer, panel, run, save, small_image, tmp_path, monkeypatch
):
    viewer.add_image(small_image, name="i")
    run(panel)
    module = SaveResultButton.__module__
    monkeypatch.setattr(f"{module}.too_large", lambda *_: True)
    save(tmp_path / "out.tif")
    assert "Save it as .ome.zarr" in panel.bar.status.text()
    save(tmp_path / "out.ome.zarr")
    made = read_image(tmp_path / "out.ome.zarr").array
    np.testing.assert_array_equal(made, viewer.layers["i denoised"].data)


def test_a_result_as_reference_is_said(viewer, panel, run, press, small_image):
    viewer.add_image(small_image, name="i")
    run(panel)
    press(panel.tools.compare_button)
    (compare,) = viewer.window._qt_window.findChildren(CompareWidget)
    for reference, said in (("i denoised", True), ("i", False)):
        compare.reference.value = viewer.layers[reference]
        compare.images.value = [one for one in viewer.layers if one.name != reference]
        run(compare)
        assert ("itself made by a model" in compare.bar.status.text()) is said


@pytest.mark.parametrize("button", ["save_button", "compare_button"])
def test_without_a_result_it_says_so(viewer, panel, press, small_image, button):
    viewer.add_image(small_image)
    press(getattr(panel.tools, button))
    assert "There is no result to make a" in panel.bar.status.text()


def test_compare_opens_with_the_result_its_image_and_a_clean_one(
    viewer, panel, run, press, small_image
):
    clean = viewer.add_image(small_image, name="clean")
    viewer.add_image(small_image[:40], name="of another size")
    noisy = viewer.add_image(small_image // 2 + 40, name="noisy")
    panel.layer.value = noisy
    run(panel)
    press(panel.tools.compare_button)
    (compare,) = panel.window().findChildren(CompareWidget)
    assert compare.reference.value is clean
    assert {layer.name for layer in compare.images.value} == {"noisy", "noisy denoised"}
    run(compare)
    assert len(compare.rows()) == 2
    press(panel.tools.compare_button)
    assert panel.window().findChildren(CompareWidget) == [compare]
    assert "Compare (AE Denoise)" in viewer.window.dock_widgets  # which the menu opens and hides


def test_compare_says_what_it_needs_where_there_is_no_clean_image(
    viewer, panel, run, press, small_image
):
    viewer.add_image(small_image, name="noisy")
    run(panel)
    press(panel.tools.compare_button)
    (compare,) = panel.window().findChildren(CompareWidget)
    assert "Choose a clean image of the same size" in compare.bar.status.text()


@pytest.fixture
def compared(viewer, panel, run, press):
    """Return a function that denoises a layer, and opens the panel that compares it."""

    def compare(layer, then=lambda: None):
        panel.layer.value = layer
        run(panel)
        then()
        press(panel.tools.compare_button)
        (made,) = panel.window().findChildren(CompareWidget)
        return made

    return compare


def test_another_channel_is_not_taken_for_a_clean_image(viewer, compared, small_image):
    noise = np.random.default_rng(0).normal(0, 30, small_image.shape)
    other = viewer.add_image((small_image + noise).clip(0, 255).astype(np.uint8), name="DAPI")
    image = viewer.add_image(255 - small_image, name="GFP")
    compare = compared(image)
    assert compare.reference.value is not other
    assert {layer.name for layer in compare.images.value} == {"GFP", "GFP denoised"}
    assert "Choose a clean image of the same size" in compare.bar.status.text()
    compare.reference.value = other  # somebody knows better
    compare.offer(viewer.layers["GFP denoised"])
    assert compare.reference.value is other


def test_the_image_is_found_again_under_another_name(viewer, compared, small_image):
    image = viewer.add_image(small_image, name="a")
    namesake = []

    def rename():
        image.name = "b"
        namesake.append(viewer.add_image(small_image // 2, name="a"))
        viewer.layers.selection.active = viewer.layers["a denoised"]

    compare = compared(image, rename)
    assert {layer.name for layer in compare.images.value} == {"b", "a denoised"}
    assert compare.fields.noisy.value is image
    assert compare.reference.value not in (image, *namesake)


@pytest.mark.parametrize("name", ["GFP clean", "ground-truth", "GFP_GT", "Reference 1"])
def test_a_name_says_which_image_is_clean(viewer, compared, small_image, name):
    clean = viewer.add_image(small_image, name=name)
    viewer.add_image(small_image, name="noisy again, not clean")
    viewer.add_image(small_image, name="length 3")
    compare = compared(viewer.add_image(small_image, name="GFP"))
    assert compare.reference.value is clean
    assert compare.bar.status.text() == ""


def test_an_image_with_little_noise_is_taken_and_said(viewer, panel, compared, qtbot, small_image):
    smooth = viewer.add_image(small_image, name="average")
    qtbot.waitUntil(lambda: recall(smooth.data, "YX") is not None, timeout=60_000)
    compare = compared(viewer.add_image(small_image // 2, name="GFP"))
    assert compare.reference.value is smooth
    assert '"average" is the Reference' in compare.bar.status.text()


def test_the_removed_noise_of_a_photograph_is_saved_in_grey_values_and_made_again_as_shown(
    viewer, panel, open_model, run, save, untrained_classic, tmp_path
):
    noise = np.random.default_rng(0).normal(0, 20, (64, 72, 3))
    colours = (120 + noise).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", colours, photometric="rgb")
    model = untrained_classic.save(tmp_path / "mine.safetensors")
    open_model(panel, model)
    panel.model.value = "mine"
    viewer.open(tmp_path / "in.tif", plugin="napari", rgb=True)
    panel.denoised.value, panel.noise.value = False, True
    run(panel)
    layer = viewer.layers["in removed noise"]
    assert 0 <= layer.data.min() < 0.5 < layer.data.max() <= 1
    names = {}
    exec(as_script(layer.metadata[KEY]), names)
    np.testing.assert_allclose(names["result"], layer.data, atol=1e-6)
    save(tmp_path / "out.tif")
    made = read_image(tmp_path / "out.tif").array
    removed = colours.astype(np.float32) - untrained_classic.denoise(colours, axes="YXC")
    bound = layer.metadata[KEY][COLOURED]
    assert np.abs(removed).max() > 3  # grey values
    np.testing.assert_allclose(made, removed.clip(-bound, bound), atol=1e-3)


def test_the_command_that_is_told_can_be_run(panel):
    told = panel.tools.workflow_button.toolTip()
    assert "napari-ae-denoise replay FILE IMAGE -o OUTPUT" in told
