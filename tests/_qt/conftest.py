"""A real viewer, the plugin's panels opened through the manifest, and real clicks."""

from __future__ import annotations

import copy
import functools
import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_ae_denoise import bundled
from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder
from napari_ae_denoise.persistent_runner import PersistentRunner

PLUGIN = "napari-ae-denoise"
_PATIENCE = 120_000  # milliseconds; the machine may be busy


@pytest.fixture(autouse=True)
def earlier_tests_apart():
    """Leave what earlier tests have left for good (caches, modules) out of collections of garbage.

    napari collects all garbage whenever a layer goes, and so at the end of each test: among a
    million objects of torch, napari and the tests before, that took half of the tests' time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def manifests_parsed_once():
    """Keep what the manifests of all plugins say: each viewer and panel has them parsed anew."""
    from npe2.manifest import _bases

    parse = getattr(_bases, "_load_yaml_no_duplicates", None)
    if parse is None:  # an older npe2
        yield
        return
    parsed = functools.cache(parse)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            _bases,
            "_load_yaml_no_duplicates",
            lambda stream: copy.deepcopy(parsed(stream.read())),
        )
        yield


@pytest.fixture(autouse=True)
def no_bundled_models(monkeypatch):
    """Begin without models; tests of those that ship ask for them."""
    shipped = bundled.bundled_files
    monkeypatch.setattr(bundled, "bundled_files", dict)
    return shipped


@pytest.fixture(autouse=True)
def settings_apart(tmp_path, monkeypatch):
    """Keep the user's own settings out of the tests, and the tests out of them."""
    import napari.settings

    from napari_ae_denoise._qt import preferences, writing_button

    monkeypatch.setattr(writing_button, "_saved_in", [tmp_path])  # not the user's own folder
    forget = getattr(napari.settings, "_clear_plugin_settings_cache", lambda: None)
    forget()
    config = str(tmp_path / "settings.yaml")  # of plugins, from napari 0.9 on
    monkeypatch.setattr(napari.settings, "_CFG_PATH", config, raising=False)
    monkeypatch.setattr(preferences, "memory_path", lambda: tmp_path / "own" / "panels.json")
    yield
    forget()


@pytest.fixture
def viewer(make_napari_viewer):
    notification_manager.records.clear()
    return make_napari_viewer(strict_qt="raise")


@pytest.fixture
def open_panel(viewer):
    """Return a function that opens a panel by the name that its menu shows."""

    def open_by_name(name):
        _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, name)
        return panel

    return open_by_name


@pytest.fixture
def open_model(qtbot):
    """Return a function that opens a model file in a panel, as after its dialog, and waits."""

    def open_file(panel, path):
        panel.files.open(path)
        qtbot.waitUntil(lambda: not panel.files.opening, timeout=_PATIENCE)

    return open_file


@pytest.fixture
def save_model(qtbot):
    """Return a function that saves a panel's model, as after its dialog, and waits."""

    def save(panel, path):
        panel.files.save_button.save(path)
        job = panel.files.save_button.job
        qtbot.waitUntil(lambda: job.state.value == "idle", timeout=_PATIENCE)

    return save


@pytest.fixture
def readers(monkeypatch):
    """Return a list of what models are read, by name, and the thread that reads each."""
    read, usual = [], Denoiser.load

    def noted(name_or_path):
        read.append((Path(name_or_path).stem, threading.current_thread()))
        return usual(name_or_path)

    monkeypatch.setattr(Denoiser, "load", noted)
    return read


@pytest.fixture
def press(qtbot):
    """Return a function that presses a button with the mouse."""

    def press_button(button):
        assert button.isEnabled()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return press_button


@pytest.fixture
def run(qtbot, press):
    """Return a function that presses Start and waits for the end of the job."""

    def run_panel(panel):
        press(panel.bar.start_button)
        wait_idle(qtbot, panel)

    return run_panel


@pytest.fixture
def settle(qtbot):
    """Return a function that waits until layouts stand, however busy the machine is.

    A wait alone may end after a single pass of the event loop, where drawing takes long, and a
    change of a layout asks for several.
    """

    def until_nothing_moves():
        qtbot.wait(50)
        for _ in range(20):
            QApplication.sendPostedEvents()
            QApplication.processEvents()

    return until_nothing_moves


@pytest.fixture
def slow_tiles(monkeypatch):
    """Let each tile take a while, so that a job still runs when something else has been done."""
    usual = PersistentRunner.__call__

    def slow(self, *args, **more):
        time.sleep(0.02)
        return usual(self, *args, **more)

    monkeypatch.setattr(PersistentRunner, "__call__", slow)


def wait_idle(qtbot, panel):
    qtbot.waitUntil(lambda: panel.job.state.value == "idle", timeout=_PATIENCE)


def camera_of(viewer):
    """Return a viewer's camera; napari 0.9 has put it into the scene."""
    return getattr(viewer, "scene", viewer).camera


@pytest.fixture
def notes():
    """Return a function that lists what napari has told the user so far."""
    return lambda: [record.message for record in notification_manager.records]


@pytest.fixture
def small_image():
    y, x = np.mgrid[:96, :80]
    waves = 120 + 60 * np.sin(x / 7) * np.cos(y / 9)
    return waves.astype(np.uint8)


@pytest.fixture
def short_training():
    """Return a function that makes the training of a panel a matter of seconds."""

    def shorten(panel, steps=6):
        fields = panel.fields
        fields.preset.value = "classic"
        fields.length_unit.value, fields.length.value = "steps", steps
        fields.batch_size.value, fields.patch_size.value = 4, 32

    return shorten


@pytest.fixture
def untrained_classic():
    """A denoiser with random weights, the tutorial's network."""
    spec = PRESETS["classic"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Denoiser(ConvAutoencoder(spec), Card(network=spec, name="tutorial"))


@pytest.fixture
def panel(open_panel, untrained_classic):
    """The Denoise panel, with an untrained model on its shelf."""
    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    return panel
