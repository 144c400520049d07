"""Each panel, opened through the manifest in a real viewer and driven by clicks."""

import dask.array as da
import numpy as np
import pytest
import torch
from qtpy.QtWidgets import QApplication, QWidget

from napari_ae_denoise import Denoiser, add_gaussian_noise
from napari_ae_denoise._qt.tabs import dock_of
from napari_ae_denoise._qt.worker import JobState
from napari_ae_denoise.networks import ConvAutoencoder

from .conftest import wait_idle

PANELS = ["Add Gaussian noise", "Train autoencoder", "Denoise", "Compare"]
EVERY = [*PANELS, "Batch"]  # which takes files, and no layers


@pytest.fixture
def model_file(untrained_classic, tmp_path):
    path = tmp_path / "tutorial.safetensors"
    untrained_classic.save(path)
    return path


# ---- all panels


def test_without_an_image_a_press_says_what_to_do_and_the_button_stays(
    viewer, open_panel, press, notes
):
    for name in PANELS:
        panel, before = open_panel(name), len(notes())
        press(panel.bar.start_button)
        assert panel.job.state is JobState.IDLE
        assert panel.bar.start_button.isEnabled()
        assert any("no image layer" in note for note in notes()[before:]), name
        assert "no image layer" in panel.bar.status.text()
        viewer.add_image(np.zeros((8, 8), np.uint8))
        assert panel.bar.status.text() == ""  # there is one now
        viewer.layers.clear()


def test_a_selected_layer_that_is_no_image_is_named(viewer, open_panel, press, notes):
    viewer.add_labels(np.zeros((8, 8), int), name="nuclei")
    for name in PANELS:
        panel = open_panel(name)
        before = len(notes())
        press(panel.bar.start_button)
        assert any('"nuclei" is a Labels layer' in note for note in notes()[before:]), name


def test_choices_follow_the_layers(viewer, open_panel, small_image):
    for name in PANELS:
        panel = open_panel(name)
        field = panel._layer_fields[0]
        layer = viewer.add_image(small_image, name="first")
        assert field.choices == (layer,)
        assert field.value is layer
        second = viewer.add_image(small_image, name="second")
        follows = name == "Denoise"  # the selected image, as nobody has chosen one in the panel
        assert field.value is (second if follows else layer)
        layer.name = "renamed"
        viewer.layers.remove(layer)
        assert [one.name for one in field.choices] == ["second"]
        viewer.layers.clear()


def test_the_selected_image_is_chosen_at_the_start(viewer, open_panel, small_image):
    wanted = viewer.add_image(small_image, name="wanted")
    viewer.add_image(small_image, name="newer")
    viewer.layers.selection.active = wanted
    for name in PANELS:
        assert open_panel(name)._layer_fields[0].value is wanted


@pytest.mark.parametrize("images", [0, 1])
def test_every_field_and_button_has_a_tooltip(viewer, open_panel, small_image, images):
    from magicgui.widgets.bases import ValueWidget

    for _ in range(images):
        viewer.add_image(small_image)
    for name in EVERY:
        panel = open_panel(name)
        own = getattr(panel, "fields", panel)
        owners = [panel, own, getattr(own, "how", own)]
        fields = {k: v for o in owners for k, v in vars(o).items() if isinstance(v, ValueWidget)}
        assert fields
        assert [k for k, v in fields.items() if not v.tooltip] == []
        assert panel.bar.start_button.toolTip()
        assert panel.bar.stop_button.toolTip()


# ---- Add Gaussian noise


def test_noise_becomes_a_new_layer_and_the_image_stays(viewer, open_panel, run, small_image):
    before = small_image.copy()
    layer = viewer.add_image(small_image, name="waves", scale=(2, 3), units=("um", "um"))
    panel = open_panel("Add Gaussian noise")
    panel.sigma.value, panel.seed.value = 12, 7
    run(panel)
    noisy = viewer.layers["waves + noise 12"]
    np.testing.assert_array_equal(noisy.data, add_gaussian_noise(before, 12, seed=7))
    np.testing.assert_array_equal(layer.data, before)
    np.testing.assert_array_equal(noisy.scale, layer.scale)
    assert noisy.units == layer.units
    run(panel)
    assert len(viewer.layers) == 3  # a new layer each time


