"""Chunks of lazy arrays that are kept for the patches that follow."""

import tracemalloc

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_ae_denoise import recent_chunks
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.patch_order import Passes
from napari_ae_denoise.recent_chunks import RecentChunks, places_at_once
from napari_ae_denoise.sampling import PatchSampler
from napari_ae_denoise.training_data import TrainingData


class Counting:
    """An array in chunks that counts what is read of it."""

    def __init__(self, values, chunks):
        self.values, self.chunks, self.reads = values, chunks, []
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, index):
        self.reads.append(index)
        return self.values[index]


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(0, 4000, (6, 50, 70)).astype("u2")


def test_windows_are_those_of_the_array(values, tmp_path):
    arrays = [
        da.from_array(values, chunks=((1, 2, 3), (30, 20), (7, 63))),
        zarr.create_array(tmp_path / "a.zarr", data=values, chunks=(4, 16, 70)),
        da.from_array(values, chunks=(1, 2, 2)),  # more chunks under a window than are kept
    ]
    for array in arrays:
        kept = RecentChunks().of(array)
        for index in [
            (3, slice(10, 42), slice(0, 32)),
            (slice(1, 5), slice(0, 50), slice(68, 70)),
            (-1, slice(None), 9),
            (0, slice(0, 50, 3), slice(5, 6)),
        ]:
            for _ in range(2):
                np.testing.assert_array_equal(kept[index], values[index])


def test_a_chunk_is_read_once_while_it_is_kept(values, monkeypatch):
    array = Counting(values, (1, 50, 70))
    chunks = RecentChunks()
    kept = chunks.of(array)
    for number in range(12):
        kept[0, number : number + 32, 3:35][:] = 0  # what is given out is nobody else's
    np.testing.assert_array_equal(kept[0, 0:9, 0:9], values[0, 0:9, 0:9])
    assert len(array.reads) == 1
    monkeypatch.setattr(recent_chunks, "KEPT_BYTES", 2 * values[0].nbytes)
    for plane in (1, 2, 1, 2, 3, 1):
        kept[plane, 0:32, 0:32]
    assert len(array.reads) == 5
    assert sum(v.nbytes for v in chunks._kept.values()) <= 2 * values[0].nbytes


def test_arrays_in_memory_and_chunks_that_are_too_large_stay_as_they_are(values, monkeypatch):
    assert RecentChunks().of(values) is values
    monkeypatch.setattr(recent_chunks, "_LARGEST_CHUNK", values[0].nbytes - 1)
    array = Counting(values, (1, 50, 70))
    assert RecentChunks().of(array) is array


@pytest.mark.parametrize("at_once", [1, 4])
def test_patches_of_a_place_come_soon_after_each_other_and_each_comes_once(at_once):
    patches = np.random.default_rng(0).integers(1, 40, 40)
    total = int(patches.sum())
    passes = Passes(np.cumsum(patches), 1, at_once)
    for epoch in (0, 1):
        places = [passes.place(epoch * total + number) for number in range(total)]
        np.testing.assert_array_equal(np.bincount(places, minlength=40), patches)
        reads, kept = 0, []
        for place in places:
            reads += place not in kept
            kept = [*[p for p in kept if p != place], place][-8:]
        assert reads < total / 4
        again = Passes(np.cumsum(patches), 1, at_once)
        some = [epoch * total + n for n in (total - 1, 3, 50, 0)]  # in any order
        assert [again.place(n) for n in some] == [places[n % total] for n in some]
    other = Passes(np.cumsum(patches), 2, at_once)
    assert [other.place(n) for n in range(20)] != [again.place(n) for n in range(20)]


def test_the_order_of_endless_data_takes_little_memory():
    patches = np.full(1000, 2000)
    tracemalloc.start()
    try:
        Passes(np.cumsum(patches), 0, 32).place(0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * patches.sum()  # bytes a patch; 88 before


def sampler(array):
    return PatchSampler(
        TrainingData(clean=array, axes="ZYX"),
        channels=1,
        stride=2,
        normalization=Normalization(),
        sigma=(0, 50),
        patch_size=16,
        batch_size=4,
    )


def assert_same(one, other):
    np.testing.assert_array_equal(one.noisy, other.noisy)
    np.testing.assert_array_equal(one.target, other.target)


def test_batches_are_those_of_the_array_in_memory_where_all_can_be_kept(values):
    array = Counting(values, (1, 50, 70))
    lazy, whole = sampler(array), sampler(values)
    for step in range(40):
        assert_same(lazy.batch(step), whole.batch(step))
    assert len(array.reads) == 6


def test_batches_of_a_larger_array_are_the_same_each_time_and_read_little(values, monkeypatch):
    monkeypatch.setattr(recent_chunks, "KEPT_BYTES", 4 * values[0].nbytes)
    array = Counting(np.concatenate([values] * 5), (1, 50, 70))
    first, second = sampler(array), sampler(array)
    assert places_at_once([RecentChunks().of(array)] * 2) == 1
    array.reads.clear()
    batches = [first.batch(step) for step in range(80)]
    assert len(array.reads) < 4 * 80 / 4
    for step in (3, 70, 0):
        assert_same(second.batch(step), batches[step])
