"""The core of a batch: several images at once, stops, and what must not be shared by threads."""

import threading

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_ae_denoise import batch
from napari_ae_denoise.batch import Work, batch_steps, stoppable
from napari_ae_denoise.image_files import read_image
from napari_ae_denoise.output_names import resolve_outputs
from napari_ae_denoise.steps import Stopped, drain
from napari_ae_denoise.tile_runner import PredictSettings


@pytest.fixture
def scans(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.tif" for name in "abc"]
    for path in paths:
        tifffile.imwrite(path, rng.integers(0, 4000, (40, 50), np.uint16))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\x00")
    return [paths[0], broken, *paths[1:]]


@pytest.fixture
def steps(scans, untrained, tmp_path):
    """Return a function that makes the steps of a batch."""
    outputs = resolve_outputs(scans, tmp_path / "out", None, None, overwrite=False)
    work = Work("plain", None, PredictSettings(), 0, False)
    model = untrained("plain")

    def make(**options):
        return batch_steps(scans, outputs, work, denoiser=model, **options)

    make.model = model
    return make


@pytest.mark.parametrize("at_once", [1, 3])
def test_outcomes_come_in_the_order_of_the_images_and_the_count_only_grows(steps, scans, at_once):
    made, shown = steps(at_once=at_once), []
    while True:
        try:
            shown.append(next(made))
        except StopIteration as end:
            outcomes = end.value
            break
    assert [outcome.path for outcome in outcomes] == scans
    assert [bool(outcome.problem) for outcome in outcomes] == [False, True, False, False]
    counts = [progress.done for progress in shown]
    assert counts == sorted(counts)
    assert shown[-1].fraction == 1
    assert sum(progress.outcome is not None for progress in shown) == 4
    for outcome in outcomes[2:]:
        expected = steps.model.denoise(read_image(outcome.path).array)
        np.testing.assert_array_equal(read_image(outcome.targets.denoised).array, expected)


@pytest.mark.parametrize("at_once", [1, 3])
def test_after_a_stop_nothing_more_is_begun(steps, at_once):
    stop = threading.Event()
    stop.set()
    assert drain(steps(at_once=at_once, stop=stop)) == []


@pytest.mark.parametrize("at_once", [1, 3])
def test_an_error_that_was_not_foreseen_costs_one_image(steps, scans, at_once, monkeypatch):
    usual = batch.file_job

    def fails(model, path, *more):
        if path == scans[2]:
            raise RuntimeError("shapes do not fit")
        return usual(model, path, *more)

    monkeypatch.setattr(batch, "file_job", fails)
    outcomes = drain(steps(at_once=at_once))
    assert [bool(outcome.problem) for outcome in outcomes] == [False, True, True, False]
    assert "RuntimeError: shapes do not fit" in outcomes[2].problem


def test_what_is_no_error_of_an_image_ends_all_threads(steps, monkeypatch):
    def fails(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "file_job", fails)
    with pytest.raises(KeyboardInterrupt):
        drain(steps(at_once=3))
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("napari-ae-denoise image")]


def test_a_stop_ends_dask_in_its_own_thread_and_nowhere_else():
    stop, lazy = threading.Event(), da.ones((40, 40), chunks=10) + 1
    stop.set()
    with pytest.raises(Stopped), stoppable(stop):
        lazy.compute()
    found = []

    def elsewhere():
        try:
            found.append(float(lazy.sum().compute()))
        except BaseException as error:  # noqa: BLE001 (looked at below)
            found.append(error)

    with stoppable(stop):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert found == [3200.0]
    assert lazy.sum().compute() == 3200
