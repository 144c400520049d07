"""The panel *Train autoencoder*: data, time, what it shows meanwhile, and going on."""

import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QTimer

from napari_ae_denoise import add_gaussian_noise
from napari_ae_denoise._qt import forecast
from napari_ae_denoise._qt import panel as panel_module
from napari_ae_denoise._qt.train_form import KINDS

from .conftest import wait_idle


@pytest.fixture
def panel(viewer, open_panel, small_image, short_training):
    viewer.add_image(small_image, name="one")
    viewer.add_image(np.ascontiguousarray(small_image[::-1]), name="two")
    panel = open_panel("Train autoencoder")
    panel.first.value = viewer.layers["one"]
    short_training(panel)
    return panel


def shown(panel, field):
    return field.native.isVisibleTo(panel)


def test_the_kind_of_noise_is_asked_where_noise_is_added(panel, press, run):
    fields = panel.fields
    press(panel.fold.toggleButton())
    assert shown(panel, fields.noise)
    assert fields.settings("x").noise == "auto"
    fields.kind.value = "noisy images only"
    assert not shown(panel, fields.noise)
    fields.kind.value = "clean images"
    fields.noise.value = "camera"
    run(panel)
    assert panel.trained.card.noise == "camera"


def test_a_press_sets_the_time(panel):
    fields = panel.fields
    assert [button.text for button in fields.lengths.presets] == [
        "1 minute",
        "5 minutes",
        "30 minutes",
    ]
    for button, minutes in zip(fields.lengths.presets, (1, 5, 30), strict=True):
        fields.length_unit.value = "steps"
        button.native.click()
        assert fields.settings("x").minutes == minutes


def test_time_and_memory_are_told_before_the_start(panel, qtbot):
    fields = panel.fields
    fields.lengths.take(5)
    qtbot.waitUntil(lambda: "Takes 5 min and" in panel.forecast.label.text(), timeout=60_000)
    assert "free" in panel.forecast.label.text()
    fields.length_unit.value, fields.length.value = "steps", 400
    qtbot.waitUntil(lambda: "400 steps of" in panel.forecast.label.text(), timeout=60_000)
    fields.batch_size.value, fields.patch_size.value = 4096, 2048
    qtbot.waitUntil(lambda: "smaller patches" in panel.forecast.label.text(), timeout=60_000)


def test_what_cannot_be_trained_is_told_before_the_start(panel, qtbot):
    panel.fields.family.kind.value = "marginalized"
    panel.fields.loss.value = "l1"
    qtbot.waitUntil(lambda: "no curvature" in panel.forecast.label.text(), timeout=60_000)


def test_the_last_training_tells_the_time_of_the_next(panel, run, qtbot, monkeypatch):
    run(panel)
    from napari_ae_denoise._qt import forecast

    measured = []
    estimate = forecast.estimate_training

    def spy(*args, measure, **how):
        measured.append(measure)
        return estimate(*args, measure=measure, **how)

    monkeypatch.setattr(forecast, "estimate_training", spy)
    panel.fields.length.value = 1000
    qtbot.waitUntil(lambda: "1,000 steps of" in panel.forecast.label.text(), timeout=60_000)
    assert measured == [False]


def test_loss_and_a_part_of_the_data_are_shown_while_it_trains(panel, run):
    assert panel.crop.isHidden()
    assert panel.plot.isHidden()
    run(panel)
    assert not panel.crop.isHidden()
    assert not panel.plot.isHidden()
    assert panel.crop.latest.made.shape == (96, 80)
    assert "step" in panel.crop._captions[1].text()
    assert panel.plot._rated == [6]
    assert np.isfinite(panel.plot._held_out_losses).all()


def test_continue_goes_on_from_where_the_training_stood(panel, run, press, qtbot):
    assert not panel.go_on.isEnabled()
    run(panel)
    first = panel.trained
    assert first.card.training["steps_done"] == 6
    panel.fields.length.value = 4
    press(panel.go_on)
    wait_idle(qtbot, panel)
    assert panel.trained is not first
    assert panel.trained.card.training["steps_done"] == 10
    assert panel.plot._steps == sorted(panel.plot._steps)
    assert panel.plot._steps[-1] == 10
    best = [d.card.metrics["validation_psnr"] for d in (first, panel.trained)]
    assert best[1] >= best[0]
    assert len(panel.shelf.names()) == 2
    panel.fields.lengths.take(0.02)
    press(panel.go_on)
    wait_idle(qtbot, panel)
    assert panel.trained.card.training["steps_done"] > 10


def test_continue_goes_on_with_what_was_stopped(panel, press, qtbot):
    panel.fields.length.value = 1_000_000
    press(panel.bar.start_button)
    assert not panel.go_on.isEnabled()
    qtbot.waitUntil(lambda: len(panel.plot._steps) > 1, timeout=60_000)
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    done = panel.trained.card.training["steps_done"]
    panel.fields.length.value = 2
    press(panel.go_on)
    wait_idle(qtbot, panel)
    assert panel.trained.card.training["steps_done"] == done + 2