def test_noise_relative_to_the_range(viewer, open_panel, run, small_image):
    viewer.add_image(small_image, name="waves")
    panel = open_panel("Add Gaussian noise")
    panel.sigma.value, panel.unit.value, panel.clip.value = 10, "% of the data range", True
    run(panel)
    expected = add_gaussian_noise(small_image, 0.1, relative=True, clip=True, seed=0)
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)


def test_noise_on_a_dask_layer_stays_lazy(viewer, open_panel, run, small_image):
    lazy = da.from_array(small_image, chunks=32)
    viewer.add_image(lazy, contrast_limits=(0, 255), name="lazy")
    panel = open_panel("Add Gaussian noise")
    run(panel)
    noisy = viewer.layers[-1].data
    assert isinstance(noisy, da.Array)
    np.testing.assert_array_equal(noisy, add_gaussian_noise(small_image, 25, seed=0))


def test_noise_on_a_stack_of_photographs_leaves_alpha_alone(viewer, open_panel, run):
    image = np.full((3, 40, 50, 4), 100, np.uint8)
    viewer.add_image(image, rgb=True)
    run(open_panel("Add Gaussian noise"))
    noisy = viewer.layers[-1]
    assert noisy.rgb
    assert (noisy.data[..., 3] == 100).all()
    np.testing.assert_array_equal(noisy.data, add_gaussian_noise(image, 25, seed=0, axes="ZYXC"))


def test_no_noise_at_all_is_refused(viewer, open_panel, run, notes, small_image):
    viewer.add_image(small_image)
    panel = open_panel("Add Gaussian noise")
    panel.sigma.value = 0
    run(panel)
    assert any("sigma 0" in note for note in notes())
    assert len(viewer.layers) == 1


def test_noise_relative_to_no_range_is_refused(viewer, open_panel, run, notes):
    viewer.add_image(np.full((20, 20), 7, np.uint8))
    panel = open_panel("Add Gaussian noise")
    panel.unit.value = "% of the data range"
    run(panel)
    assert any("no data range" in note and "every pixel is 7" in note for note in notes())


# ---- Train autoencoder


def test_training_gives_a_model_to_the_denoise_panel_and_to_a_file(
    viewer, open_panel, run, small_image, short_training, tmp_path, save_model
):
    before = small_image.copy()
    viewer.add_image(small_image, name="waves")
    train, denoise = open_panel("Train autoencoder"), open_panel("Denoise")
    assert denoise.model.value is None
    short_training(train)
    run(train)
    assert denoise.model.value == "waves classic"
    assert "dB" in train.bar.status.text()
    assert train.plot._steps
    np.testing.assert_array_equal(small_image, before)
    save_model(train, tmp_path / "mine")
    assert Denoiser.load(tmp_path / "mine.safetensors").card.data_kind == "clean"


@pytest.mark.parametrize(
    ("kind", "data_kind"),
    [("clean and noisy images", "pairs"), ("pairs of noisy images", "two noisy")],
)
def test_training_on_pairs_of_layers(
    viewer, open_panel, run, small_image, short_training, kind, data_kind
):
    viewer.add_image(small_image, name="one")
    viewer.add_image(add_gaussian_noise(small_image, 20, seed=1), name="two")
    panel = open_panel("Train autoencoder")
    short_training(panel)
    panel.fields.kind.value = kind
    panel.first.value, panel.second.value = viewer.layers["one"], viewer.layers["two"]
    run(panel)
    assert panel.trained.card.data_kind == data_kind


def test_only_the_fields_of_the_chosen_kind_are_shown(viewer, open_panel, small_image):
    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")

    def shown(field):
        return field.native.isVisibleTo(panel)

    assert not shown(panel.second)
    assert shown(panel.fields.noise_rows[0])
    panel.fields.kind.value = "pairs of noisy images"
    assert shown(panel.second)
    assert not shown(panel.fields.noise_rows[0])
    assert panel.first.label == "Noisy image"


