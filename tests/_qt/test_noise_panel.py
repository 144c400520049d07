"""The panel *Add Gaussian noise*: large and lazy layers, Stop, axes and units."""

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_ae_denoise import add_camera_noise, add_gaussian_noise
from napari_ae_denoise._qt import noise_widget
from napari_ae_denoise.noise_cells import Noise

from .conftest import wait_idle


@pytest.fixture
def slow_cells(monkeypatch):
    """Make every cell of noise take a while, and count them."""
    import time

    cells = []
    fill = Noise.fill

    def slowly(self, *args):
        for part in fill(self, *args):
            cells.append(part)
            time.sleep(0.02)
            yield part

    monkeypatch.setattr(Noise, "fill", slowly)
    return cells


def test_a_zarr_layer_stays_lazy_and_is_not_read(viewer, open_panel, run, small_image):
    stack = np.stack([small_image] * 3)
    stored = zarr.array(stack, chunks=(1, 48, 80))
    viewer.add_image(stored, contrast_limits=(0, 255), name="stored")
    run(open_panel("Add Gaussian noise"))
    noisy = viewer.layers["stored + noise 25"]
    assert isinstance(noisy.data, da.Array)
    assert noisy.data.chunksize == (1, 48, 80)
    assert tuple(noisy.contrast_limits) == (0, 255)
    np.testing.assert_array_equal(noisy.data, add_gaussian_noise(stack, 25, seed=0))


def test_the_range_of_a_lazy_layer_is_measured_in_the_job(viewer, open_panel, run, small_image):
    read = []

    def note(block):
        read.append(1)
        return block

    stack = np.stack([small_image // k for k in (1, 2, 3, 4)])
    lazy = da.from_array(stack, chunks=(1, 96, 80))
    lazy = lazy.map_blocks(note, dtype=lazy.dtype, meta=np.empty((0, 0, 0), lazy.dtype))
    viewer.add_image(lazy, contrast_limits=(0, 255), name="lazy")
    panel = open_panel("Add Gaussian noise")
    panel.sigma.value, panel.unit.value, panel.clip.value = 10, "% of the data range", True
    run(panel)
    read.clear()
    noisy = viewer.layers["lazy + noise 10 %"].data
    shown = noisy[1].compute()
    assert len(read) == 1  # a plane that is looked at reads itself, not all planes
    expected = add_gaussian_noise(stack, 0.1, relative=True, clip=True, seed=0)
    np.testing.assert_array_equal(shown, expected[1])


def test_stop_ends_within_the_image_and_makes_no_layer(
    qtbot, viewer, open_panel, press, slow_cells
):
    viewer.add_image(np.zeros((500, 64, 64), np.float32))
    panel = open_panel("Add Gaussian noise")
    panel.unit.value = "grey values"  # a flat image has no range
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: "% of the image" in panel.bar.status.text(), timeout=30_000)
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    assert len(slow_cells) < 500
    assert len(viewer.layers) == 1
    assert "Stopped" in panel.bar.status.text()


def test_noise_that_changes_nothing_is_refused_by_the_core(
    viewer, open_panel, run, notes, small_image
):
    viewer.add_image(small_image)
    panel = open_panel("Add Gaussian noise")
    panel.sigma.value = 0
    run(panel)
    assert notes()[-1] == "Noise of sigma 0 and mean 0 changes nothing. Give sigma above 0."
    assert not hasattr(noise_widget, "DenoisingError")
    panel.mean.value = 5
    run(panel)
    np.testing.assert_array_equal(viewer.layers[-1].data, small_image + 5)


def test_a_layer_of_six_axes_gets_noise_once_they_are_named(
    viewer, open_panel, run, notes, small_image
):
    image = np.broadcast_to(small_image[:32, :40], (2, 1, 2, 2, 32, 40)).copy()
    viewer.add_image(image, name="many")
    panel = open_panel("Add Gaussian noise")
    assert panel.axes.value == ""
    run(panel)
    assert "one letter each" in notes()[-1]
    panel.axes.value = "NTZCYX"
    run(panel)
    np.testing.assert_array_equal(
        viewer.layers["many + noise 25"].data, add_gaussian_noise(image, 25, seed=0, axes="NTZCYX")
    )


def test_the_axes_follow_the_layer(viewer, open_panel, small_image):
    plane = viewer.add_image(small_image)
    stack = viewer.add_image(np.stack([small_image] * 3))
    panel = open_panel("Add Gaussian noise")
    for layer, axes in ((plane, "YX"), (stack, "ZYX")):
        panel.layer.value = layer
        assert panel.axes.value == axes


def test_both_panels_offer_the_same_units(viewer, open_panel, small_image):
    viewer.add_image(small_image)
    noise, train = open_panel("Add Gaussian noise"), open_panel("Train autoencoder")
    assert noise.unit.choices == train.fields.unit.choices
    noise.unit.value = train.fields.unit.value = noise.unit.choices[1]
    noise.sigma.value, noise.mean.value = 10, 20
    train.fields.sigma_low.value, train.fields.sigma_high.value = 10, 20
    made, settings = noise.read(), train.fields.settings("model")
    assert made.law.relative
    assert settings.relative
    assert (made.law.sigma, made.law.mean) == settings.sigma == pytest.approx((0.1, 0.2))


def test_noise_of_a_camera_is_that_of_the_function(viewer, open_panel, run, small_image):
    viewer.add_image(small_image, name="cells")
    panel = open_panel("Add Gaussian noise")
    assert not panel.sigma.native.isHidden()
    assert panel.gain.native.isHidden()
    panel.kind.value = "Poisson-Gaussian (camera)"
    assert panel.sigma.native.isHidden()
    panel.gain.value, panel.offset.value, panel.read_noise.value = 5, 10, 3
    run(panel)
    made = viewer.layers["cells + noise gain 5"]
    expected = add_camera_noise(small_image, 5, offset=10, read_noise=3, seed=0)
    np.testing.assert_array_equal(made.data, expected)
    assert made.metadata["napari_ae_denoise"]["noise"]["read_noise"] == 3
    panel.kind.value = "Poisson"
    assert panel.read_noise.native.isHidden()
    run(panel)
    expected = add_camera_noise(small_image, 5, offset=10, seed=0)
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)