def test_continue_begins_as_the_start_does(panel, run, press, qtbot, notes, monkeypatch, tmp_path):
    threads, said = [], []
    monkeypatch.setattr(panel_module, "use_threads", lambda: threads.append(1))
    monkeypatch.setattr("napari_ae_denoise.report.log_path", lambda: tmp_path / "errors.log")
    run(panel)
    assert len(threads) == 1
    usual = panel.bar.show_progress
    monkeypatch.setattr(panel.bar, "show_progress", lambda *a: (said.append(a[1]), usual(*a)))
    press(panel.go_on)
    assert len(threads) == 2
    assert said[0] == "Working …"
    wait_idle(qtbot, panel)

    def fails():
        raise ZeroDivisionError("of no minutes")

    monkeypatch.setattr(panel.fields.lengths, "read", fails)
    press(panel.go_on)
    assert "of no minutes" in panel.bar.status.text()
    assert any("of no minutes" in note for note in notes())
    assert panel.go_on.isEnabled()


def test_a_state_that_is_gone_is_said(panel, run, press, notes):
    run(panel)
    panel._last.state.path.unlink()
    press(panel.go_on)
    assert any("gone from the temporary folder" in note for note in notes())
    assert panel.bar.start_button.isEnabled()


def test_the_state_is_deleted_with_the_last_training(panel, run):
    run(panel)
    folder = panel._last.state.path.parent
    assert folder.exists()
    run(panel)
    gc.collect()
    assert not folder.exists()


def test_several_layers_are_trained_on(panel, viewer, run):
    panel.images.source.value = "several layers"
    many = panel.images._sides[0].many
    assert shown(panel, many)
    assert not shown(panel, panel.first)
    many.value = [viewer.layers["one"], viewer.layers["two"]]
    assert panel.fields.axes.value == "YX"
    choices = panel.read()
    assert len(choices.data().clean) == 2
    run(panel)
    assert panel.trained.card.name == "2 layers classic"


def test_pairs_of_several_layers(panel, viewer, small_image, run, notes):
    for name in ("one", "two"):
        noisy = add_gaussian_noise(viewer.layers[name].data, 20, seed=1)
        viewer.add_image(noisy, name=f"noisy {name}")
    panel.fields.kind.value = "clean and noisy images"
    panel.images.source.value = "several layers"
    clean, noisy = (side.many for side in panel.images._sides)
    assert shown(panel, clean)
    assert shown(panel, noisy)
    clean.value = [viewer.layers["one"], viewer.layers["two"]]
    noisy.value = [viewer.layers["noisy one"]]
    run(panel)
    assert any("2 images on" in note or "1 images on" in note for note in notes())
    noisy.value = [viewer.layers["noisy one"], viewer.layers["noisy two"]]
    data = panel.read().data()
    for a, b in zip(data.clean, data.noisy, strict=True):
        assert np.abs(a.astype(float) - b).mean() < 40  # of the same things
    run(panel)
    assert panel.trained.card.data_kind == "pairs"


def test_a_folder_is_read_and_trained_on(panel, run, small_image, tmp_path, notes):
    panel.images.source.value = "a folder"
    run(panel)
    assert any("No folder is chosen" in note for note in notes())
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", small_image[: 60 + number])
    panel.images._sides[0].folder.value = tmp_path
    run(panel)
    assert panel.trained.card.data_kind == "clean"
    assert panel.trained.card.name == f"{tmp_path.name} classic"
    panel.images._sides[0].folder.value = tmp_path / "nowhere"
    run(panel)
    assert any("nowhere" in note for note in notes())


def test_a_folder_needs_no_reading_for_the_forecast(panel, qtbot, tmp_path):
    panel.images.source.value = "a folder"
    panel.images._sides[0].folder.value = Path(tmp_path)  # empty
    qtbot.waitUntil(lambda: "6 steps of" in panel.forecast.label.text(), timeout=60_000)
    panel.fields.length_unit.value = "epochs"  # of how many images is not known
    qtbot.waitUntil(lambda: "shows when it runs" in panel.forecast.label.text(), timeout=60_000)
    panel.fields.lengths.take(1)
    qtbot.waitUntil(lambda: "Takes 1 min and" in panel.forecast.label.text(), timeout=60_000)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_shows_its_fields(panel, kind):
    panel.fields.kind.value = kind
    first, second = panel.images._sides
    for source in ("one layer", "several layers", "a folder"):
        panel.images.source.value = source
        assert [name for name, f in first.fields.items() if shown(panel, f)] == [source]
        expected = [source] if len(KINDS[kind].sides) == 2 else []
        assert [name for name, f in second.fields.items() if shown(panel, f)] == expected