def test_a_pair_of_one_layer_is_refused(viewer, open_panel, press, notes, small_image):
    viewer.add_image(small_image, name="only")
    panel = open_panel("Train autoencoder")
    panel.fields.kind.value = "clean and noisy images"
    press(panel.bar.start_button)
    assert any('layer "only"' in note for note in notes())


def test_a_pair_of_other_shapes_is_refused(viewer, open_panel, press, notes, small_image):
    viewer.add_image(small_image, name="one")
    viewer.add_image(small_image[:50], name="two")
    panel = open_panel("Train autoencoder")
    panel.fields.kind.value = "clean and noisy images"
    panel.first.value, panel.second.value = viewer.layers["one"], viewer.layers["two"]
    press(panel.bar.start_button)
    assert any("(96, 80)" in note and "(50, 80)" in note for note in notes())


def test_stop_gives_back_a_usable_model(
    qtbot, viewer, open_panel, press, small_image, short_training
):
    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")
    short_training(panel, steps=1_000_000)
    press(panel.bar.start_button)
    assert not panel.bar.start_button.isEnabled()
    qtbot.waitUntil(lambda: len(panel.plot._steps) > 1, timeout=60_000)
    press(panel.bar.stop_button)
    assert "Stopping" in panel.bar.status.text()
    wait_idle(qtbot, panel)
    assert 0 < panel.trained.card.training["steps_done"] < 1_000_000
    made = panel.trained.denoise(small_image)
    assert made.shape == small_image.shape


def test_a_runtime_error_in_training_ends_in_a_message_and_an_enabled_button_twice(
    viewer, open_panel, run, notes, small_image, short_training, monkeypatch
):
    def fails(*args):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(ConvAutoencoder, "forward", fails)
    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")
    short_training(panel)
    for count in (1, 2):
        run(panel)
        assert sum("mat1 and mat2" in note for note in notes()) == count
        assert panel.bar.start_button.isEnabled()
        assert "mat1 and mat2" in panel.bar.status.text()


def test_a_failed_training_leaves_the_model_before_it(
    viewer, open_panel, run, small_image, short_training, monkeypatch
):
    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")
    short_training(panel)
    run(panel)
    first = panel.trained

    def out_of_memory(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ConvAutoencoder, "forward", out_of_memory)
    run(panel)
    assert panel.trained is first
    assert "Memory ran out" in panel.bar.status.text()


def test_fine_tuning_starts_from_a_model_at_hand(
    viewer, open_panel, open_model, run, small_image, short_training, model_file
):
    viewer.add_image(small_image)
    denoise, panel = open_panel("Denoise"), open_panel("Train autoencoder")
    open_model(denoise, model_file)
    short_training(panel)
    panel.start_from.value = "tutorial"
    run(panel)
    assert panel.trained.card.training["started_from"] == "tutorial"


# ---- Denoise


def test_denoised_noise_and_code_become_layers(
    viewer, open_panel, open_model, run, small_image, model_file
):
    before = small_image.copy()
    layer = viewer.add_image(small_image, name="waves", scale=(2, 3))
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    panel.latent.value = panel.noise.value = True
    run(panel)
    denoiser = Denoiser.load(model_file)
    denoised, noise, code = list(viewer.layers)[1:]
    np.testing.assert_array_equal(denoised.data, denoiser.denoise(before))
    np.testing.assert_allclose(code.data, denoiser.encode(before))
    np.testing.assert_array_equal(noise.data, before.astype(np.float32) - denoised.data)
    np.testing.assert_array_equal(layer.data, before)
    assert denoised.data.dtype == np.uint8
    np.testing.assert_array_equal(code.scale, (1, 8, 12))
    assert denoised.metadata["napari_ae_denoise"]["model"] == "tutorial"


def _kinds_of_layers(image):
    """Return the pixels and options of layers of every kind, by name."""
    return {
        "multiscale": ([image, image[::2, ::2]], {"multiscale": True}),
        "dask": (da.from_array(image, chunks=31), {"contrast_limits": (0, 255)}),
        "rgb": (np.stack([image] * 3, axis=-1), {"rgb": True}),
        "rgba": (np.stack([image] * 4, axis=-1), {"rgb": True}),
        "stack": (np.stack([image, image[::-1]]), {}),
        "uint16": (image.astype(np.uint16) * 200, {}),
    }


