"""The Batch panel: from a folder to a folder, by clicks in a real viewer."""

import numpy as np
import pytest
import tifffile

from napari_ae_denoise import Denoiser
from napari_ae_denoise import batch as core
from napari_ae_denoise.image_files import read_image


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
    panel.folder.value = scans
    panel.output.value = "out/{stem}_clean{suffix}"
    return panel


def listed(panel):
    return [panel.outcomes.item(row).text() for row in range(panel.outcomes.count())]


def test_a_folder_is_denoised_and_what_fails_is_listed(batch, run, scans, untrained_classic):
    shown = []
    batch.job.progressed.connect(shown.append)
    run(batch)
    assert "2 of 3 images denoised, 1 failed" in batch.bar.status.text()
    made = read_image(scans / "out" / "a_clean.tif").array
    expected = untrained_classic.denoise(read_image(scans / "a.tif").array)
    np.testing.assert_array_equal(made, expected)
    first, *others = listed(batch)
    assert first.startswith("broken.tif failed: ")
    assert [text.split()[1] for text in others] == ["denoised", "denoised"]
    page = (scans / "out" / "report.html").read_text(encoding="utf-8")
    assert "2 of 3 images denoised" in page
    assert shown[-1].done == 3
    assert shown[-1].fraction == 1


def test_nothing_that_is_there_is_replaced_unless_asked(batch, run, press, scans):
    batch.patterns.value = "[ac].tif"
    run(batch)
    assert "2 of 2" in batch.bar.status.text()
    press(batch.bar.start_button)
    assert "is there already" in batch.bar.status.text()
    batch.overwrite.value = True
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
def test_what_cannot_be_done_is_refused_before_it_begins(batch, press, scans, changes, words):
    for name, value in changes.items():
        getattr(batch, name).value = value
    press(batch.bar.start_button)
    assert words in batch.bar.status.text()
    assert not (scans / "out").exists()


def test_cancel_keeps_what_is_finished(batch, qtbot, press, scans, monkeypatch):
    begun = core.file_job

    def cancelled_at_the_last(denoiser, path, targets, work):
        if path.name == "c.tif":
            batch.job._stop.set()
        return begun(denoiser, path, targets, work)

    monkeypatch.setattr(core, "file_job", cancelled_at_the_last)
    batch.patterns.value = "a.tif c.tif"
    press(batch.bar.start_button)
    qtbot.waitUntil(lambda: batch.job.state.value == "idle", timeout=120_000)
    assert "1 of 2 images denoised" in batch.bar.status.text()
    assert (scans / "out" / "a_clean.tif").exists()
    assert not (scans / "out" / "c_clean.tif").exists()
    assert any("c.tif failed: Stopped" in text for text in listed(batch))


def test_one_image_goes_into_the_folder_too(batch, run, scans):
    batch.patterns.value, batch.output.value = "a.tif", "made"
    run(batch)
    assert (scans / "made" / "a.tif").exists()
    assert isinstance(batch.models.chosen(), Denoiser)
