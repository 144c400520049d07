"""The Preferences page, and what is remembered from session to session."""

import gc
import os
import threading
import weakref

import napari.settings
import numpy as np
import pytest

from napari_ae_denoise import Denoiser, devices
from napari_ae_denoise._qt import preferences
from napari_ae_denoise._qt.quick import denoise_active_layer
from napari_ae_denoise._qt.shelf import Shelf, keep_used
from napari_ae_denoise.session_memory import SessionMemory

needs_page = pytest.mark.skipif(
    not hasattr(napari.settings, "get_plugin_settings"),
    reason="napari has a page for plugins from 0.9 on",
)


@pytest.fixture
def page():
    return napari.settings.get_plugin_settings(preferences.PLUGIN)


@needs_page
def test_the_page_has_what_the_plugin_uses(page):
    for group, usual in preferences._USUAL.items():
        for name, value in usual.items():
            assert getattr(getattr(page, group), name) == value
        assert set(type(getattr(page, group)).model_fields) == set(usual)


@needs_page
def test_preferences_are_kept_by_napari(page, tmp_path):
    page.denoise.limit = 7.5
    page.save()
    assert "limit: 7.5" in (tmp_path / f"{preferences.PLUGIN}.yaml").read_text()


def test_an_older_napari_without_the_page_has_the_usual(viewer, open_panel, monkeypatch):
    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)
    panel = open_panel("Denoise")
    assert (panel.tile.value, panel.filling.limit.value, panel.device.value) == (0, 2.0, "auto")


@pytest.mark.parametrize("text", ["[1, 2]", "denoise: {limit: -5}", "{{{", "computing: 3"])
def test_a_damaged_file_of_the_page_is_no_crash(tmp_path, text):
    (tmp_path / f"{preferences.PLUGIN}.yaml").write_text(text)
    assert preferences.preference("denoise", "limit") == 2.0
    assert preferences.preferred_device() == "auto"


@needs_page
def test_fields_begin_with_what_is_preferred_and_follow_it(viewer, open_panel, page):
    page.denoise.tile, page.denoise.limit, page.denoise.folder = 256, 7.5, "/somewhere"
    page.computing.device = "cpu"
    panel = open_panel("Denoise")
    filling = panel.filling
    assert (panel.tile.value, filling.limit.value, filling.folder.value) == (256, 7.5, "/somewhere")
    assert panel.device.value == "cpu"
    assert open_panel("Train autoencoder").fields.device.value == "cpu"
    page.denoise.tile = 128
    assert panel.tile.value == 128
    page.computing.device = "auto"
    assert panel.device.value == "auto"


@needs_page
def test_a_device_that_is_not_there_is_passed_over(viewer, open_panel, page, monkeypatch):
    cpu = devices.available_devices(measured=False)[-1]
    monkeypatch.setattr(devices, "available_devices", lambda **_: [cpu])
    page.computing.device = "mps"
    assert open_panel("Denoise").device.value == "auto"
    assert preferences.preferred_device() == "auto"
    gpu = devices.DeviceInfo("cuda:0", "a card", None)
    monkeypatch.setattr(devices, "available_devices", lambda **_: [gpu, cpu])
    page.computing.device = "cuda"
    assert preferences.preferred_device() == "cuda:0"


@needs_page
def test_a_closed_panel_is_not_held_by_the_page(viewer, open_panel, page, qtbot):
    panel = open_panel("Denoise")
    field = weakref.ref(panel.tile)
    viewer.window.remove_dock_widget(panel)
    del panel

    def gone():
        gc.collect()
        return field() is None

    qtbot.waitUntil(gone, timeout=20_000)
    page.denoise.tile = 64  # with nobody there to take it


@needs_page
def test_threads_are_those_preferred(viewer, panel, run, small_image, page, monkeypatch):
    import torch

    seen, usual = [], devices.using_threads
    monkeypatch.setattr(devices, "using_threads", lambda n: (seen.append(n), usual(n))[1])
    page.computing.threads = 2
    viewer.add_image(small_image)
    try:
        run(panel)
        assert set(seen) == {2}
        page.computing.threads = 0
        preferences.use_threads()
        with devices.spare_a_core():
            assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
    finally:
        devices.prefer_threads(0)


