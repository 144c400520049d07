"""Live mode: what is looked at is denoised, and nothing else."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from napari_ae_denoise import Denoiser
from napari_ae_denoise._qt import live as live_module
from napari_ae_denoise._qt import live_view


@pytest.fixture
def panel(panel):
    panel.model.value = "tutorial"
    return panel


def shown(viewer, qtbot, name="cells live"):
    qtbot.waitUntil(lambda: name in viewer.layers, timeout=60_000)
    return viewer.layers[name]


@pytest.fixture
def stack():
    return np.random.default_rng(0).normal(1000, 200, (3, 300, 400)).astype("u2")


def test_the_view_is_denoised_and_followed_in_another_thread(
    viewer, panel, qtbot, stack, untrained_classic, monkeypatch
):
    threads = set()
    usual = live_view.denoise_region

    def noted(*args):
        threads.add(threading.current_thread())
        return usual(*args)

    monkeypatch.setattr(live_view, "denoise_region", noted)
    viewer.add_image(stack, name="cells", scale=(2, 0.5, 0.5), translate=(4, 10, 20))
    viewer.dims.set_point(0, 6)  # plane 1
    panel.live.switch.value = True
    layer = shown(viewer, qtbot)
    whole = untrained_classic.denoise(stack, axes="ZYX").astype(int)
    assert np.abs(layer.data[0].astype(int) - whole[1]).max() <= 16
    np.testing.assert_allclose(layer.translate, (6, 10, 20))
    assert layer.metadata["normalization"][0]["scale"] > 0
    viewer.dims.set_point(0, 8)
    wanted = 8, (1, 300, 400)
    qtbot.waitUntil(lambda: (layer.translate[0], layer.data.shape) == wanted, timeout=60_000)
    assert np.abs(layer.data[0].astype(int) - whole[2]).max() <= 16
    # as napari does when it draws, which it does not in a window that is not shown
    viewer.layers["cells"].corner_pixels = np.array([[2, 100, 130], [2, 180, 250]])
    qtbot.waitUntil(lambda: layer.data.shape == (1, 81, 121), timeout=60_000)
    y, x = ((layer.translate[1:] - (10, 20)) / 0.5).round().astype(int)
    height, width = layer.data.shape[1:]
    part = whole[2, y : y + height, x : x + width]
    assert np.abs(layer.data[0].astype(int) - part).max() <= 16
    assert threading.main_thread() not in threads
    panel.live.switch.value = False
    assert "cells live" not in viewer.layers


def test_what_takes_long_is_shown_from_its_middle_on(
    viewer, panel, qtbot, stack, untrained_classic, monkeypatch
):
    usual, asked = live_view.denoise_region, []

    def slow(*args):
        asked.append(args[-1].shape)
        time.sleep(1 if args[-1].shape == (300, 400) else 0)
        return usual(*args)

    monkeypatch.setattr(live_view, "denoise_region", slow)
    viewer.add_image(stack, name="cells")
    panel.live.switch.value = True
    layer = shown(viewer, qtbot)
    asked.clear()
    pictures = []
    layer.events.data.connect(lambda: pictures.append((layer.data, tuple(layer.translate))))
    viewer.dims.set_point(0, 2)
    qtbot.waitUntil(lambda: len(asked) == 2 and len(pictures) == 2, timeout=60_000)
    small, large = asked
    assert large == (300, 400)
    assert 128 <= max(small) < 300
    height, width = small
    first, last = (data[0].astype(int) for data, _ in pictures)
    y, x = (300 - height) // 2, (400 - width) // 2
    assert np.abs(first - last[y : y + height, x : x + width]).max() <= 16
    whole = untrained_classic.denoise(stack, axes="ZYX").astype(int)
    assert np.abs(last - whole[2]).max() <= 16
    assert tuple(layer.translate) == (2, 0, 0)
    qtbot.wait(300)
    assert len(asked) == 2  # nothing more to do


def test_the_model_and_the_strength_are_followed(
    viewer, panel, qtbot, stack, untrained_classic, monkeypatch
):
    viewer.add_image(stack[0], name="cells")
    panel.live.switch.value = True
    layer = shown(viewer, qtbot)
    first = layer.data.copy()
    other = Denoiser(untrained_classic.network, replace(untrained_classic.card, name="other"))
    asked, usual = [], live_view.denoise_region

    def noted(*args):
        asked.append(panel.model.value)
        return usual(*args)

    monkeypatch.setattr(live_view, "denoise_region", noted)
    panel.model.value = panel.shelf.add(other)
    qtbot.waitUntil(lambda: "other" in asked, timeout=60_000)
    panel.strength.value = 0
    qtbot.waitUntil(
        lambda: (
            "cells live" in viewer.layers and (viewer.layers["cells live"].data == stack[0]).all()
        ),
        timeout=60_000,
    )
    assert (first != stack[0]).any()
    assert viewer.layers["cells live"] is layer  # removing it would stop the window for a while


def test_a_late_answer_is_dropped(viewer, panel, qtbot, stack, monkeypatch):
    go, usual, asked = threading.Event(), live_view.denoise_region, []

    def slow(*args):
        made = usual(*args)  # before it is switched off, which would stop it
        asked.append(args[-1])
        go.wait(30)
        return made

    monkeypatch.setattr(live_view, "denoise_region", slow)
    viewer.add_image(stack, name="cells")
    panel.live.switch.value = True
    qtbot.waitUntil(lambda: len(asked) == 1, timeout=60_000)
    panel.live.switch.value = False
    go.set()
    qtbot.waitUntil(lambda: not live_module._running, timeout=30_000)
    qtbot.wait(100)
    assert "cells live" not in viewer.layers


def test_without_an_image_it_is_said(viewer, panel, notes):
    panel.live.switch.value = True
    assert any("no image layer" in note for note in notes())
    assert not panel.live.switch.value


def test_it_needs_no_output_and_goes_on_once_the_form_is_right_again(
    viewer, panel, qtbot, stack, notes
):
    viewer.add_image(stack[0], name="cells")
    panel.denoised.value = False
    panel.live.switch.value = True
    shown(viewer, qtbot)
    assert panel.live.switch.value
    panel.axes.value = "ZYX"  # one letter too many
    assert notes()
    assert "cells live" not in viewer.layers
    panel.axes.value = "YX"
    shown(viewer, qtbot)
    panel.live.switch.value = False
    panel.axes.value = "ZYX"
    panel.live.switch.value = True
    assert not panel.live.switch.value  # what cannot begin is not on


def test_another_device_or_tile_is_taken_at_once(viewer, panel, qtbot, stack, monkeypatch):
    seen, usual = [], live_view.PersistentRunner

    def noted(network, settings, stop):
        seen.append((settings.device, settings.tile))
        return usual(network, settings, stop)

    monkeypatch.setattr(live_view, "PersistentRunner", noted)
    viewer.add_image(stack[0], name="cells")
    panel.live.switch.value = True
    shown(viewer, qtbot)
    panel.tile.value = 64
    qtbot.waitUntil(lambda: ("auto", 64) in seen, timeout=60_000)
    panel.device.value = "cpu"
    qtbot.waitUntil(lambda: ("cpu", 64) in seen, timeout=60_000)


def test_the_layer_removed_ends_it(viewer, panel, qtbot, stack):
    viewer.add_image(stack, name="cells")
    panel.live.switch.value = True
    shown(viewer, qtbot)
    viewer.layers.remove("cells")
    qtbot.waitUntil(lambda: "cells live" not in viewer.layers, timeout=10_000)


def test_channels_that_the_network_sees_together_are_shown_at_their_place(
    viewer, panel, qtbot, stack, no_bundled_models
):
    colours = Denoiser.load(no_bundled_models()["natural-rgb"])
    panel.model.value = panel.shelf.add(colours)
    image = stack[:, :90, :100]
    place = {"scale": (1, 2, 2), "translate": (0, 5, 7), "axis_labels": ("c", "y", "x")}
    viewer.add_image(image, name="cells", **place)
    assert panel.axes.value == "CYX"
    panel.live.switch.value = True
    layer = shown(viewer, qtbot)
    assert layer.data.shape == image.shape
    np.testing.assert_allclose(layer.translate, (0, 5, 7))
    viewer.layers["cells"].corner_pixels = np.array([[0, 10, 20], [0, 50, 60]])
    qtbot.waitUntil(lambda: layer.data.shape == (3, 41, 41), timeout=60_000)
    np.testing.assert_allclose(layer.translate, (0, 25, 47))


def test_an_error_in_showing_switches_it_off_and_is_said(
    viewer, panel, qtbot, stack, notes, monkeypatch
):
    def fails(*_, **__):
        raise ValueError("no such place")

    monkeypatch.setattr(live_module, "placed", fails)
    viewer.add_image(stack, name="cells")
    panel.live.switch.value = True
    qtbot.waitUntil(lambda: not panel.live.switch.value, timeout=60_000)
    assert "cells live" not in viewer.layers
    assert any("no such place" in note for note in notes())
