"""Fixtures shared by the core's tests: small denoisers by seed, small images, refusals."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sys
from types import SimpleNamespace

if os.environ.get("WITHOUT_WINDOW"):  # the core must do without all of these
    for module in ("napari", "magicgui", "qtpy", "superqt", "pyqtgraph", "PyQt6", "PySide6"):
        sys.modules[module] = None

import numpy as np
import pytest
import torch
from hypothesis import settings

from napari_ae_denoise import quiet_imports
from napari_ae_denoise.card import Card
from napari_ae_denoise.denoiser import Denoiser
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import PRESETS, ConvAutoencoder
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.settings import TrainSettings
from napari_ae_denoise.training import train
from napari_ae_denoise.training_data import TrainingData

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

SMALL_SPECS = {
    "classic": PRESETS["classic"],
    # the geometry of the preset `residual` (stem, levels, blocks, skips, edge), fewer channels
    "residual": NetworkSpec(
        "residual", widths=(8, 8, 8), blocks=2, skips=True, stem=2, edge="zero"
    ),
    "plain": NetworkSpec("plain", widths=(4, 6)),
    "bottleneck": NetworkSpec("residual", widths=(6, 8), blocks=1, code_channels=3, stem=2),
}


def _network(spec, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConvAutoencoder(spec)


@functools.cache
def _denoiser(spec, seed, normalization):
    return Denoiser(_network(spec, seed), Card(network=spec, normalization=normalization))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Compute on one thread, whatever the machine: the same sums, no fight over cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order(request, monkeypatch):
    """Begin random numbers anew for each test, those of its module's RNG too.

    A test that fails then fails by itself as well, and none fails for having another one before it.
    """
    torch.manual_seed(0)
    np.random.seed(0)  # which libraries may draw from
    if hasattr(getattr(request, "module", None), "RNG"):
        monkeypatch.setattr(request.module, "RNG", np.random.default_rng(0))


@pytest.fixture(autouse=True, scope="session")
def _frozen_objects_stay():
    """Keep jobs from putting back what is left out of collections of garbage; see below."""
    switches = SimpleNamespace(
        isenabled=gc.isenabled,
        enable=gc.enable,
        disable=gc.disable,
        freeze=lambda: None,
        unfreeze=lambda: None,
        collect=lambda: None,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quiet_imports, "gc", switches)
        yield


@pytest.fixture(autouse=True, scope="module")
def _earlier_modules_apart():
    """Leave what earlier modules have left for good out of collections: a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_cluster_left():
    """Fail the test that leaves a dask cluster's client as the default, not all after it."""
    yield
    if dask := sys.modules.get("dask"):
        assert dask.config.get("scheduler", None) is None


@pytest.fixture(scope="session")
def _reader():
    """One process that reads the Keras files of all tests, again started when it died."""
    from napari_ae_denoise.interop.keras_apart import ReadingProcess

    with contextlib.ExitStack() as stack:
        alive = []

        def read(path):
            if not alive or not alive[-1].alive:
                alive.append(stack.enter_context(ReadingProcess()))
            return alive[-1].read(path)

        yield read


@pytest.fixture
def one_reader(monkeypatch, _reader):
    """Let one process read all Keras files of a test: to start one for each takes long."""
    from napari_ae_denoise.interop import keras
    from napari_ae_denoise.interop.keras_files import check_start

    def read(path):
        check_start(path)
        return _reader(path)

    monkeypatch.setattr(keras, "read_apart", read)


@pytest.fixture(scope="session")
def small_specs():
    return SMALL_SPECS


@pytest.fixture(scope="session")
def untrained():
    """Return an untrained denoiser of a preset's name or a spec, by seed."""

    def make(spec="residual", seed=0, normalization=None, **changes):
        spec = SMALL_SPECS[spec] if isinstance(spec, str) else spec
        if changes:
            from dataclasses import replace

            spec = replace(spec, **changes)
        return _denoiser(spec, seed, normalization or Normalization())

    return make


@pytest.fixture(scope="session")
def far_sighted():
    """Return a network whose output depends strongly on the farthest pixels that it can see.

    Every 3x3 convolution looks at one side of its square only, even channels at the left and odd
    ones at the right (or above and below, along "Y"), so that a tile whose halo is one code pixel
    short is plainly wrong.
    """

    @functools.cache
    def make(spec, dtype=torch.float32, along="X"):
        network = _network(spec, 1)
        rng = np.random.default_rng(1)
        with torch.no_grad():
            for module in network.modules():
                if not isinstance(module, torch.nn.Conv2d):
                    continue
                outputs, inputs, size, _ = module.weight.shape
                weight = 0.5 + rng.random((outputs, inputs, size, size))
                if size == 3:
                    for o in range(outputs):
                        weight[o, :, :, [1, 2 * ((o + 1) % 2)]] = 0
                        if inputs > 2:
                            weight[o, np.arange(inputs) % 2 != o % 2] = 0
                    if along == "Y":
                        weight = weight.swapaxes(2, 3)
                weight /= weight.sum(axis=(1, 2, 3), keepdims=True)
                module.weight.copy_(torch.from_numpy(weight))
                if module.bias is not None:
                    module.bias.zero_()
        return network.to(dtype).eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def camera():
    """A photograph, (128, 128) uint8."""
    from skimage.data import camera
    from skimage.transform import resize

    small = resize(camera(), (128, 128), anti_aliasing=True, preserve_range=True)
    return np.rint(small).astype(np.uint8)


@pytest.fixture(scope="session")
def noisy_camera(camera):
    """The photograph with Gaussian noise of sigma 25, (128, 128) float32."""
    noise = np.random.default_rng(3).standard_normal(camera.shape)
    return (camera + 25 * noise).astype(np.float32)


@pytest.fixture(scope="session")
def quick_settings():
    """Return settings of a training of seconds, with changes."""

    def make(**changes):
        usual = {
            "preset": SMALL_SPECS["plain"],
            "steps": 6,
            "batch_size": 2,
            "patch_size": 16,
            "sigma": (10, 30),
            "device": "cpu",
            "precision": "float32",
        }
        return TrainSettings(**(usual | changes))

    return make


@pytest.fixture(scope="session")
def trained(camera):
    """A small denoiser trained on the photograph for half a minute at most."""
    spec = NetworkSpec("residual", widths=(16, 32), blocks=1, skips=True, stem=2)
    how = TrainSettings(
        preset=spec,
        steps=300,
        batch_size=8,
        patch_size=32,
        sigma=(5, 40),
        learning_rate=3e-3,
        device="cpu",
        precision="float32",
        name="small",
    )
    return train(TrainingData(clean=camera), how)


@pytest.fixture(scope="session")
def refused():
    """Return a context that expects a refusal whose two sentences hold some words."""

    @contextlib.contextmanager
    def expect(*words, remedy=""):
        with pytest.raises(DenoisingError) as caught:
            yield caught
        error = caught.value
        for word in words:
            assert str(word) in error.cause, f"{word!r} is not in the cause: {error.cause}"
        assert remedy in error.remedy, f"{remedy!r} is not in the remedy: {error.remedy}"
        for sentence in (error.cause, error.remedy):
            assert sentence[-1] in ".!", f"this is no sentence: {sentence}"
        assert not isinstance(error, RuntimeError)

    return expect
