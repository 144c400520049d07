"""What the Denoise panel says before anything is pressed, and which model it proposes."""

import threading

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_ae_denoise import Denoiser, add_camera_noise, add_gaussian_noise
from napari_ae_denoise._qt import at_once, glances
from napari_ae_denoise._qt.latest import Latest


@pytest.fixture(autouse=True)
def _bundled(monkeypatch, no_bundled_models):
    monkeypatch.setattr("napari_ae_denoise.bundled.bundled_files", no_bundled_models)


def told(qtbot, panel):
    """Wait until all is said, and return the two lines."""
    lines = panel.at_once.image_note, panel.at_once.model_note
    qtbot.waitUntil(lambda: "Will take" in lines[1].text(), timeout=60_000)
    assert "…" not in lines[0].text()
    return [line.text() for line in lines]


def test_without_an_image_it_says_where_to_get_one(viewer, open_panel):
    panel = open_panel("Denoise")
    assert "Open an image" in panel.at_once.image_note.text()


def test_a_gray_photograph(viewer, open_panel, qtbot, small_image):
    viewer.add_image(add_gaussian_noise(small_image, 20, seed=0))
    panel = open_panel("Denoise")
    image, model = told(qtbot, panel)
    assert "80 x 96 pixels (X x Y), 8 bit" in image
    assert "sigma about 20 grey values" in image
    assert panel.model.value == "natural-gray"
    assert "Gray photographs" in model
    assert "Fits: it is gray, of 8 bits" in model
    panel.model.value = "natural-rgb"
    assert "Fits" not in told(qtbot, panel)[1]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "less than a second"), (80.0, "about 1 min 20 s")]
)
def test_the_time_is_said_in_words(
    seconds, words, viewer, open_panel, qtbot, small_image, untrained_classic, monkeypatch
):
    def measured(*_args, **_more):
        yield 1.0
        return seconds

    monkeypatch.setattr(at_once, "seconds_steps", measured)
    viewer.add_image(small_image)
    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    assert f"Will take {words}." in told(qtbot, panel)[1]