def test_every_kind_of_layer_is_denoised(
    viewer, open_panel, open_model, run, small_image, model_file
):
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    panel.latent.value = panel.noise.value = True
    for kind, (pixels, options) in _kinds_of_layers(small_image).items():
        layer = viewer.add_image(pixels, name=kind, **options)
        panel.layer.value = layer
        run(panel)
        image = np.asarray(pixels[0] if kind == "multiscale" else pixels)
        denoised = viewer.layers[f"{kind} denoised"]
        assert denoised.data.shape == image.shape
        assert denoised.data.dtype == image.dtype
        assert denoised.rgb == layer.rgb
        expected = Denoiser.load(model_file).denoise(image)
        np.testing.assert_array_equal(denoised.data, expected, err_msg=kind)
        if kind == "rgba":
            np.testing.assert_array_equal(denoised.data[..., 3], image[..., 3])
        assert {f"{kind} latent", f"{kind} removed noise"} <= {one.name for one in viewer.layers}
        viewer.layers.clear()


def test_a_level_of_a_multiscale_layer_is_chosen(
    viewer, open_panel, open_model, run, small_image, model_file
):
    levels = [small_image, small_image[::2, ::2].copy()]
    viewer.add_image(small_image, name="plain")
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    assert not panel.level.enabled
    viewer.add_image(levels, multiscale=True, name="i")
    panel.layer.value = viewer.layers["i"]
    assert panel.level.enabled
    assert panel.level.value == 0
    panel.level.value = 1
    run(panel)
    denoised = viewer.layers["i denoised"]
    np.testing.assert_array_equal(denoised.data, Denoiser.load(model_file).denoise(levels[1]))
    np.testing.assert_array_equal(denoised.scale, (2, 2))
    np.testing.assert_array_equal(denoised.translate, (0.5, 0.5))
    assert denoised.metadata["napari_ae_denoise"]["level"] == 1
    panel.layer.value = viewer.layers["plain"]
    assert (panel.level.value, panel.level.enabled) == (0, False)


def test_cancel_keeps_the_finished_tiles_and_says_so(
    qtbot, viewer, open_panel, open_model, press, model_file, monkeypatch
):
    import time

    encode = ConvAutoencoder.image_and_code

    def slowly(*args):
        time.sleep(0.05)
        return encode(*args)

    monkeypatch.setattr(ConvAutoencoder, "image_and_code", slowly)
    image = np.random.default_rng(0).integers(0, 255, (512, 512)).astype(np.uint8)
    viewer.add_image(image, name="i")
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    panel.tile.value = 32
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: "Tile" in panel.bar.status.text(), timeout=30_000)
    panel.run()  # a script; the button itself is disabled
    assert "or press Cancel first" in panel.bar.status.text()
    press(panel.bar.stop_button)
    assert panel.bar.status.text() == "Cancelling …"
    wait_idle(qtbot, panel)
    made = viewer.layers[-1]
    assert "cancelled at" in made.name
    assert 0 < made.metadata["napari_ae_denoise"]["finished"] < 1
    np.testing.assert_array_equal(made.data[-32:], image[-32:])  # not reached
    assert (made.data[:32, :32] != image[:32, :32]).any()


def test_layers_removed_and_renamed_during_work_do_no_harm(
    qtbot, viewer, open_panel, open_model, press, small_image, model_file
):
    layer = viewer.add_image(small_image, name="i")
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    press(panel.bar.start_button)
    layer.name = "other"
    viewer.layers.clear()
    wait_idle(qtbot, panel)
    assert [one.name for one in viewer.layers] == ["i denoised"]


def test_a_runtime_error_in_prediction_ends_in_a_message_twice(
    viewer, open_panel, open_model, run, notes, small_image, model_file, monkeypatch
):
    viewer.add_image(small_image)
    panel = open_panel("Denoise")
    open_model(panel, model_file)

    def fails(*args):
        raise RuntimeError("expected scalar type")

    monkeypatch.setattr(ConvAutoencoder, "image_and_code", fails)
    for count in (1, 2):
        run(panel)
        assert sum("expected scalar type" in note for note in notes()) == count
        assert panel.bar.start_button.isEnabled()
    assert len(viewer.layers) == 1