@needs_page
def test_the_quick_command_asks_the_page(viewer, qtbot, small_image, page, monkeypatch):
    from napari_ae_denoise._qt import quick

    asked, usual = [], quick.PredictSettings
    monkeypatch.setattr(
        quick, "PredictSettings", lambda **how: (asked.append(how), usual(**how))[1]
    )
    page.denoise.tile, page.computing.device = 64, "cpu"
    viewer.add_image(small_image)
    quick.shelf_of(viewer).add(_classic())
    denoise_active_layer()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=30_000)
    assert asked == [{"tile": 64, "device": "cpu"}]


def _classic():
    from napari_ae_denoise.card import Card
    from napari_ae_denoise.networks import PRESETS, ConvAutoencoder

    spec = PRESETS["classic"]
    return Denoiser(ConvAutoencoder(spec), Card(network=spec, name="tutorial"))


# ---- forms


def test_a_panel_begins_as_it_ran_last(viewer, open_panel, run, small_image):
    viewer.add_image(small_image)
    panel = open_panel("Add Gaussian noise")
    panel.sigma.value, panel.seed.value, panel.clip.value = 12.5, 3, True
    panel.axes.value = "YX"
    run(panel)
    panel.sigma.value = 99.0  # never run with
    viewer.window.remove_dock_widget(panel)
    again = open_panel("Add Gaussian noise")
    assert again is not panel
    assert (again.sigma.value, again.seed.value, again.clip.value) == (12.5, 3, True)
    assert again.layer.value.name == viewer.layers.selection.active.name  # not remembered


def test_the_train_panel_remembers_its_kind_and_the_options_of_it(
    viewer, open_panel, run, small_image, short_training
):
    viewer.add_image(small_image)
    panel = open_panel("Train autoencoder")
    short_training(panel)
    fields = panel.fields
    fields.family.kind.value = "sparse"
    fields.preset.value = "classic"
    fields.family.penalty.value = fields.family.penalty.choices[-1]
    fields.family.weight.value, fields.seed.value = 0.003, 5
    expected = {one.name: one.value for one in fields.remembered}
    run(panel)
    assert preferences.memory().form("TrainWidget") == expected
    fields.family.kind.value, fields.preset.value, fields.seed.value = "denoising", "residual", 0
    preferences.restore("TrainWidget", fields.remembered)
    assert {one.name: one.value for one in fields.remembered} == expected


def test_values_that_a_field_does_not_take_are_left_out(viewer, open_panel):
    kept = preferences.memory()
    kept.keep_form("NoiseWidget", {"sigma": -4.0, "kind": "of old", "seed": True, "mean": 2.0})
    panel = open_panel("Add Gaussian noise")
    assert (panel.sigma.value, panel.kind.value, panel.seed.value) == (25, "Gaussian", 0)
    assert panel.mean.value == 2


def test_the_file_is_where_napari_is_told_to_keep_its_own(tmp_path, monkeypatch):
    monkeypatch.undo()  # what keeps the tests apart
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "mine.yaml"))
    assert preferences.memory_path().parent == tmp_path
    monkeypatch.setenv("NAPARI_CONFIG", "")
    assert preferences.memory_path() is None
    monkeypatch.delenv("NAPARI_CONFIG")
    assert preferences.memory_path().name == "panels.json"


@needs_page
def test_nothing_is_remembered_where_that_is_preferred(viewer, open_panel, run, small_image, page):
    page.panels.remember = False
    viewer.add_image(small_image)
    panel = open_panel("Add Gaussian noise")
    run(panel)
    assert not preferences.memory_path().exists()