def test_a_model_at_hand_is_fine_tuned(panel, run):
    run(panel)
    name = panel.shelf.names()[0]
    assert shown(panel, panel.start_from)
    panel.start_from.value = name
    run(panel)
    assert panel.trained.card.training["started_from"] == name
    assert panel.trained.card.name == f"{name} fine-tuned"


def test_the_window_lives_while_time_and_memory_are_worked_out(panel, qtbot, monkeypatch):
    ticks, threads, usual = [], set(), forecast.estimate_training

    def noted(*args, **more):
        threads.add(threading.current_thread())
        return usual(*args, **more)

    monkeypatch.setattr(forecast, "estimate_training", noted)
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    panel.forecast.ask()
    began = time.monotonic()
    timer.start()
    qtbot.waitUntil(lambda: "6 steps of" in panel.forecast.label.text(), timeout=60_000)
    timer.stop()
    assert threads
    assert threading.main_thread() not in threads
    # in seconds; the threads of this process share a core here
    assert max(np.diff([began, *ticks, time.monotonic()])) < 10


def test_steps_are_whole_numbers_and_no_number_is_cut(viewer, open_panel, small_image, settle):
    viewer.add_image(small_image)
    fields = open_panel("Train autoencoder").fields
    fields.length_unit.value, fields.length.value = "steps", 1_000_000
    settle()
    number = fields.length.native
    assert number.text() == "1000000"
    room = number.lineEdit().contentsRect().width()
    assert room >= number.fontMetrics().horizontalAdvance("1000000")
    fields.length_unit.value, fields.length.value = "minutes", 2.5
    assert number.text() == "2.50"


@pytest.mark.parametrize(
    ("losses", "named"), [((1, 0.06), {"1", "0.5", "0.2", "0.1"}), ((1, 0.6), {"0.9", "0.8"})]
)
def test_numbers_of_the_loss_do_not_lie_on_each_other(viewer, open_panel, losses, named, qtbot):
    plot = open_panel("Train autoencoder").plot
    axis = plot.getPlotItem().getAxis("left")
    axis.setRange(*sorted(np.log10(losses)))
    values = [np.log10(n) for n in (0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9, 1)]
    seen = {text for text in axis.tickStrings(values, 1, 1) if text}
    assert named <= seen
    assert ("0.9" in seen) == (losses[1] > 0.5)


def test_a_noisy_image_given_as_clean_is_named(panel, viewer, small_image, qtbot):
    line = panel.clean_hint.line
    noisy = viewer.add_image(add_gaussian_noise(small_image, 20, seed=0), name="noisy <one>")
    panel.first.value = noisy
    qtbot.waitUntil(lambda: not line.isHidden(), timeout=60_000)
    assert '"noisy &lt;one&gt;" is not clean' in line.text()
    assert "sigma about 20 grey values" in line.text()
    panel.fields.kind.value = "noisy images only"
    assert line.isHidden()
    panel.fields.kind.value = "clean images"
    assert not line.isHidden()  # at once: it was looked at before
    panel.first.value = viewer.layers["one"]
    qtbot.waitUntil(lambda: not panel.clean_hint._looking.busy, timeout=60_000)
    assert line.isHidden()


def test_what_a_training_takes_is_told_after_one_that_began_too_early(panel, run, qtbot):
    panel.fields.length.value = 7
    run(panel)
    qtbot.waitUntil(lambda: "7 steps of" in panel.forecast.label.text(), timeout=60_000)


def test_a_model_that_makes_worse_is_not_recommended(panel, untrained_classic):
    from dataclasses import replace

    from napari_ae_denoise._qt.train_job import in_words

    card = untrained_classic.card
    for after, words in ((12.0, "makes images worse"), (25.0, "Choose it in the Denoise panel")):
        metrics = {"noisy_psnr": 20.0, "validation_psnr": after}
        told = in_words("mine", replace(card, metrics=metrics))
        assert "20.00 dB before" in told
        assert words in told


@pytest.mark.parametrize("other", ["stack", "colours"])
@pytest.mark.parametrize("axes", ["", "YX", "ZYX", "YXC"])
def test_layers_of_other_axes_are_named(viewer, panel, run, notes, small_image, other, axes):
    viewer.add_image(np.stack([small_image] * 4), name="stack")
    viewer.add_image(np.dstack([small_image] * 3), name="colours", rgb=True)
    panel.images.source.value = "several layers"
    panel.images._sides[0].many.value = [viewer.layers["one"], viewer.layers[other]]
    panel.fields.axes.value = axes
    run(panel)
    has = {"stack": "ZYX (4 x 96 x 80)", "colours": "YXC (96 x 80 x 3)"}[other]
    assert f'"{other}" has the axes {has}, but "one" has the axes YX (96 x 80).' in notes()[-1]
    assert "All chosen layers must have the same axes" in panel.bar.status.text()
    panel.images._sides[0].many.value = [viewer.layers["stack"], viewer.layers["colours"]]
    panel.fields.axes.value = axes
    run(panel)
    assert "All chosen layers must have the same axes" in notes()[-1]
