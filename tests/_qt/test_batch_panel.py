"""The Batch panel: from a folder to a folder, by clicks in a real viewer."""

import threading

import numpy as np
import pytest
import tifffile

from napari_ae_denoise import Denoiser
from napari_ae_denoise import batch as core
from napari_ae_denoise._qt import batch_job, first_image
from napari_ae_denoise.image_files import read_image

from .conftest import wait_idle


@pytest.fixture
def scans(tmp_path):
    """A folder of two images and a damaged one."""
    folder = tmp_path / "my scans"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.tif", "c.tif"):
        tifffile.imwrite(folder / name, rng.integers(0, 4000, (40, 50), np.uint16))
    (folder / "broken.tif").write_bytes(b"II*\x00 and no more")
    return folder


@pytest.fixture
def batch(open_panel, untrained_classic, scans):
    panel = open_panel("Batch")
    panel.models._shelf.add(untrained_classic)
    panel.fields.folder.value = scans
    panel.fields.output.value = "out/{stem}_clean{suffix}"
    return panel


def listed(panel):
    return panel.outcomes.toPlainText().splitlines()


def test_a_folder_is_denoised_and_what_fails_is_listed(batch, run, scans, untrained_classic):
    shown = []
    batch.job.progressed.connect(shown.append)
    run(batch)
    assert "2 of 3 images denoised, 1 failed" in batch.bar.status.text()
    made = read_image(scans / "out" / "a_clean.tif").array
    expected = untrained_classic.denoise(read_image(scans / "a.tif").array)
    np.testing.assert_array_equal(made, expected)
    first, *others = listed(batch)
    assert first.startswith("broken.tif: failed: ")
    assert [text.split()[1] for text in others] == ["denoised.", "denoised."]
    page = (scans / "out" / "report.html").read_text(encoding="utf-8")
    assert "2 of 3 images denoised" in page
    assert shown[-1].done == 3
    assert shown[-1].fraction == 1


@pytest.mark.parametrize("error", [None, RuntimeError("no font")])
def test_without_its_report_a_batch_lists_what_became_of_each_image(
    batch, run, scans, notes, error, monkeypatch, tmp_path
):
    usual = batch_job.write_report

    def fails(path, *args, **options):
        if error is not None:
            raise error
        path.mkdir()  # so that no file can take its place
        usual(path, *args, **options)

    monkeypatch.setattr("napari_ae_denoise.report.log_path", lambda: tmp_path / "errors.log")
    monkeypatch.setattr(batch_job, "write_report", fails)
    batch.fields.patterns.value = "[ac].tif"
    run(batch)
    words = ["2 of 2 images denoised.", "There is no report: ", str(error or "report.html")]
    for said in (batch.bar.status.text(), notes()[-1]):
        assert [word for word in words if word not in said] == []
    assert listed(batch) == ["a.tif: denoised.", "c.tif: denoised."]


