import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import dask.array as da
import numpy as np
import pytest
import torch

from napari_ae_denoise import persistent_runner
from napari_ae_denoise.grey_map import GreyMap
from napari_ae_denoise.persistent_runner import PersistentRunner
from napari_ae_denoise.tile_runner import PredictSettings, TileRunner
from napari_ae_denoise.tiling import Span, Tile, tiles

HOW = PredictSettings(64, "cpu", "float32")
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


@pytest.fixture
def little_memory(monkeypatch):
    """Let memory run out wherever the network sees more than some pixels; return its calls."""

    def limit(pixels, error=ERRORS[0]):
        calls = []
        usual = TileRunner._run

        def run(self, batch, *how):
            calls.append(batch.shape[0] * batch.shape[2] * batch.shape[3])
            if calls[-1] > pixels:
                raise error
            return usual(self, batch, *how)

        monkeypatch.setattr(TileRunner, "_run", run)
        return calls

    return limit


def inputs(runner, shape, count=1):
    rng = np.random.default_rng(0)
    images = rng.random((count, 1, *shape)).astype(np.float32)
    images[0, 0, 3, 5] = np.nan
    maps = [GreyMap(0.1 * n, 1.0 + n, fill=0.5) for n in range(count)]
    for tile in tiles(shape, 64, runner.stride, runner.halo, 2):
        yield [i[:, tile.y.read, tile.x.read] for i in images], tile, maps


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("spec", ["classic", "residual"])
def test_smaller_tiles_give_the_same_numbers(untrained, little_memory, spec, error):
    network = untrained(spec).network
    plain, persistent = TileRunner(network, HOW), PersistentRunner(network, HOW)
    shape = (101, 90)
    expected = [plain(*i, "f4", code=True) for i in inputs(plain, shape, 3)]
    little_memory((36 + 2 * plain.halo) ** 2, error)
    found = [persistent(*i, "f4", code=True) for i in inputs(plain, shape, 3)]
    for (images, code, bad), (other, other_code, other_bad) in zip(expected, found, strict=True):
        assert bad == other_bad
        np.testing.assert_allclose(np.stack(other), np.stack(images), atol=1e-5, rtol=0)
        np.testing.assert_allclose(other_code, code, atol=1e-5, rtol=0)


def test_what_did_not_fit_is_not_tried_again(untrained, little_memory):
    network = untrained("classic").network
    runner = PersistentRunner(network, HOW)
    most = (40 + 2 * network.halo) ** 2
    calls = little_memory(most)
    for one in inputs(runner, (128, 128)):
        runner(*one, "f4")
    assert sum(pixels > most for pixels in calls) == 1
    assert len(calls) == 1 + 4 * 4


def test_planes_are_parted_before_tiles_are_cut(untrained, little_memory):
    network = untrained("classic").network
    runner = PersistentRunner(network, HOW)
    (one,) = inputs(runner, (40, 40), 4)
    seen = one[1].pixels_seen
    calls = little_memory(seen)
    images, _, _ = runner(*one, "f4")
    assert calls == [4 * seen, 2 * seen, seen, seen, seen, seen]
    assert len(images) == 4


def test_only_what_is_asked_for_is_made(untrained, little_memory):
    runner = PersistentRunner(untrained("classic").network, HOW)
    one = next(inputs(runner, (90, 90)))
    little_memory(60**2)
    images, code, _ = runner(*one, "f4", image=False, code=True)
    assert images == []
    assert code.shape == (1, 32, 16, 16)
    images, code, _ = runner(*one, "u2")
    assert code is None
    assert images[0].dtype == np.uint16


def test_other_errors_are_not_retried(untrained, little_memory):
    runner = PersistentRunner(untrained("classic").network, HOW)
    calls = little_memory(0, RuntimeError("size mismatch"))
    with pytest.raises(RuntimeError, match="size mismatch"):
        runner(*next(inputs(runner, (90, 90))), "f4")
    assert len(calls) == 1