def test_the_noise_that_is_suggested_fits_the_range_of_the_image(
    viewer, open_panel, run, small_image
):
    eight_bit = viewer.add_image(small_image, name="8 bit")
    fractions = viewer.add_image(small_image / np.float32(255), name="fractions")
    panel = open_panel("Add Gaussian noise")
    panel.layer.value = eight_bit
    assert (panel.unit.value, panel.sigma.value) == ("grey values", 25)
    panel.layer.value = fractions
    assert (panel.unit.value, panel.sigma.value) == ("% of the data range", 10)
    run(panel)
    made = viewer.layers["fractions + noise 10 %"].data
    assert np.std(made - fractions.data) == pytest.approx(0.1 * np.ptp(fractions.data), rel=0.1)
    panel.sigma.value = 7
    panel.layer.value = eight_bit
    assert (panel.unit.value, panel.sigma.value) == ("% of the data range", 7)  # as was set


def test_the_noise_of_a_camera_that_is_suggested_fits_the_range_of_the_image(
    viewer, open_panel, run, small_image
):
    shown = {"8 bit": small_image, "fractions": small_image / np.float32(255)}
    colours = viewer.add_image(np.stack([shown["fractions"]] * 3, -1), name="rgb", rgb=True)
    layers = {name: viewer.add_image(image, name=name) for name, image in shown.items()}
    panel = open_panel("Add Gaussian noise")
    panel.kind.value = "Poisson-Gaussian (camera)"
    made = {}
    for name, layer in [*layers.items(), ("rgb", colours)]:
        panel.layer.value = layer
        run(panel)
        noisy = next(one for one in viewer.layers if one.name.startswith(f"{name} + noise"))
        made[name] = np.asarray(noisy.data, np.float64) - layer.data
    assert (panel.gain.value, panel.read_noise.value) == (0.004, 0.008)
    assert panel.gain.native.text().startswith("0.004")
    assert 255 * made["fractions"].std() == pytest.approx(made["8 bit"].std(), rel=0.05)
    assert made["rgb"].std() == pytest.approx(made["fractions"].std(), rel=0.05)
    panel.gain.value = 0.02
    panel.layer.value = layers["8 bit"]
    assert (panel.gain.value, panel.read_noise.value) == (0.02, 0.008)  # as was set
