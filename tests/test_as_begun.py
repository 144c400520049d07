"""A result that is continued is made of one image, seen in one way: as where it was begun."""

import json
import shutil
import threading
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest

from napari_ae_denoise import as_begun, to_disk
from napari_ae_denoise.camera_noise import CameraNoise, StabilizedMap
from napari_ae_denoise.done_record import FILE_NAME, DoneRecord
from napari_ae_denoise.grey_map import GreyMap
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.result_folder import Destination
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings

SETTINGS = PredictSettings(256, "cpu", "float32", noise_model="gaussian", correlated="none")


@pytest.fixture(scope="module")
def image():
    """Its one bright pixel is outside the sample that is taken of a lazy array."""
    values = np.random.default_rng(0).integers(20, 87, (1100, 1100)).astype("u2")
    values[517, 803] = 60000
    return values


@pytest.fixture
def denoiser(untrained):
    return untrained("plain", normalization=Normalization(low=0, high=100))


def run(denoiser, image, path, tiles=None, **more):
    stop = threading.Event()
    job = to_disk.begin(denoiser, image, path, settings=SETTINGS, **more)

    def progressed(progress):
        if tiles is not None and progress.done >= tiles:
            stop.set()

    return job, drain(job.steps(stop=stop), progressed)


def change(path, **notes):
    """Change what a record notes; None takes a note away."""
    record = json.loads((path / FILE_NAME).read_text())
    del record["sha256"]
    record["notes"] |= notes
    record["notes"] = {name: note for name, note in record["notes"].items() if note is not None}
    (path / FILE_NAME).write_text(json.dumps(record))


def test_a_lazy_array_goes_on_with_the_map_of_one_in_memory(denoiser, image, tmp_path):
    lazy, path = da.from_array(image, chunks=512), tmp_path / "a.zarr"
    alone = denoiser.resolve(lazy, None, "gaussian", "none").maps
    _, part = run(denoiser, image, path, tiles=3)
    assert 0 < part.finished < 1
    job, made = run(denoiser, lazy, path)
    assert (job.seen.maps != alone, made.finished) == (True, 1)
    whole = run(denoiser, image, tmp_path / "b.zarr")[1]
    np.testing.assert_array_equal(made.array.compute(), whole.array.compute())


def test_steps_remarks_and_camera_maps_are_those_of_the_beginning(denoiser, image, tmp_path):
    path = tmp_path / "a.zarr"
    seen = denoiser.resolve(image, None, "gaussian", "none")
    camera = StabilizedMap(CameraNoise(1.5, 20.0, 3.25), GreyMap(2.0, 7.125, 3.0), 40.0)
    other = replace(seen, maps=[camera], steps=(2, 1), remarks=("It was dark.",), warnings=())
    run(denoiser, image, path, tiles=1, seen=other)
    job, _ = run(denoiser, image, path, tiles=2)
    assert job.seen == other
    made = run(denoiser, image, path)[1]
    whole = run(denoiser, image, tmp_path / "b.zarr", seen=other)[1]
    np.testing.assert_array_equal(made.array.compute(), whole.array.compute())


def test_a_record_that_says_less_is_gone_on_with_where_the_map_is_the_same(
    denoiser, image, tmp_path, refused
):
    path = tmp_path / "a.zarr"
    run(denoiser, image, path, tiles=1)
    change(path, steps=None, remarks=None, warnings=None)
    lazy = da.from_array(image, chunks=512)
    shutil.copytree(path, tmp_path / "b.zarr")
    made = run(denoiser, lazy, Destination(tmp_path / "b.zarr", overwrite=True))[1]
    assert made.computed == len(DoneRecord.load(tmp_path / "b.zarr").done)
    with refused(path, "earlier version", "59980", "now", remedy="overwrite"):
        run(denoiser, lazy, path)
    assert run(denoiser, image, path)[1].finished == 1
    assert run(denoiser, lazy, path)[1].computed == 0  # nothing is missing: nothing is mixed


@pytest.mark.parametrize(
    "notes",
    [
        {"steps": [3, 1]},
        {"steps": [True]},
        {"steps": 2},
        {"normalization": []},
        {"normalization": [{"offset": 1.0}]},
        {"normalization": [{"offset": 1.0, "scale": 0.0, "fill": 0.0}]},
        {"normalization": [{"offset": 1.0, "scale": float("nan"), "fill": 0.0}]},
        {"normalization": [{"offset": "x", "scale": 1.0, "fill": 0.0}]},
        {"normalization": [{"camera": {"gain": -1, "offset": 0, "read_noise": 0}}]},
        {"normalization": [[1.0]]},
        {"normalization": None},
        {"remarks": None},
        {"warnings": 5},
    ],
    ids=str,
)
def test_notes_that_cannot_be_are_refused(denoiser, image, tmp_path, refused, notes):
    path = tmp_path / "a.zarr"
    to_disk.begin(denoiser, image, path, settings=SETTINGS)
    change(path, **notes)
    with refused(path, "cannot be used", "how it saw the image", remedy="overwrite"):
        to_disk.begin(denoiser, image, path, settings=SETTINGS)


def test_another_version_that_began_it_is_named(denoiser, image, tmp_path):
    path = tmp_path / "a.zarr"
    run(denoiser, image, path, tiles=1)
    change(path, version="0.0.9")
    made = run(denoiser, image, path)[1]
    assert "0.0.9" in made.note
    assert as_begun.__version__ in made.note
    assert run(denoiser, image, path)[1].note == ""  # nothing was left to make
    assert DoneRecord.load(path).notes["version"] == "0.0.9"