def test_when_nothing_fits_it_is_said_with_both_tiles(untrained, little_memory, refused):
    runner = PersistentRunner(untrained("classic").network, HOW)
    little_memory(0)
    with refused("Memory ran out on cpu", "64 pixels", "one of 16", remedy="other programs"):
        runner(*next(inputs(runner, (90, 90))), "f4")


def test_the_cpu_takes_over_from_a_full_gpu(untrained):
    class FullGpu:
        device = torch.device("cuda:0")
        tried = 0

        def __call__(self, *_args, **_more):
            FullGpu.tried += 1
            raise torch.OutOfMemoryError("CUDA out of memory")

    network = untrained("residual").network
    runner = PersistentRunner(network, HOW)
    expected = [TileRunner(network, HOW)(*i, "f4") for i in inputs(runner, (90, 90))]
    runner._runner = FullGpu()
    runner._settings = PredictSettings(64, "cuda:0", "float16")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.cuda, "empty_cache", lambda: None)
        with pytest.warns(UserWarning, match="ran out on cuda:0.*CPU goes on") as warned:
            found = [runner(*i, "f4") for i in inputs(runner, (90, 90))]
    assert len(warned) == 1
    assert FullGpu.tried == 2  # 64 and 32 pixels: four code pixels of this network
    for (images, _, _), (other, _, _) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(other[0], images[0])


@pytest.mark.parametrize("way", ["memory", "dask", "disk"])
def test_every_way_of_predicting_is_persistent(untrained, little_memory, tmp_path, way):
    image = np.random.default_rng(0).normal(100, 20, (2, 150, 170)).astype("f4")
    denoiser = untrained("residual")
    options = {"tile": 64, "device": "cpu", "precision": "float32"}
    whole = denoiser.denoise(image, **options)
    little_memory((36 + 2 * denoiser.halo) ** 2)
    made = {
        "memory": lambda: denoiser.denoise(image, **options),
        "dask": lambda: denoiser.denoise(da.from_array(image, chunks=50), **options).compute(),
        "disk": lambda: denoiser.denoise(image, to=tmp_path / "a.zarr", **options).compute(),
    }[way]()
    np.testing.assert_allclose(made, whole, atol=1e-5 * np.ptp(image), rtol=0)


def test_quarters_cover_a_tile_once(untrained):
    runner = PersistentRunner(untrained("classic").network, HOW)
    for shape in itertools.product([5, 17, 33, 64], repeat=2):
        (tile,) = tiles(shape, 64, runner.stride, runner.halo)
        count = np.zeros(shape, int)
        for quarter in runner._quarters(tile):
            count[quarter.y.write, quarter.x.write] += 1
        assert (count == 1).all()


def test_threads_take_turns_on_a_gpu_whose_memory_is_that_of_one(untrained, monkeypatch, recwarn):
    inside = threading.Semaphore(1)

    class OneAtATime:
        """A GPU that fits one tile at a time; it computes on the CPU."""

        def __init__(self, network, settings, stop=None):
            self._runner, self.tile = TileRunner(network, HOW, stop), 64
            self.device = torch.device("cpu" if settings.device == "cpu" else "cuda:0")

        def __call__(self, *args, **kwargs):
            if not inside.acquire(blocking=False):
                raise torch.OutOfMemoryError("CUDA out of memory")
            try:
                time.sleep(0.02)
                return self._runner(*args, **kwargs)
            finally:
                inside.release()

    monkeypatch.setattr(persistent_runner, "TileRunner", OneAtATime)
    network = untrained("residual").network
    runner = PersistentRunner(network, PredictSettings(64, "cuda:0"))
    span = Span(64, 0, 64, network.stride, network.halo)
    window = np.random.default_rng(0).random((1, 64, 64), np.float32)
    with ThreadPoolExecutor(6) as pool:
        how = [window], Tile(span, span), [GreyMap(0.0, 1.0)], np.float32
        made = [one.result()[0][0] for one in [pool.submit(runner, *how) for _ in range(6)]]
    assert not recwarn.list
    assert runner._runner.device.type == "cuda"
    assert runner._room == np.inf
    for one in made[1:]:
        np.testing.assert_array_equal(one, made[0])
