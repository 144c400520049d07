"""Faults that happen: while an image is read, at any tile, in any step, and on a disk.

Each test is named after its case. Faults of files are in test_hostile_files.py, of data in
test_denoiser.py and test_edges.py, of a run to disk in test_to_disk.py.
"""

import os
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import torch
import zarr

from napari_ae_denoise import (
    DenoisingError,
    TrainingData,
    fused_network,
    prepared_network,
    train,
    training_steps,
)
from napari_ae_denoise.done_record import DoneRecord
from napari_ae_denoise.prediction import TileError
from napari_ae_denoise.result_folder import unfinished_value
from napari_ae_denoise.steps import Stopped, drain
from napari_ae_denoise.tile_runner import PredictSettings, TileRunner
from napari_ae_denoise.to_disk import begin

TILES = 9
SETTINGS = PredictSettings(64, "cpu", "float32")
EXACT = {"tile": 64, "device": "cpu", "precision": "float32"}
ERRORS = {
    "lost device": RuntimeError("CUDA error: device-side assert triggered"),
    "wrong shapes": RuntimeError("The size of tensor a must match the size of tensor b"),
    "wrong type": TypeError("expected Tensor"),
    "no such file": FileNotFoundError(2, "No such file or directory"),
}
OUT_OF_MEMORY = {
    "of the GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "of torch": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    "of Python": MemoryError(),
}


@pytest.fixture(scope="module")
def image():
    made = np.random.default_rng(0).normal(100, 20, (150, 170)).astype("f4")
    made.flags.writeable = False
    return made


@pytest.fixture
def failing_at(monkeypatch):
    """Let the network fail at the tile of some number, as often as said."""

    def fail(number, error, times=1):
        usual, calls, left = TileRunner._run, [0], [times]

        def run(self, batch, *how):
            calls[0] += 1
            if calls[0] > number and left[0]:
                left[0] -= 1
                raise error
            return usual(self, batch, *how)

        monkeypatch.setattr(TileRunner, "_run", run)

    return fail


# ---- tiles and device


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
@pytest.mark.parametrize("number", range(TILES))
def test_out_of_memory_at_every_tile_in_turn(untrained, image, failing_at, number, error):
    denoiser = untrained("residual")
    whole = denoiser.denoise(image, **EXACT)
    failing_at(number, OUT_OF_MEMORY[error])
    made = denoiser.denoise(image, **EXACT)
    np.testing.assert_allclose(made, whole, atol=1e-5 * np.ptp(image), rtol=0)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("number", range(TILES))
def test_another_error_at_every_tile_in_turn(untrained, image, failing_at, number, error):
    """What was made is kept; the rest is the noisy image, neither stale nor black, and named."""
    denoiser = untrained("residual")
    whole = denoiser.denoise(image, **EXACT)
    failing_at(number, ERRORS[error], times=1)
    steps = denoiser.predict_steps(image, settings=SETTINGS, code=True)
    if number == 0:  # nothing is finished that could be lost
        with pytest.raises(type(ERRORS[error])):
            drain(steps)
        return
    with pytest.raises(TileError) as caught:
        drain(steps)
    kept = caught.value.prediction
    assert kept.finished == pytest.approx(number / TILES)
    made, noisy = kept.denoised == whole, kept.denoised == image
    assert (made | noisy).all()
    down, across = divmod(number, 3)
    assert made[: 64 * down].all()
    assert noisy[64 * down : 64 * (down + 1), 64 * across :].all()
    assert noisy[64 * (down + 1) :].all()
    assert np.isnan(kept.code[..., 8 * down :, 8 * across :]).any()
    cause = caught.value.cause
    end = min(64 * (down + 1), 150) - 1
    assert f"Y {64 * down} to {end}, X {64 * across}" in cause
    assert str(ERRORS[error]).split(".")[0] in cause
    assert f"{number / TILES:.0%}" in cause
    assert caught.value.remedy


