"""A workflow: saved from a result's record, checked when read, replayed to the same pixels."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_ae_denoise import Denoiser
from napari_ae_denoise.cli import app
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.provenance import CODE, REMOVED, record_of
from napari_ae_denoise.strength import mixed
from napari_ae_denoise.tile_runner import PredictSettings
from napari_ae_denoise.workflow import Workflow


@pytest.fixture
def image(tmp_path):
    made = np.random.default_rng(0).integers(0, 4000, (48, 40)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", made)
    return made


@pytest.fixture
def workflow(image, untrained, tmp_path):
    path = untrained("plain").save(tmp_path / "mine.safetensors")
    settings = PredictSettings(noise_model="gaussian")
    record = record_of(Denoiser.load(path), image, "YX", settings, layer="in", model_file=str(path))
    return Workflow.of_record(record)


def replay(folder, workflow, output):
    path = workflow.save(folder / "w.json")
    words = ["replay", str(path), str(folder / "in.tif"), "-o", str(folder / output)]
    return CliRunner().invoke(app, [*words, "--overwrite"])


def test_the_command_makes_the_same_pixels(workflow, image, tmp_path):
    denoiser = Denoiser.load(tmp_path / "mine.safetensors")
    full = denoiser.denoise(image, axes="YX", noise_model="gaussian")
    expected = {
        "full.tif": (workflow, full),
        "weaker.tif": (replace(workflow, strength=0.35), mixed(image, full, 0.35)),
        "turned.tif": (
            replace(workflow, orientations=8),
            denoiser.denoise(image, noise_model="gaussian", orientations=8),
        ),
        "noise.tif": (replace(workflow, what=REMOVED), image.astype("f4") - full),
        "code.npy": (
            replace(workflow, what=CODE),
            denoiser.encode(image, noise_model="gaussian"),
        ),
        "disk.tif": (
            replace(workflow, on_disk=True, strength=0.35),
            denoiser.denoise(image, noise_model="gaussian", strength=0.35),
        ),
    }
    for name, (told, pixels) in expected.items():
        done = replay(tmp_path, told, name)
        assert done.exit_code == 0, done.output
        np.testing.assert_array_equal(read_image(tmp_path / name).array, pixels)


@pytest.mark.parametrize(("axes", "code"), [("ZYX", 0), ("TYX", 0), (None, 0), ("CYX", 1)])
def test_a_stack_keeps_the_axes_of_its_file_and_other_planes_are_refused(
    axes, code, workflow, tmp_path
):
    stack = np.random.default_rng(0).integers(0, 4000, (3, 30, 20)).astype(np.uint16)
    if axes is None:
        np.save(tmp_path / "in.npy", stack)
    else:
        metadata = {"axes": axes}
        tifffile.imwrite(tmp_path / "in.tif", stack, ome=True, metadata=metadata)
    path = replace(workflow, axes="ZYX").save(tmp_path / "w.json")
    name = "in.npy" if axes is None else "in.tif"
    words = ["replay", str(path), str(tmp_path / name), "-o", str(tmp_path / "o.tif")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code
    if code == 0:
        made = read_image(tmp_path / "o.tif")
        assert made.axes == (axes or "ZYX")
        return
    assert '"ZYX"' in done.stderr
    assert f'"{axes}"' in done.stderr
    assert "give the axes ZYX" in done.stderr
    assert not (tmp_path / "o.tif").exists()
    done = CliRunner().invoke(app, [*words, "--axes", "zyx"])  # small letters, as anywhere
    assert done.exit_code == 0, done.output
    assert read_image(tmp_path / "o.tif").axes == "ZYX"


@pytest.mark.parametrize(("what", "end"), [(REMOVED, "noise"), (CODE, "latent")])
def test_results_in_a_folder_are_called_as_those_of_denoise_are(what, end, workflow, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (30, 20)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    path = replace(workflow, what=what).save(tmp_path / "w.json")
    words = ["replay", str(path), str(tmp_path / "a.png"), "-o"]
    done = CliRunner().invoke(app, [*words, str(tmp_path / "out/")])
    assert done.exit_code == 0, done.output
    assert [file.name for file in (tmp_path / "out").iterdir()] == [f"a_{end}.tif"]
    done = CliRunner().invoke(app, [*words, str(tmp_path / "o.png")])
    assert done.exit_code == 1
    assert "cannot hold a float32 image" in done.stderr


def test_removed_noise_is_not_shown_in_the_limits_of_its_image(workflow, image, tmp_path):
    facts = {"axes": "YX", "min": 10.0, "max": 90.0, "Info": "objective: 63x"}
    tifffile.imwrite(tmp_path / "in.tif", image.astype("f4"), imagej=True, metadata=facts)
    assert replay(tmp_path, replace(workflow, what=REMOVED), "o.tif").exit_code == 0
    with tifffile.TiffFile(tmp_path / "o.tif") as file:
        assert file.imagej_metadata["Info"] == facts["Info"]
        assert "max" not in file.imagej_metadata


def test_what_is_saved_is_read_back(workflow, tmp_path):
    assert Workflow.load(workflow.save(tmp_path / "w.json")) == workflow


def test_a_workflow_from_before_orientations_has_one(workflow, tmp_path):
    path = workflow.save(tmp_path / "w.json")
    told = json.loads(path.read_text(encoding="utf-8"))
    del told["orientations"]
    path.write_text(json.dumps(told), encoding="utf-8")
    assert Workflow.load(path) == workflow
    assert workflow.orientations == 1


def test_another_model_and_other_images_are_refused(workflow, untrained, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((2, 20, 20), np.uint16))
    done = replay(tmp_path, workflow, "o.tif")
    assert done.exit_code == 1
    assert "as many axes" in done.stderr
    untrained("plain", seed=1).save(tmp_path / "mine.safetensors")
    done = replay(tmp_path, workflow, "o.tif")
    assert done.exit_code == 1
    assert "another model" in done.stderr
    assert not (tmp_path / "o.tif").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "newer"),
        ({"version": "1"}, "no known version"),
        ({"format": "other"}, "cannot be used"),
        ({"run": "rm"}, '"run" is unknown'),
        ({"what": "x"}, '"what" cannot be'),
        ({"what": []}, '"what" cannot be'),
        ({"axes": "YYX"}, '"axes" cannot be'),
        ({"strength": 1.5}, '"strength" cannot be'),
        ({"strength": float("nan")}, '"strength" cannot be'),
        ({"strength": True}, '"strength" cannot be'),
        ({"precision": "int8"}, '"precision" cannot be'),
        ({"tile": -1}, '"tile" cannot be'),
        ({"on_disk": 1}, '"on_disk" cannot be'),
        ({"model": "m" * 5000}, '"model" cannot be'),
        ({"model_file": None}, '"model_file" cannot be'),
    ],
)
def test_what_is_no_workflow_is_refused(changes, words, workflow, tmp_path):
    path = workflow.save(tmp_path / "w.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(DenoisingError) as caught:
        Workflow.load(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "held", [b"", b"[]", b"\xff\xfe", b"[" * 60_000, b" " * 70_000, b'{"format": 3}']
)
def test_hostile_files_are_refused(held, tmp_path):
    (tmp_path / "w.json").write_bytes(held)
    with pytest.raises(DenoisingError, match="cannot be used as a workflow"):
        Workflow.load(tmp_path / "w.json")
    with pytest.raises(DenoisingError, match="cannot be used as a workflow"):
        Workflow.load(tmp_path / "missing.json")


def test_a_model_in_no_file_is_refused(image, untrained):
    record = record_of(untrained("plain"), image, "YX", PredictSettings(), layer="in")
    with pytest.raises(DenoisingError, match="Save model"):
        Workflow.of_record(record)
    with pytest.raises(DenoisingError, match="does not say enough"):
        Workflow.of_record({"what": "denoised"})