BAD_IMAGES = {
    "constant": (np.full((32, 32), 3.0), "constant: every pixel is 3"),
    "all NaN": (np.full((32, 32), np.nan), "NaN"),
}


@pytest.mark.parametrize(("image", "words"), BAD_IMAGES.values(), ids=BAD_IMAGES)
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_images_that_cannot_be_denoised_are_refused_in_a_sentence(
    viewer, open_panel, open_model, run, notes, model_file, image, words
):
    viewer.add_image(image, contrast_limits=(0, 1))
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    run(panel)
    assert any(words in note for note in notes())
    assert len(viewer.layers) == 1
    assert panel.model.value == "tutorial"


def test_nan_pixels_are_counted_and_put_back(
    viewer, open_panel, open_model, run, notes, small_image, model_file
):
    image = small_image.astype(np.float32)
    image[3:5, 3:5] = np.nan
    viewer.add_image(image, contrast_limits=(0, 255), name="i")
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    run(panel)
    assert any("4 pixels are NaN or infinite" in note for note in notes())
    made = viewer.layers["i denoised"].data
    np.testing.assert_array_equal(np.isnan(made), np.isnan(image))


def test_axes_that_do_not_fit_are_refused(
    viewer, open_panel, open_model, run, notes, small_image, model_file
):
    viewer.add_image(small_image)
    panel = open_panel("Denoise")
    open_model(panel, model_file)
    panel.axes.value = "ZYX"
    run(panel)
    assert any('"ZYX"' in note and "(96, 80)" in note for note in notes())


def test_without_a_model_a_press_says_where_to_get_one(
    viewer, open_panel, press, notes, small_image
):
    viewer.add_image(small_image)
    panel = open_panel("Denoise")
    press(panel.bar.start_button)
    assert any("no model" in note and "Train" in note for note in notes())


@pytest.mark.parametrize("damage", ["truncated", "pickle", "missing"])
def test_a_bad_model_file_leaves_the_model_that_is_there(
    viewer, open_panel, open_model, notes, tmp_path, model_file, damage
):
    import pickle

    panel = open_panel("Denoise")
    open_model(panel, model_file)
    bad = tmp_path / "bad.safetensors"
    if damage == "truncated":
        bad.write_bytes(model_file.read_bytes()[:-100])
    elif damage == "pickle":
        bad.write_bytes(pickle.dumps({"weights": 1}))
    open_model(panel, bad)
    assert panel.model.value == "tutorial"
    assert any("bad.safetensors" in note for note in notes())


# ---- Compare


def test_the_table_says_which_layer_is_nearer(viewer, open_panel, run, small_image):
    near, far = (add_gaussian_noise(small_image, sigma, seed=0) for sigma in (5, 20))
    for name, data in {"clean": small_image, "near": near, "far": far}.items():
        viewer.add_image(data, name=name)
    panel = open_panel("Compare")
    panel.reference.value = viewer.layers["clean"]
    panel.images.value = [viewer.layers["near"], viewer.layers["far"]]
    run(panel)
    figures = {name: (float(p), float(s)) for name, p, s in panel.rows()}
    assert figures["near"][0] > figures["far"][0] + 8
    assert figures["near"][1] > figures["far"][1]
    assert "255" in panel.bar.status.text()
    panel.copy.click()
    assert QApplication.clipboard().text().startswith("Layer\tPSNR (dB)\tSSIM")


def test_a_layer_that_does_not_fit_does_not_stop_the_others(
    viewer, open_panel, run, notes, small_image
):
    viewer.add_image(small_image, name="clean")
    viewer.add_image(small_image[:50], name="cropped")
    viewer.add_image(small_image + 1, name="brighter")
    panel = open_panel("Compare")
    panel.reference.value = viewer.layers["clean"]
    panel.images.value = [viewer.layers["cropped"], viewer.layers["brighter"]]
    run(panel)
    rows = {row[0]: row[1:] for row in panel.rows()}
    assert rows["cropped"] == ["", ""]
    assert float(rows["brighter"][0]) > 40
    assert any("(50, 80)" in note for note in notes())