@pytest.mark.parametrize("number", [0, 4])
def test_an_error_of_ours_at_a_tile_keeps_its_remedy(untrained, image, failing_at, number):
    failing_at(number, DenoisingError("This is wrong.", "Do that."))
    with pytest.raises(DenoisingError) as caught:
        untrained("residual").denoise(image, **EXACT)
    assert "This is wrong" in caught.value.cause
    assert caught.value.remedy == "Do that."


def test_an_error_at_a_tile_is_an_error_in_scripts(untrained, image, failing_at):
    failing_at(4, ERRORS["lost device"])
    with pytest.raises(DenoisingError, match="44% of the tiles"):
        untrained("residual").denoise(image, **EXACT)


def test_an_error_at_a_tile_survives_a_process_pool():
    import pickle

    error = pickle.loads(pickle.dumps(TileError("Cause.", "Remedy.")))
    assert (type(error), error.cause, error.prediction) == (TileError, "Cause.", None)


@pytest.mark.parametrize("dtype", ["f4", "u2"])
@pytest.mark.parametrize("number", [0, 4, 8])
def test_another_error_at_a_tile_to_disk(untrained, image, failing_at, tmp_path, number, dtype):
    """Unfinished pixels are NaN or the largest integer, and the same call goes on."""
    denoiser, image = untrained("residual"), image.astype(dtype)
    whole = denoiser.denoise(image, to=tmp_path / "whole.zarr", **EXACT).compute()
    failing_at(number, ERRORS["lost device"])
    path = tmp_path / "a.zarr"
    with pytest.raises(RuntimeError, match="device-side"):
        denoiser.denoise(image, to=path, **EXACT)
    there = zarr.open_group(path)["0"][:]
    mark = unfinished_value(np.dtype(dtype))
    unfinished = np.isnan(there) if dtype == "f4" else there == mark
    assert unfinished.sum() >= 22 * 42  # at least the smallest tile
    np.testing.assert_array_equal(there[~unfinished], whole[~unfinished])
    np.testing.assert_array_equal(denoiser.denoise(image, to=path, **EXACT).compute(), whole)


def test_another_error_at_a_tile_of_a_lazy_image(untrained, image, failing_at):
    lazy = untrained("residual").denoise(da.from_array(image, chunks=64), **EXACT)
    failing_at(0, ERRORS["lost device"])
    with pytest.raises(RuntimeError, match="device-side"):
        lazy.compute(scheduler="synchronous")
    whole = untrained("residual").denoise(image, **EXACT)
    np.testing.assert_allclose(lazy.compute(), whole, atol=1e-5 * np.ptp(image))


def test_the_same_error_twice_leaves_nothing_behind(untrained, image, failing_at):
    threads = threading.active_count()
    denoiser = untrained("residual")
    whole = denoiser.denoise(image, **EXACT)
    failing_at(2, ERRORS["lost device"], times=2)
    for _ in range(2):  # at the third tile, then at the first
        with pytest.raises((DenoisingError, RuntimeError)):
            denoiser.denoise(image, **EXACT)
    np.testing.assert_array_equal(denoiser.denoise(image, **EXACT), whole)
    assert threading.active_count() == threads


@pytest.mark.parametrize("code", [False, True])
def test_cancel_in_the_last_tile_gives_the_whole(untrained, image, code):
    stop = threading.Event()
    steps = untrained("residual").predict_steps(image, settings=SETTINGS, code=code, stop=stop)

    def cancel(progress):
        if progress.done == TILES:
            stop.set()

    assert drain(steps, cancel).finished == 1


@pytest.fixture
def unfused(monkeypatch):
    """Let networks be run layer by layer, as on processors without the faster way."""
    monkeypatch.setattr(fused_network, "_fusing_works", lambda dtype: False)
    prepared_network._kept.clear()
    yield
    prepared_network._kept.clear()