def test_the_model_follows_the_image_until_somebody_chooses(
    viewer, open_panel, qtbot, small_image, untrained_classic
):
    counts = add_camera_noise(small_image.astype("f4") * 10, 5, seed=0)
    viewer.add_image(
        np.stack([small_image, small_image // 2, small_image], axis=-1), rgb=True, name="photo"
    )
    viewer.add_image(small_image, name="gray")
    viewer.add_image(counts, name="counts")
    panel = open_panel("Denoise")
    for name, model in [
        ("counts", "microscopy"),
        ("gray", "natural-gray"),
        ("photo", "natural-rgb"),
    ]:
        panel.layer.value = viewer.layers[name]
        told(qtbot, panel)
        assert panel.model.value == model
    panel.model.value = "microscopy"
    panel.layer.value = viewer.layers["gray"]
    told(qtbot, panel)
    assert panel.model.value == "microscopy"


def test_a_model_trained_here_is_not_pushed_aside(
    viewer, open_panel, qtbot, small_image, untrained_classic
):
    viewer.add_image(small_image, name="gray")
    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    viewer.add_image(
        np.stack([small_image, small_image // 2, small_image], axis=-1), rgb=True, name="photo"
    )
    panel.layer.value = viewer.layers["photo"]
    told(qtbot, panel)
    assert panel.model.value == "tutorial"


def test_an_image_is_looked_at_once_and_never_in_the_thread_of_the_window(
    viewer, open_panel, qtbot, small_image, monkeypatch
):
    threads, usual = [], glances.glance_steps

    def noted(*args, **kwargs):
        threads.append(threading.current_thread())
        return (yield from usual(*args, **kwargs))

    monkeypatch.setattr(glances, "glance_steps", noted)
    viewer.add_image(small_image, name="first")
    viewer.add_image(da.from_array(small_image + 1), name="second", contrast_limits=(0, 255))
    panel = open_panel("Denoise")
    told(qtbot, panel)
    for name in ("first", "second", "first", "second"):
        panel.layer.value = viewer.layers[name]
        told(qtbot, panel)
    # arrays of older dask cannot be held weakly, and are looked at each time
    assert len(threads) == (2 if hasattr(da.Array, "__weakref__") else 4)
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(("value", "words"), [(np.nan, "not a finite number"), (3.0, "is 3")])
def test_of_an_image_that_shows_nothing_no_time_is_told(
    value, words, viewer, open_panel, qtbot, small_image, untrained_classic
):
    viewer.add_image(np.full(small_image.shape, value), contrast_limits=(0, 1))
    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    qtbot.waitUntil(lambda: words in panel.at_once.image_note.text(), timeout=30_000)
    qtbot.wait(300)  # as long as it takes to measure one
    assert "Will take" not in panel.at_once.model_note.text()


def test_axes_that_do_not_fit_are_said(viewer, open_panel, small_image):
    viewer.add_image(small_image)
    panel = open_panel("Denoise")
    panel.axes.value = "ZYX"
    assert '"ZYX"' in panel.at_once.image_note.text()


def test_late_answers_are_dropped_and_questions_do_not_queue(qtbot):
    from qtpy.QtWidgets import QWidget

    parent, go, begun = QWidget(), threading.Event(), []
    qtbot.addWidget(parent)
    latest, answers = Latest(parent), []
    latest.answered.connect(answers.append)

    def question(number):
        def steps(_stop):
            begun.append(number)
            go.wait(30)
            yield 0
            return number

        return steps

    for number in range(4):
        latest.ask(question(number))
    qtbot.waitUntil(lambda: begun == [0], timeout=30_000)
    go.set()
    qtbot.waitUntil(lambda: answers == [3], timeout=30_000)
    assert begun == [0, 3]
    latest.ask(question(4))
    latest.drop()
    qtbot.wait(200)
    assert answers == [3]


def test_noise_that_neighbours_share_is_said_and_denoised_in_two_passes(viewer, open_panel, qtbot):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:192, :192]
    noise = gaussian_filter(rng.standard_normal(y.shape), 0.75)
    smooth = 100 + 60 * np.sin(x / 11) * np.cos(y / 17)
    image = (smooth + 15 * noise / noise.std()).astype(np.float32)
    viewer.add_image(image)
    panel = open_panel("Denoise")
    assert "alike in neighbouring pixels" in told(qtbot, panel)[0]
    model = Denoiser.load(panel.model.value)
    for correlated in ("auto", "none"):
        panel.correlated.value = correlated
        panel.bar.start_button.click()
        qtbot.waitUntil(lambda: panel.job.state.name == "IDLE", timeout=60_000)
        expected = model.denoise(image, correlated=correlated)
        np.testing.assert_allclose(viewer.layers[-1].data, expected, atol=1.5)
        assert ("every second pixel" in panel.bar.status.text()) == (correlated == "auto")


def test_what_is_said_follows_a_layer_that_is_edited(viewer, open_panel, qtbot, small_image):
    other = viewer.add_image(small_image, name="other")
    layer = viewer.add_image(add_gaussian_noise(small_image, 20, seed=0), name="i")
    panel = open_panel("Denoise")
    panel.layer.value = layer
    assert "80 x 96 pixels" in told(qtbot, panel)[0]
    layer.data = layer.data[:64, :70]
    assert "70 x 64 pixels" in told(qtbot, panel)[0]
    layer.units = ("um", "um")
    qtbot.waitUntil(lambda: panel.model.value == "microscopy", timeout=60_000)
    panel.layer.value = other
    told(qtbot, panel)
    looked = panel.at_once.image_note.text()
    layer.data = layer.data[:32, :32]  # it is not heard any more
    assert panel.at_once.image_note.text() == looked
    assert "80 x 96" in looked


def test_the_image_is_the_selected_one_until_somebody_chooses(
    viewer, open_panel, qtbot, small_image, untrained_classic, run
):
    first = viewer.add_image(small_image, name="first")
    panel = open_panel("Denoise")
    panel.shelf.add(untrained_classic)
    second = viewer.add_image(small_image[:64], name="second")
    assert panel.layer.value == second
    viewer.layers.selection.active = first
    assert panel.layer.value == first
    run(panel)
    assert viewer.layers.selection.active.name == "first denoised"
    assert panel.layer.value == first
    noise = open_panel("Add Gaussian noise")
    noise.layer.value = first
    run(noise)
    noisy = viewer.layers.selection.active
    assert "noise" in noisy.name
    assert panel.layer.value == noisy
    viewer.layers.selection.active = first
    labels = viewer.add_labels(np.zeros((8, 8), int))
    assert viewer.layers.selection.active is labels
    assert panel.layer.value == first
    panel.layer.value = second
    viewer.layers.selection.active = first
    assert panel.layer.value == second
