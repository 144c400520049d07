"""A workflow saved in the Denoise panel, and replayed by the command line."""

from pathlib import Path

import numpy as np
from qtpy.QtWidgets import QFileDialog
from typer.testing import CliRunner

from napari_ae_denoise.cli import app
from napari_ae_denoise.image_files import read_image


def test_a_result_is_replayed_to_the_bit(
    viewer, panel, run, qtbot, small_image, tmp_path, save_model
):
    np.save(tmp_path / "in.npy", small_image)
    viewer.add_image(small_image, name="in")
    save_model(panel, tmp_path / "m.safetensors")
    panel.strength.value = 60
    run(panel)
    button = panel.tools.workflow_button
    with qtbot.waitSignal(button.job.done, timeout=60_000):
        button.save(tmp_path / "w.json")
    assert "w.json" in panel.bar.status.text()
    words = ["replay", tmp_path / "w.json", tmp_path / "in.npy", "-o", tmp_path / "out.npy"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    shown = np.asarray(viewer.layers["in denoised"].data)
    np.testing.assert_array_equal(read_image(tmp_path / "out.npy").array, shown)
    assert (shown != small_image).any()


def test_a_file_is_offered_even_of_a_layer_whose_name_is_none(
    viewer, panel, run, press, small_image, tmp_path, monkeypatch, save_model
):
    offered = []
    save_model(panel, tmp_path / "m.safetensors")
    viewer.add_image(small_image, name="a/b")
    run(panel)
    monkeypatch.setattr(
        QFileDialog, "exec", lambda dialog: offered.append(dialog.selectedFiles()[0])
    )
    press(panel.tools.workflow_button)
    (path,) = map(Path, offered)
    assert path.name == "a_b denoised.json"
    assert path.parent == tmp_path  # where the model went


def test_without_a_result_it_says_so(panel, press):
    press(panel.tools.workflow_button)
    assert "no result to make a workflow of" in panel.bar.status.text()