def test_nothing_that_is_there_is_replaced_unless_asked(batch, run, scans):
    batch.fields.patterns.value = "[ac].tif"
    run(batch)
    assert "2 of 2" in batch.bar.status.text()
    run(batch)
    assert "is there already" in batch.bar.status.text()
    batch.fields.overwrite.value = True
    run(batch)
    assert "2 of 2" in batch.bar.status.text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output": ""}, "no place for the results"),
        ({"output": "{nothing}.tif"}, "{stem}"),
        ({"output": "{name}"}, "is an input"),
        ({"patterns": "*.png"}, "fits no file"),
        ({"patterns": '"a.tif'}, "quote"),
        ({"folder": None, "patterns": ""}, "No images are chosen"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_begins(batch, run, scans, changes, words):
    for name, value in changes.items():
        getattr(batch.fields, name).value = value
    run(batch)
    assert words in batch.bar.status.text()
    assert not (scans / "out").exists()


def test_cancel_keeps_what_is_finished(batch, qtbot, press, scans, monkeypatch):
    begun = core.file_job

    def cancelled_at_the_last(denoiser, path, targets, work):
        if path.name == "c.tif":
            batch.job._stop.set()
        return begun(denoiser, path, targets, work)

    monkeypatch.setattr(core, "file_job", cancelled_at_the_last)
    batch.fields.patterns.value = "a.tif c.tif"
    press(batch.bar.start_button)
    qtbot.waitUntil(lambda: batch.job.state.value == "idle", timeout=120_000)
    assert "Cancelled: 1 of 2 images denoised." in batch.bar.status.text()
    assert (scans / "out" / "a_clean.tif").exists()
    assert not (scans / "out" / "c_clean.tif").exists()
    assert any("c.tif: cancelled before" in text for text in listed(batch))


def test_one_image_goes_into_the_folder_too(batch, run, scans):
    batch.fields.patterns.value, batch.fields.output.value = "a.tif", "made"
    run(batch)
    assert (scans / "made" / "a.tif").exists()
    assert isinstance(batch.models.chosen(), Denoiser)


def test_a_cancelled_batch_is_gone_on_with(batch, run, scans):
    fields = batch.fields
    fields.patterns.value, fields.noise.value = "a.tif", True
    run(batch)
    made = [scans / "out" / name for name in ("a_clean.tif", "a_noise.tif")]
    before = [path.stat().st_mtime_ns for path in made]
    fields.patterns.value = "[ac].tif"
    run(batch)
    said = batch.bar.status.text()
    assert "--" not in said
    assert "let what is there be overwritten or skipped" in said
    fields.skip.value = True
    run(batch)
    assert "1 of 2 images denoised, 1 skipped." in batch.bar.status.text()
    assert listed(batch)[0] == "a.tif: skipped, a_clean.tif is there already."
    assert [path.stat().st_mtime_ns for path in made] == before
    page = (scans / "out" / "report.html").read_text(encoding="utf-8")
    assert "1 of 2 images denoised" in page
    assert "1 skipped" in page
    assert page.count("<img") == 2
    made[1].unlink()  # a result is not whole: all of it is made anew
    run(batch)
    assert "1 of 2 images denoised, 1 skipped." in batch.bar.status.text()
    assert made[1].exists()


def test_what_is_there_is_either_skipped_or_replaced(batch):
    batch.fields.skip.value = True
    batch.fields.overwrite.value = True
    assert not batch.fields.skip.value
    batch.fields.skip.value = True
    assert not batch.fields.overwrite.value


def test_remedies_name_no_options_of_the_command(batch, run):
    batch.fields.output.value, batch.fields.latent.value = "out/{stem}_latent.tif", True
    run(batch)
    assert "--" not in batch.bar.status.text()
    assert "Choose another output" in batch.bar.status.text()


def test_the_name_of_a_folder_is_no_pattern(batch, run, scans):
    folder = scans.rename(scans.with_name("exp {1}"))
    batch.fields.folder.value, batch.fields.patterns.value = folder, "[ac].tif"
    batch.fields.noise.value = True
    for output, made in (("made", "made/a.tif"), ("out/{stem}_clean{suffix}", "out/a_clean.tif")):
        batch.fields.output.value = output
        run(batch)
        assert "2 of 2" in batch.bar.status.text()
        assert (folder / made).exists()
        assert (folder / made).with_name("a_noise.tif").exists()


@pytest.mark.parametrize("name", ["scans", "exp {1}"])
def test_the_name_of_an_image_is_one_image(batch, run, scans, name):
    folder = scans.rename(scans.with_name(name))
    batch.fields.folder.value = folder
    batch.fields.patterns.value, batch.fields.output.value = "a.tif", "one/clean.tif"
    batch.fields.report.value = False
    run(batch)
    assert (folder / "one" / "clean.tif").is_file()
    batch.fields.patterns.value, batch.fields.output.value = "[ac].tif", "two.tif"
    run(batch)
    assert "two.tif is the name of one image, but there are 2" in batch.bar.status.text()
    assert not (folder / "two.tif").exists()


@pytest.mark.parametrize("output", ["made", "made/{stem}_clean{suffix}"])
def test_code_and_removed_noise_are_written_beside_each_result(
    batch, run, scans, untrained_classic, output
):
    fields = batch.fields
    fields.patterns.value, fields.output.value = "[ac].tif", output
    fields.latent.value = fields.noise.value = True
    fields.dtype.value = "float32"
    run(batch)
    before = read_image(scans / "c.tif").array
    expected = untrained_classic.denoise(before, dtype=np.float32)
    removed = read_image(scans / "made" / "c_noise.tif").array
    np.testing.assert_allclose(removed, before - expected, atol=1e-3)
    code = read_image(scans / "made" / "c_latent.tif").array
    np.testing.assert_allclose(code, untrained_classic.encode(before), rtol=1e-5, atol=1e-5)
    assert {path.name for path in (scans / "made").glob("a*")} >= {"a_latent.tif", "a_noise.tif"}


def test_settings_reach_the_work(batch):
    fields = batch.fields
    fields.how.noise_model.value, fields.how.correlated.value = "gaussian", "none"
    fields.level.value, fields.how.tile.value, fields.how.strength.value = 2, 64, 40
    fields.axes.value, fields.at_once.value = "YX", 3
    fields.how.orientations.value = 8
    choices = fields.read()
    settings = choices.work.settings
    assert (settings.noise_model, settings.correlated) == ("gaussian", "none")
    assert settings.orientations == 8
    assert (settings.tile, settings.strength, choices.work.level) == (64, 0.4, 2)
    assert (choices.work.axes, choices.at_once) == ("YX", 3)
    outputs, _ = choices.places(choices.images())
    assert {path.parent.name for path in (one.denoised for one in outputs)} == {"out"}


def test_several_at_once_give_the_same(batch, run, scans, untrained_classic):
    batch.fields.at_once.value = 3
    run(batch)
    assert "2 of 3 images denoised, 1 failed" in batch.bar.status.text()
    for name in "ac":
        made = read_image(scans / "out" / f"{name}_clean.tif").array
        before = read_image(scans / f"{name}.tif").array
        np.testing.assert_array_equal(made, untrained_classic.denoise(before))


@pytest.fixture
def with_models(monkeypatch, no_bundled_models):
    monkeypatch.setattr("napari_ae_denoise.bundled.bundled_files", no_bundled_models)


def test_the_model_is_opened_in_a_thread(open_panel, qtbot, run, scans, with_models, readers):
    panel = open_panel("Batch")
    panel.fields.folder.value = scans
    qtbot.waitUntil(lambda: not panel.first_image._looking.busy, timeout=60_000)
    run(panel)
    assert "a.tif: denoised" in panel.outcomes.toPlainText()
    assert readers
    assert threading.main_thread() not in [thread for _, thread in readers]


@pytest.fixture
def photographs(tmp_path):
    """A folder of a damaged file and a photograph in colours."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "a.tif").write_bytes(b"II*\x00 and no more")
    colours = np.random.default_rng(0).integers(0, 255, (64, 72, 3), np.uint8)
    tifffile.imwrite(folder / "b.tif", colours, photometric="rgb")
    return folder


def test_the_model_follows_the_first_image_until_somebody_chooses(
    with_models, open_panel, qtbot, scans, photographs
):
    panel = open_panel("Batch")
    line, model = panel.first_image.line, panel.model
    assert line.isHidden()
    panel.fields.folder.value = photographs
    qtbot.waitUntil(lambda: model.value == "natural-rgb", timeout=60_000)
    assert not line.isHidden()
    assert line.text() == "Chosen for b.tif: the image has colours."
    panel.fields.folder.value = scans
    qtbot.waitUntil(lambda: model.value == "microscopy", timeout=60_000)
    assert line.text() == "Chosen for a.tif: its grey values have more than 8 bits."
    model.value = "natural-gray"
    assert line.isHidden()
    panel.fields.folder.value = photographs
    qtbot.waitUntil(lambda: not panel.first_image._looking.busy, timeout=60_000)
    assert model.value == "natural-gray"
    assert line.isHidden()


def test_run_waits_for_the_model_that_fits(
    with_models, open_panel, press, qtbot, photographs, tmp_path
):
    panel = open_panel("Batch")
    panel.fields.folder.value = photographs
    press(panel.bar.start_button)
    assert panel.bar.status.text() == "Choosing the model …"
    qtbot.waitUntil(lambda: panel.job.ended is not None, timeout=120_000)
    wait_idle(qtbot, panel)
    assert "1 of 2 images denoised, 1 failed" in panel.bar.status.text()
    page = (photographs / "denoised" / "report.html").read_text(encoding="utf-8")
    assert "natural-rgb" in page


def test_where_nothing_speaks_for_a_model_run_says_what_is_wrong(
    with_models, open_panel, press, qtbot, tmp_path
):
    panel = open_panel("Batch")
    panel.fields.folder.value = tmp_path
    press(panel.bar.start_button)
    qtbot.waitUntil(lambda: "holds no images" in panel.bar.status.text(), timeout=60_000)
    assert panel.bar.start_button.isEnabled()


@pytest.fixture
def held(monkeypatch):
    """Hold what looks at the first image for a model, until the event is set."""
    go_on = threading.Event()
    usual = first_image.file_proposal_steps

    def waits(*args, **options):
        assert go_on.wait(60)
        return (yield from usual(*args, **options))

    monkeypatch.setattr(first_image, "file_proposal_steps", waits)
    yield go_on
    go_on.set()


def settled(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.first_image._looking.busy, timeout=60_000)
    qtbot.wait(50)


def test_a_batch_whose_folder_was_cleared_does_not_begin_later(
    with_models, open_panel, press, qtbot, held, photographs, scans
):
    panel = open_panel("Batch")
    panel.fields.folder.value = photographs
    press(panel.bar.start_button)
    panel.fields.folder.value = None
    assert "Choosing" not in panel.bar.status.text()
    assert panel.bar.start_button.isEnabled()
    panel.fields.folder.value = scans
    held.set()
    settled(qtbot, panel)
    assert panel.model.value == "microscopy"
    assert panel.job.state.value == "idle"
    assert panel.job.ended is None


@pytest.mark.parametrize("what", ["output", "skip", "model", "cancel"])
def test_run_that_waits_for_the_model_does_what_was_asked_for_or_nothing(
    with_models, open_panel, press, qtbot, held, photographs, what
):
    panel = open_panel("Batch")
    panel.fields.folder.value = photographs
    press(panel.bar.start_button)
    assert not panel.bar.start_button.isEnabled()
    if what == "cancel":
        press(panel.bar.stop_button)
        assert "Cancelled" in panel.bar.status.text()
    else:
        other = next(name for name in panel.model.choices if name != panel.model.value)
        field = panel.model if what == "model" else getattr(panel.fields, what)
        field.value = {"output": "elsewhere", "skip": True, "model": other}[what]
        assert panel.bar.status.text() == "Changed before it began. Press Run."
    assert panel.bar.start_button.isEnabled()
    assert not panel.bar.stop_button.isEnabled()
    held.set()
    settled(qtbot, panel)
    assert panel.job.ended is None
    assert not (photographs / "denoised").exists()


def test_images_are_searched_in_the_thread_of_the_job_and_that_can_be_cancelled(
    batch, press, qtbot, scans, monkeypatch
):
    """Searched in that of the window, 100 images made it stand still for a second."""
    threads, go_on = [], threading.Event()
    usual = batch_job.find_images

    def searched(paths):
        threads.append(threading.current_thread())
        assert threads[0] is not threading.main_thread()
        assert go_on.wait(60)
        return usual(paths)

    monkeypatch.setattr(batch_job, "find_images", searched)
    press(batch.bar.start_button)
    qtbot.waitUntil(lambda: bool(threads), timeout=60_000)
    press(batch.bar.stop_button)
    go_on.set()
    wait_idle(qtbot, batch)
    assert "Cancelled: 0 of 3 images denoised." in batch.bar.status.text()
    assert not (scans / "out").exists()
