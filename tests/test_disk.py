"""A result's folder that is taken away, or given to another run, while it is written."""

import shutil

import numpy as np
import pytest

from napari_ae_denoise import to_disk
from napari_ae_denoise.result_folder import Destination
from napari_ae_denoise.steps import drain
from napari_ae_denoise.tile_runner import PredictSettings

SETTINGS = PredictSettings(32, "cpu", "float32")
GONE = "removed, moved or overwritten"


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(100, 20, (150, 170)).astype("f4")


def remove(path):
    while path.exists():  # a tile may just be written into it
        shutil.rmtree(path, ignore_errors=True)


def move(path):
    path.rename(path.with_name("elsewhere.zarr"))


def replace(path):
    another = path.with_name("another.zarr")
    writing = shutil.ignore_patterns("*.part", "*.partial")  # which go while it copies
    shutil.copytree(path, another, ignore=writing)
    move(path)
    another.rename(path)  # at once: a tile may just be written into it


@pytest.mark.parametrize("take_away", [remove, move, replace])
def test_a_folder_that_is_taken_away_while_it_is_written_is_no_result(
    untrained, image, tmp_path, refused, take_away
):
    """zarr would make it anew, without the tiles that were finished."""
    denoiser, path = untrained("classic"), tmp_path / "a.zarr"
    steps = to_disk.begin(denoiser, image, path, settings=SETTINGS).steps()
    for _ in range(3):
        next(steps)
    take_away(path)
    with refused(path, GONE, remedy="anew"):
        drain(steps)
    if take_away is replace:
        return
    shutil.rmtree(path, ignore_errors=True)
    made = denoiser.denoise(image, to=path, tile=32, device="cpu", precision="float32")
    assert np.isfinite(made.compute()).all()


@pytest.mark.parametrize("take_away", [remove, move])
def test_a_folder_that_is_taken_away_before_the_first_tile(
    untrained, image, tmp_path, refused, take_away
):
    denoiser, path = untrained("classic"), tmp_path / "a.zarr"
    job = to_disk.begin(denoiser, image, path, settings=SETTINGS)
    take_away(path)
    with refused(path, GONE):
        drain(job.steps())
    assert not path.exists()  # no empty folder that would be in the way of the next run


def test_what_another_run_is_writing_is_not_overwritten(untrained, image, tmp_path, refused):
    denoiser, other, path = untrained("classic"), untrained("classic", seed=1), tmp_path / "a.zarr"
    steps = to_disk.begin(denoiser, image, path, settings=SETTINGS).steps()
    next(steps)
    with refused(path, "Another run", remedy="Wait"):
        to_disk.begin(other, image, Destination(path, overwrite=True), settings=SETTINGS)
    made = drain(steps).array.compute()
    whole = denoiser.denoise(image, tile=32, device="cpu", precision="float32")
    np.testing.assert_allclose(made, whole, rtol=1e-4)


def test_a_result_that_was_overwritten_before_its_first_tile_is_not_written_into(
    untrained, image, tmp_path, refused
):
    denoiser, other, path = untrained("classic"), untrained("classic", seed=1), tmp_path / "a.zarr"
    early = to_disk.begin(denoiser, image, path, settings=SETTINGS)
    late = to_disk.begin(other, image, Destination(path, overwrite=True), settings=SETTINGS)
    with refused(path, GONE):
        drain(early.steps())
    made = drain(late.steps()).array.compute()
    whole = other.denoise(image, tile=32, device="cpu", precision="float32")
    np.testing.assert_allclose(made, whole, rtol=1e-4)


def test_a_second_run_takes_nothing_from_the_first(untrained, image, tmp_path, refused):
    """Half files of a running run are no litter."""
    denoiser, path = untrained("classic"), tmp_path / "a.zarr"
    steps = to_disk.begin(denoiser, image, path, settings=SETTINGS).steps()
    next(steps)
    half = path / ".denoising.json.0123.part"
    half.write_text("just being written")
    second = to_disk.begin(denoiser, image, path, settings=SETTINGS)
    with refused("Another run"):
        drain(second.steps())
    assert half.exists()
    drain(steps)
    half.write_text("left by a kill")
    record = second.folder.record
    record.done[0] = False
    record.save(path)
    drain(second.steps())
    assert not half.exists()
