"""A model whose file does not answer: the window lives on, and other models are there meanwhile."""

import threading

import pytest

from napari_ae_denoise import Denoiser, bundled
from napari_ae_denoise._qt import quick
from napari_ae_denoise._qt.shelf import shelf_of
from napari_ae_denoise._qt.worker import Job

from .conftest import wait_idle

PATIENCE = 60_000  # milliseconds


@pytest.fixture
def answer(untrained_classic, tmp_path, monkeypatch):
    """Return an event: until it is set, the file of the model "slow" does not answer.

    Were it read by the window's thread, or waited for there, the test would never end.
    """
    files = {
        name: untrained_classic.renamed(name).save(tmp_path / f"{name}.safetensors")
        for name in ("fast", "slow")
    }
    monkeypatch.setattr(bundled, "bundled_files", lambda: files)
    answered, usual = threading.Event(), Denoiser.load

    def hang(name):
        if "slow" in str(name):
            assert threading.current_thread() is not threading.main_thread()
            answered.wait(120)
        return usual(name)

    monkeypatch.setattr(Denoiser, "load", hang)
    yield answered
    answered.set()


@pytest.fixture
def panel(viewer, open_panel, answer, small_image, qtbot):
    viewer.add_image(small_image, name="waves")
    panel = open_panel("Denoise")
    qtbot.waitUntil(lambda: panel.shelf.at_hand("fast") is not None, timeout=PATIENCE)
    panel.model.value = "slow"
    assert panel.at_once.model_note.text() == "Opening slow …"
    return panel


def test_denoise_waits_for_it_and_can_be_cancelled(viewer, panel, press, run, qtbot, answer):
    press(panel.bar.start_button)
    assert panel.bar.status.text() == "Opening the model …"
    qtbot.wait(200)
    press(panel.bar.stop_button)
    wait_idle(qtbot, panel)
    assert panel.bar.status.text() == "Cancelled before it began."
    panel.model.value = "fast"  # which hangs behind nothing
    run(panel)
    assert [layer.name for layer in viewer.layers] == ["waves", "waves denoised"]


def test_denoise_runs_when_it_is_there(viewer, panel, press, qtbot, answer):
    press(panel.bar.start_button)
    qtbot.wait(100)
    answer.set()
    qtbot.waitUntil(lambda: "waves denoised" in viewer.layers, timeout=PATIENCE)
    assert "slow" in str(viewer.layers["waves denoised"].metadata)


def test_live_shows_nothing_until_it_is_there(viewer, panel, qtbot, answer):
    panel.model.value = "fast"
    panel.live.switch.value = True
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)
    panel.model.value = "slow"
    assert [layer.name for layer in viewer.layers] == ["waves"]
    qtbot.wait(300)
    assert panel.live.switch.value
    answer.set()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)
    panel.live.switch.value = False


def test_training_from_it_waits(viewer, panel, open_panel, press, qtbot, short_training, answer):
    train = open_panel("Train autoencoder")
    short_training(train)
    train.start_from.value = "slow"
    assert train.network_note.text() == "Opening slow …"
    qtbot.wait(800)  # the forecast is made meanwhile, or not
    press(train.bar.start_button)
    assert train.bar.status.text() == "Opening the model …"
    answer.set()
    qtbot.waitUntil(lambda: train.trained is not None, timeout=PATIENCE)
    assert train.trained.card.name == "slow fine-tuned"


def test_saving_it_says_that_it_is_not_open(panel, notes, tmp_path, save_model):
    save_model(panel, tmp_path / "saved")
    assert 'The model "slow" is not open.' in notes()[-1]
    assert not list(tmp_path.glob("saved*"))


def test_what_is_opened_when_its_panel_is_closed_is_on_the_shelf(
    viewer, panel, qtbot, answer, untrained_classic, tmp_path
):
    panel.files.open(untrained_classic.save(tmp_path / "mine slow.safetensors"))
    qtbot.wait(50)
    viewer.window.remove_dock_widget(panel)
    answer.set()
    qtbot.waitUntil(lambda: "mine slow" in shelf_of(viewer).names(), timeout=PATIENCE)


def test_a_panel_that_is_put_back_meanwhile_shows_it_once_it_is_there(
    viewer, panel, qtbot, answer, small_image
):
    viewer.add_image(small_image, name="gone")
    panel.layer.value = viewer.layers["gone"]
    panel.files.open("slow.safetensors")  # or it would go with its job
    viewer.window.remove_dock_widget(panel)
    del viewer.layers["gone"]
    viewer.window.add_dock_widget(panel, name="again")
    assert panel.layer.value is viewer.layers["waves"]
    answer.set()
    notes = panel.at_once
    qtbot.waitUntil(lambda: "Opening" not in notes.model_note.text(), timeout=PATIENCE)
    qtbot.waitUntil(lambda: "sigma" in notes.image_note.text(), timeout=PATIENCE)


def test_another_file_is_opened_meanwhile(
    panel, open_model, qtbot, answer, untrained_classic, tmp_path
):
    panel.model.value = panel.models._proposed = "fast"  # as nobody has chosen
    slow = untrained_classic.save(tmp_path / "mine slow.safetensors")
    for _ in range(3):
        panel.files.open(slow)
    assert panel.files.open_button.isEnabled()
    with qtbot.waitSignal(panel.files.opened, timeout=PATIENCE) as opened:
        panel.files.open(untrained_classic.save(tmp_path / "quick.safetensors"))
    assert opened.args == ["quick"]
    assert panel.model.value == "quick"
    assert panel.files.opening
    answer.set()
    qtbot.waitUntil(lambda: not panel.files.opening, timeout=PATIENCE)
    assert [name for name in panel.shelf.names() if "mine" in name] == ["mine slow"]
    assert panel.model.value == "quick"  # it was asked for later
    open_model(panel, tmp_path / "quick.safetensors")
    assert len(panel.files.findChildren(Job)) < 5  # two of the buttons; ended ones go


def test_naparis_cancel_ends_the_quick_command_meanwhile(
    viewer, answer, small_image, qtbot, monkeypatch
):
    slow = {"slow": bundled.bundled_files()["slow"]}
    monkeypatch.setattr(bundled, "bundled_files", lambda: slow)
    viewer.add_image(small_image, name="waves")
    quick.denoise_active_layer()
    (running,) = quick._running
    qtbot.waitUntil(lambda: running._opening.busy, timeout=PATIENCE)
    running._progress.cancel()
    qtbot.waitUntil(lambda: not quick._running, timeout=PATIENCE)
    answer.set()
    qtbot.waitUntil(lambda: shelf_of(viewer).at_hand("slow") is not None, timeout=PATIENCE)
    qtbot.wait(200)
    assert [layer.name for layer in viewer.layers] == ["waves"]


def test_a_file_is_read_once_however_many_ask(panel, qtbot, answer):
    before = threading.active_count()
    for _ in range(5):
        panel.at_once.time()
        panel.shelf.reading("slow")
    assert threading.active_count() <= before + 1  # jobs that wait, one at a time
    answer.set()
    qtbot.waitUntil(lambda: "Opening" not in panel.at_once.model_note.text(), timeout=PATIENCE)
    assert panel.shelf.reading("slow").result() is panel.shelf.at_hand("slow")