@pytest.mark.parametrize("layer", range(1, 10))
def test_cancel_within_a_tile_of_a_fused_network_gives_it_up(untrained, image, monkeypatch, layer):
    """Before each of its convolutions, of which two are in a block."""
    stop, layers = threading.Event(), [0]
    usual = fused_network._FusedConv.forward

    def forward(self, x, **more):
        layers[0] += 1
        if layers[0] == layer:
            stop.set()
        return usual(self, x, **more)

    assert fused_network._fusing_works(torch.float32)
    monkeypatch.setattr(fused_network._FusedConv, "forward", forward)
    kept = drain(untrained("residual").predict_steps(image, settings=SETTINGS, stop=stop))
    assert (layers[0], kept.finished) == (layer, 0)
    np.testing.assert_array_equal(kept.denoised, image)


@pytest.mark.usefixtures("unfused")
@pytest.mark.parametrize("layer", [0, 3, 10])
@pytest.mark.parametrize("number", [0, 4])
def test_cancel_within_a_tile_gives_it_up_and_keeps_the_others(
    untrained, image, monkeypatch, number, layer
):
    """A tile may take seconds; the network stops at its next layer."""
    denoiser, stop, layers = untrained("residual"), threading.Event(), [0]
    whole = denoiser.denoise(image, **EXACT)
    usual = torch.nn.functional.conv2d
    convolutions = sum(isinstance(m, torch.nn.Conv2d) for m in denoiser.network.modules())

    def conv2d(self, values, weight, bias):
        layers[0] += 1
        if layers[0] > number * convolutions + layer:
            stop.set()
        return usual(values, weight, bias, self.stride, self.padding)

    monkeypatch.setattr(torch.nn.Conv2d, "_conv_forward", conv2d)
    kept = drain(denoiser.predict_steps(image, settings=SETTINGS, code=True, stop=stop))
    assert layers[0] == number * convolutions + layer + 1
    assert kept.finished == pytest.approx(number / TILES)
    assert ((kept.denoised == whole) | (kept.denoised == image)).all()
    assert not any(m._forward_pre_hooks for m in denoiser.network.modules())


@pytest.mark.usefixtures("unfused")
def test_cancel_within_a_tile_to_disk_goes_on_later(untrained, image, monkeypatch, tmp_path):
    denoiser, stop, layers = untrained("residual"), threading.Event(), [0]
    whole = denoiser.denoise(image, **EXACT)
    usual = torch.nn.functional.conv2d
    convolutions = sum(isinstance(m, torch.nn.Conv2d) for m in denoiser.network.modules())

    def conv2d(self, values, weight, bias):
        layers[0] += 1
        if layers[0] == 4 * convolutions + 2:
            stop.set()
        return usual(values, weight, bias, self.stride, self.padding)

    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.Conv2d, "_conv_forward", conv2d)
        denoiser.denoise(image, to=tmp_path / "a.zarr", stop=stop, **EXACT)
    assert DoneRecord.load(tmp_path / "a.zarr").done.sum() == 4
    made = denoiser.denoise(image, to=tmp_path / "a.zarr", **EXACT).compute()
    np.testing.assert_allclose(made, whole, atol=1e-5 * np.ptp(image), rtol=0)


# ---- data


@pytest.mark.parametrize("kind", ["zarr", "dask"])
def test_a_read_error_midway_is_no_result(untrained, tmp_path, kind, refused):
    array = zarr.create_array(
        tmp_path / "in.zarr", data=np.ones((8, 150, 170), "f4"), chunks=(1, 150, 170)
    )
    source = array if kind == "zarr" else da.from_array(array, chunks=array.chunks)
    (tmp_path / "in.zarr" / "c" / "5" / "0" / "0").write_bytes(b"rubbish")
    if kind == "zarr":
        with refused("5", remedy="Copy the image again"):
            untrained("residual").denoise(source, axes="ZYX", **EXACT)
        return
    with pytest.raises(Exception, match=r"bytes|Zstd|decompress|input"):  # when dask computes
        np.asarray(untrained("residual").denoise(source, axes="ZYX", **EXACT))


