"""The same call on a dask cluster; its workers are processes here."""

import dask
import dask.array as da
import numpy as np
import pytest
import zarr

from napari_ae_denoise.batch import Work, denoise_one
from napari_ae_denoise.output_names import Outputs
from napari_ae_denoise.tile_runner import PredictSettings

distributed = pytest.importorskip("distributed")

OPTIONS = {"precision": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=None
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _unpickled():
    """Count the models that came into a worker; runs there."""
    from napari_ae_denoise import shared_model

    return shared_model.arrived, len(shared_model._runners)


def test_a_cluster_gives_the_same_and_gets_the_model_once(client, untrained, tmp_path):
    image = np.random.default_rng(0).normal(100, 20, (6, 150, 170)).astype("f4")
    array = zarr.create_array(tmp_path / "a.zarr", data=image, chunks=(1, 64, 64))
    lazy = da.from_array(array, chunks=array.chunks)
    denoiser = untrained("classic")
    made = denoiser.denoise(lazy, tile=64, **OPTIONS)
    assert made.npartitions >= 12
    target = zarr.create_array(
        tmp_path / "b.zarr", shape=image.shape, dtype="f4", chunks=made.chunksize
    )
    with client.as_current():
        made.rechunk(target.chunks).store(target, lock=False)
    np.testing.assert_allclose(target[:], denoiser.denoise(image, **OPTIONS), atol=1e-3)
    counts = client.run(_unpickled)
    assert all(arrived <= 2 and runners <= 1 for arrived, runners in counts.values())
    assert sum(runners for _, runners in counts.values()) == 2
    code = denoiser.encode(lazy, tile=64, **OPTIONS)
    whole = denoiser.encode(image, **OPTIONS)
    np.testing.assert_allclose(client.compute(code).result(), whole, atol=1e-4 * np.ptp(whole))
    again = client.run(_unpickled)
    assert max(runners for _, runners in again.values()) == 1  # the same model stays


def test_more_lazy_images_than_places_on_the_workers(client, untrained, tmp_path):
    # what is not written straight to zarr is computed by dask: as tasks of the cluster, they had no
    # place to run, for images that waited for them, or for each other, had taken all
    image = np.random.default_rng(0).normal(100, 20, (2, 64, 64)).astype("f4")
    work = Work("classic", None, PredictSettings(**OPTIONS), 0, overwrite=True)
    model = client.scatter(untrained("classic"), broadcast=True, hash=False)
    futures = []
    for number in range(5):
        path = tmp_path / f"{number}.zarr"
        zarr.create_array(path, data=image, chunks=(1, 64, 64), dimension_names=["z", "y", "x"])
        targets = Outputs(path.with_suffix(".npy"), None, None)
        futures.append(client.submit(denoise_one, model, path, targets, work, pure=False))
    outcomes = client.gather(futures)  # pytest-timeout ends it where they wait for each other
    assert [one.problem for one in outcomes] == [""] * 5
    assert all(one.targets.denoised.exists() for one in outcomes)


def test_the_settings_of_dask_are_those_of_before_once_the_last_image_has_ended(
    untrained, tmp_path
):
    image = tmp_path / "a.npy"
    np.save(image, np.zeros((64, 64), "f4"))
    work = Work("classic", None, PredictSettings(**OPTIONS), 0, overwrite=True)
    with dask.config.set(scheduler="threads"):
        denoise_one(untrained("classic"), image, Outputs(tmp_path / "b.npy", None, None), work)
        assert dask.config.get("scheduler") == "threads"