# ---- models


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves a model as an earlier session would have."""

    def save(name):
        denoiser = _classic().renamed(name)
        path = denoiser.save(tmp_path / f"{name}.safetensors")
        keep_used(preferences.memory(), denoiser, path, name)
        return path

    return save


def test_models_used_before_are_offered_after_the_others(
    viewer, open_panel, run, saved, small_image, no_bundled_models, monkeypatch
):
    path = saved("mine")
    monkeypatch.setattr("napari_ae_denoise.bundled.bundled_files", no_bundled_models)
    viewer.add_image(small_image, name="waves")
    panel = open_panel("Denoise")
    assert panel.model.choices[:-1] == tuple(no_bundled_models())
    assert panel.model.choices[-1] == "mine"
    panel.model.value = "mine"
    run(panel)
    assert viewer.layers["waves denoised"].metadata["napari_ae_denoise"]["model_file"] == str(path)
    assert "mine" in open_panel("Train autoencoder").start_from.choices


def test_missing_files_are_skipped(viewer, open_panel, saved, qtbot):
    saved("gone").unlink()
    saved("here")
    model = open_panel("Denoise").model
    qtbot.waitUntil(lambda: model.choices == ("here",), timeout=30_000)


def test_a_broken_file_says_so_only_when_chosen(viewer, open_panel, run, saved, notes, qtbot):
    def said_by(note):
        qtbot.waitUntil(lambda: "broken.safetensors" in note.text(), timeout=30_000)

    saved("whole")
    saved("broken").write_bytes(b"no model")
    viewer.add_image(np.zeros((32, 32), np.uint8))
    panel = open_panel("Denoise")
    panel.model.value = "whole"
    assert not notes()
    panel.model.value = "broken"
    said_by(panel.at_once.model_note)
    run(panel)
    assert "broken.safetensors" in panel.bar.status.text()
    panel.model.value = "whole"
    assert "broken.safetensors" not in panel.at_once.model_note.text()
    train = open_panel("Train autoencoder")
    train.start_from.value = "broken"
    said_by(train.network_note)


def test_no_file_is_read_in_the_thread_of_the_window(
    viewer, open_panel, open_model, saved, qtbot, readers, tmp_path
):
    saved("first"), saved("second"), saved("third")  # which Denoise begins with
    other = _classic().save(tmp_path / "other")  # which no earlier session had
    viewer.add_image(np.zeros((32, 32), np.uint8))
    panel, train = open_panel("Denoise"), open_panel("Train autoencoder")
    panel.model.value = "first"
    qtbot.waitUntil(lambda: panel.shelf.at_hand("first") is not None, timeout=30_000)
    train.start_from.value = "second"
    assert "Opening second" in train.network_note.text()
    qtbot.waitUntil(lambda: "million weights" in train.network_note.text(), timeout=30_000)
    open_model(panel, other)
    assert panel.model.value == "other"  # though another one was chosen before
    assert {name for name, _ in readers} == {"first", "second", "third", "other"}
    assert threading.main_thread() not in [thread for _, thread in readers]


def test_what_is_remembered_is_not_written_in_the_thread_of_the_window(
    viewer, open_panel, open_model, save_model, run, small_image, tmp_path, monkeypatch
):
    other, writers, write = _classic().save(tmp_path / "other"), [], SessionMemory._write

    def spy(kept, record):
        writers.append((set(record), threading.current_thread()))
        write(kept, record)

    monkeypatch.setattr(SessionMemory, "_write", spy)
    viewer.add_image(small_image)
    panel = open_panel("Denoise")
    open_model(panel, other)
    run(panel)
    save_model(panel, tmp_path / "again.safetensors")
    both = {"models", "forms"}
    assert [names for names, _ in writers] == [{"models"}, both, both]  # opened, run, saved
    assert threading.main_thread() not in [thread for _, thread in writers]
    assert [model.name for model in preferences.memory().models()] == ["other", "other"]


def test_a_model_opened_again_is_offered_once(viewer, open_panel, open_model, saved):
    path = saved("mine")
    panel = open_panel("Denoise")
    open_model(panel, path)
    assert [name for name in panel.model.choices if name.startswith("mine")] == ["mine"]
    assert panel.model.value == "mine"


def test_what_was_trained_and_saved_is_offered_in_the_next_session(
    viewer, open_panel, run, small_image, short_training, tmp_path, save_model
):
    viewer.add_image(small_image, name="waves")
    panel = open_panel("Train autoencoder")
    short_training(panel)
    run(panel)
    save_model(panel, tmp_path / "mine.safetensors")
    ((shown, name),) = Shelf().choices()  # that of another viewer, or of another day
    assert name == "waves classic"
    assert shown.startswith("waves classic (trained on clean images, 20")