def failing_from(plane, error):
    """Return a dask stack whose planes cannot be read from one on, once it was looked at."""
    state = {"ready": False}

    def read(block_info=None):
        number = block_info[None]["chunk-location"][0] if block_info else 0
        if state["ready"] and number >= plane:
            raise error
        return np.random.default_rng(number).random((1, 150, 170)).astype("f4")

    lazy = da.map_blocks(read, chunks=((1,) * 8, (150,), (170,)), dtype="f4")
    return lazy, state


def test_tiles_that_were_finished_before_a_read_error_are_kept(untrained):
    lazy, state = failing_from(5, OSError(5, "Input/output error"))
    settings = replace(SETTINGS, tile=64)
    steps = untrained("residual").predict_steps(
        lazy, axes="ZYX", settings=settings, denoised=False, code=True
    )
    with pytest.raises(TileError, match="Input/output error") as caught:
        drain(steps, lambda _: state.update(ready=True))
    kept = caught.value.prediction
    assert 0 < kept.finished < 1
    assert np.isfinite(kept.code).any()


@pytest.mark.parametrize("to_disk", [False, True])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_stop_is_obeyed_while_the_noise_of_a_slow_image_is_estimated(
    untrained, tmp_path, to_disk, when
):
    stop, read = threading.Event(), []

    def slow(block_info=None):
        if block_info:
            read.append(block_info[None]["chunk-location"])
        if len(read) == 3:
            stop.set()
        return np.random.default_rng(len(read)).random((1, 300, 300)).astype("f4")

    lazy = da.map_blocks(slow, chunks=((1,) * 200, (300,), (300,)), dtype="f4")
    read.clear()
    if when == "before":
        stop.set()
    denoiser = untrained("residual")
    if to_disk:
        with pytest.raises(Stopped):
            begin(denoiser, lazy, tmp_path / "out.ome.zarr", axes="ZYX", stop=stop)
        stop.set()
        to = tmp_path / "other.ome.zarr"
        assert denoiser.denoise(lazy, axes="ZYX", to=to, stop=stop) is None
        assert not list(tmp_path.iterdir())
    else:
        made = drain(denoiser.predict_steps(lazy, axes="ZYX", stop=stop))
        assert (made.finished, made.denoised) == (0, None)
    assert len(read) <= (3 if when == "meanwhile" else 0)


def test_a_read_error_midway_of_a_training_is_said(quick_settings, refused):
    def read(block_info=None):
        if block_info and block_info[None]["chunk-location"][0] > 0:
            raise OSError(5, "Input/output error")
        return np.random.default_rng(0).random((32, 64)).astype("f4")

    lazy = da.map_blocks(read, chunks=((32, 32, 32), (64,)), dtype="f4")
    with pytest.raises((DenoisingError, OSError), match="Input/output error"):
        train(TrainingData(clean=lazy), quick_settings(steps=50))


# ---- training


@pytest.fixture
def clean(camera):
    return TrainingData(clean=camera)


@pytest.mark.parametrize("number", [2, 5, 6])
def test_a_gradient_that_is_not_finite(clean, quick_settings, monkeypatch, number):
    """The weights from before are kept, and why it ended is said."""
    usual, count = torch.nn.utils.clip_grad_norm_, [0]

    def clip(parameters, most):
        count[0] += 1
        parameters = list(parameters)
        if count[0] == number:
            parameters[0].grad.fill_(torch.inf)
        return usual(parameters, most)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    notes = []
    denoiser = drain(training_steps(clean, quick_settings(steps=6)), lambda p: notes.append(p.note))
    assert all(torch.isfinite(p).all() for p in denoiser.network.parameters())
    assert denoiser.card.training["steps_done"] == number - 1
    assert notes[-1]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
@pytest.mark.parametrize("times", [1, 2])
def test_out_of_memory_in_training_the_same_twice(clean, quick_settings, refused, times, error):
    class Full:
        reconstruction, penalties = "mse", ()

        def __call__(self, *_args, **_more):
            raise OUT_OF_MEMORY[error]

    for _ in range(times):
        settings = quick_settings()
        with pytest.MonkeyPatch.context() as patched:
            from napari_ae_denoise.objectives import Objective

            patched.setattr(Objective, "__call__", Full().__call__)
            with refused("Memory ran out", remedy="smaller"):
                train(clean, settings)
    assert train(clean, quick_settings(steps=1)).stride