def test_nothing_to_compare_is_said(viewer, open_panel, press, notes, small_image):
    viewer.add_image(small_image)
    panel = open_panel("Compare")
    press(panel.bar.start_button)
    assert any("No layer is chosen" in note for note in notes())


# ---- how they look


@pytest.mark.parametrize("name", EVERY)
def test_fields_begin_at_one_edge_and_no_label_is_cut(
    viewer, open_panel, small_image, qtbot, settle, name
):
    from magicgui.widgets import Container
    from qtpy.QtCore import QPoint

    viewer.add_image(small_image)
    panel = open_panel(name)
    viewer.show()
    qtbot.waitUntil(lambda: panel.isVisible() and panel.bar.start_button.height() > 0)
    settle()
    inside = panel._scrolled.widget()
    forms = [w._magic_widget for w in inside.children() if hasattr(w, "_magic_widget")]
    edges, labels = set(), []
    for widget in [one for form in forms if isinstance(form, Container) for one in form]:
        label = widget.native.parentWidget().layout().itemAt(0).widget()
        if widget.native.isVisible() and label is not widget.native and hasattr(label, "text"):
            edges.add(widget.native.mapTo(panel, QPoint(0, 0)).x())
            labels.append(label)
    assert len(labels) >= 3
    assert len(edges) == 1
    assert all(label.width() >= label.sizeHint().width() for label in labels)


def test_a_long_word_in_the_status_does_not_widen_a_panel(viewer, open_panel):
    for name in EVERY:
        panel = open_panel(name)
        before = panel.minimumSizeHint().width()
        panel.bar.status.setText("Against " + 20 * "a_long_name_")
        assert panel.minimumSizeHint().width() == before
        assert panel.bar.status.toolTip() == panel.bar.status.text()


def test_fields_stay_at_one_edge_when_labels_change(viewer, open_panel, small_image, qtbot, settle):
    from qtpy.QtCore import QPoint

    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")
    viewer.show()
    qtbot.waitUntil(lambda: panel.isVisible() and panel.bar.start_button.height() > 0)
    for kind in panel.fields.kind.choices:
        panel.fields.kind.value = kind
        settle()
        fields = (panel.fields.kind, panel.first, panel.fields.axes, panel.fields.preset)
        edges = {widget.native.mapTo(panel, QPoint(0, 0)).x() for widget in fields}
        assert len(edges) == 1, kind


def test_panels_of_one_window_are_tabs_the_newest_in_front(viewer, open_panel, qtbot):
    viewer.show()
    window = viewer.window._qt_window
    other = viewer.window.add_dock_widget(QWidget(), name="of another plugin", area="right")
    first, second = (dock_of(open_panel(name)) for name in ("Denoise", "Add Gaussian noise"))
    qtbot.waitUntil(lambda: window.tabifiedDockWidgets(first) == [second], timeout=10_000)
    assert other not in window.tabifiedDockWidgets(second)
    qtbot.waitUntil(lambda: not second.visibleRegion().isEmpty(), timeout=10_000)
    assert first.visibleRegion().isEmpty()


def test_the_end_of_a_long_name_is_seen_in_a_choice(viewer, open_panel, small_image, qtbot):
    # both names begin alike, and differ where a box that is too narrow would cut them off
    layers = [viewer.add_image(small_image, name=f"{20 * 'long '}{end}") for end in "AB"]
    panel = open_panel("Denoise")
    panel.resize(300, 600)
    pictures = []
    for layer in layers:
        panel.layer.value = layer
        pictures.append(panel.layer.native.grab().toImage())
    assert pictures[0] != pictures[1]


def test_eight_orientations_are_averaged(
    viewer, open_panel, run, small_image, untrained_classic, qtbot
):
    viewer.add_image(small_image, name="cells")
    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    panel.latent.value = False
    panel.how.orientations.value = 8
    run(panel)
    expected = untrained_classic.denoise(small_image, orientations=8)
    np.testing.assert_array_equal(viewer.layers["cells denoised"].data, expected)
    assert (expected != untrained_classic.denoise(small_image)).any()
