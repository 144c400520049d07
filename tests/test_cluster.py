"""The same call on a dask cluster; its workers are processes here."""

import dask.array as da
import numpy as np
import pytest
import zarr

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