@pytest.mark.parametrize("step", [1, 5, 6])
def test_cancel_in_any_step_and_in_the_last_gives_a_model(clean, quick_settings, camera, step):
    stop = threading.Event()

    def cancel(progress):
        if progress.step == step:
            stop.set()

    denoiser = drain(training_steps(clean, quick_settings(steps=6), stop=stop), cancel)
    assert denoiser.card.training["steps_done"] == step
    assert denoiser.denoise(camera).shape == camera.shape


# ---- storage


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other lengths")
@pytest.mark.parametrize("what", ["model", "checkpoint", "result"])
def test_a_path_that_is_too_long(untrained, clean, quick_settings, tmp_path, refused, what):
    long = tmp_path / ("n" * 300)
    with refused("too long", remedy="Choose"):
        if what == "model":
            untrained("plain").save(long)
        elif what == "checkpoint":
            train(clean, quick_settings(), checkpoint=long)
        else:
            untrained("plain").denoise(np.ones((20, 20)) * np.arange(20), to=f"{long}.zarr")


def test_a_model_file_in_use(untrained, tmp_path, refused, monkeypatch):
    """On Windows a file that another program has open cannot be replaced."""
    path = tmp_path / "m.safetensors"
    untrained("plain").save(path)
    before = path.read_bytes()

    def in_use(self, target):
        raise PermissionError(13, "The process cannot access the file because it is being used")

    monkeypatch.setattr(Path, "replace", in_use)
    with refused(path, "being used", remedy="Choose"):
        untrained("plain").renamed("other").save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


KILLS = Path(__file__).parents[1] / "benchmarks" / "checkpoint_kills.py"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_kill_9_while_a_checkpoint_is_written():
    done = subprocess.run(
        [sys.executable, str(KILLS), "--kills", "12"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| 12 | 12 |" in done.stdout


# ---- a storm of warnings


def test_a_storm_of_warnings_from_a_job_changes_no_result(untrained, image, monkeypatch):
    usual = TileRunner._run
    whole = untrained("residual").denoise(image, **EXACT)

    def run(self, batch, *how):
        for number in range(1000):
            warnings.warn(f"warning {number}", stacklevel=1)
        return usual(self, batch, *how)

    monkeypatch.setattr(TileRunner, "_run", run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(untrained("residual").denoise(image, **EXACT), whole)


# ---- a GPU's memory


@pytest.fixture
def given_back(monkeypatch):
    """Return a list that grows when CUDA's memory is given back; nothing else of it is there."""
    asked = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append(1))
    return asked


def test_memory_of_a_gpu_is_given_back_when_it_did_not_fit(untrained, given_back):
    from napari_ae_denoise.persistent_runner import PersistentRunner

    runner = PersistentRunner(untrained("residual").network, SETTINGS)
    runner._free(1000)
    assert given_back == [1]


@pytest.mark.parametrize("how", ["done", "stopped", "failed"])
@pytest.mark.parametrize("job", ["memory", "disk", "training"])
def test_memory_of_a_gpu_is_given_back_after_each_job(
    untrained, given_back, quick_settings, camera, tmp_path, monkeypatch, job, how
):
    stop = threading.Event()
    denoiser = untrained("residual")
    if job == "training":
        steps = training_steps(TrainingData(clean=camera), quick_settings(steps=3), stop=stop)
    elif job == "disk":
        steps = begin(denoiser, camera, tmp_path / "out.ome.zarr").steps(stop=stop)
    else:
        steps = denoiser.predict_steps(camera, stop=stop)
    if how == "stopped":
        stop.set()
    if how == "failed":
        next(steps)
        given_back.clear()
        with pytest.raises(RuntimeError, match="on purpose"):
            steps.throw(RuntimeError("on purpose"))
    else:
        drain(steps)
    assert given_back == [1]
