import gc
import importlib
import importlib.util
import subprocess
import sys
import weakref

import pytest

from napari_ae_denoise import quiet_imports
from napari_ae_denoise.quiet_imports import (
    collect_old_objects,
    load_for_training,
    old_objects_apart,
    uncollected,
)


@pytest.fixture(autouse=True)
def _collector_itself(monkeypatch):
    """Undo what conftest.py does to the collector for all other tests."""
    monkeypatch.setattr(quiet_imports, "gc", gc)
    gc.unfreeze()


class Node:
    """Something that the collector follows."""


def test_many_new_objects_set_off_no_collection():
    collected = []
    gc.callbacks.append(lambda phase, info: collected.append(info["generation"]))
    try:
        with uncollected():
            made = [Node() for _ in range(100_000)]
        assert collected == []
        assert gc.get_count()[0] < 1000  # they are old ones now
    finally:
        gc.callbacks.pop()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    assert made


def test_what_is_garbage_among_them_is_found_later():
    with uncollected():
        node = Node()
        node.itself = node
        known = weakref.ref(node)
        del node
    assert known() is not None
    gc.collect()
    assert known() is None


def test_while_a_job_runs_only_new_objects_are_looked_at():
    old = Node()
    old.itself = old
    known_old = weakref.ref(old)
    with old_objects_apart():
        with old_objects_apart():
            new = Node()
            new.itself = new
            known_new = weakref.ref(new)
        del old, new
        assert gc.get_freeze_count() > 0  # the first job goes on
        with uncollected():
            pass
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert known_old() is None
    assert known_new() is None


def test_a_second_job_keeps_no_garbage_that_was_made_since_the_first_began():
    with old_objects_apart():
        node = Node()
        node.itself = node
        known = weakref.ref(node)
        with old_objects_apart():
            del node
        gc.collect()
        assert known() is None


def test_what_was_there_before_a_job_can_be_freed_while_it_runs():
    old = Node()
    old.itself = old
    known = weakref.ref(old)
    with old_objects_apart():
        del old
        gc.collect()
        assert known() is not None
        collect_old_objects()
        assert known() is None
        assert gc.get_freeze_count() > 0  # they are apart again


def test_garbage_that_a_job_makes_is_found_while_it_runs():
    with old_objects_apart():
        node = Node()
        node.itself = node
        known = weakref.ref(node)
        del node
        gc.collect()
        assert known() is None
    with pytest.raises(ValueError, match="inside"), old_objects_apart():
        raise ValueError("inside")
    assert gc.get_freeze_count() == 0


def test_an_error_leaves_the_collector_on_and_who_switched_it_off_keeps_it_off():
    with pytest.raises(ValueError, match="inside"), uncollected():
        raise ValueError("inside")
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_first_training_loads_nothing_large_after_it():
    code = """
import sys, numpy as np
from napari_ae_denoise import TrainSettings, TrainingData
from napari_ae_denoise.quiet_imports import load_for_training
from napari_ae_denoise.training_estimate import estimate_training
load_for_training()
before = set(sys.modules)
image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
settings = TrainSettings(preset="classic", steps=2, patch_size=16, batch_size=2)
estimate_training(TrainingData(clean=image), settings)
print(len(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50


def test_it_may_be_asked_for_again():
    load_for_training()
    load_for_training()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is left to open them")
def test_torchs_largest_library_is_open_before_torch_is_imported():
    """An import of it would let no other thread run for half a second."""
    code = """
import sys
from napari_ae_denoise import quiet_imports
quiet_imports._open_libraries()
maps = open("/proc/self/maps").read()
assert "torch" not in sys.modules
print("libtorch_cpu.so" in maps)
quiet_imports.load_torch()
print(float(sys.modules["torch"].ones(2).sum()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "2.0"]


@pytest.fixture
def no_torch_yet(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # remembers what was there
    del sys.modules["torch"]


@pytest.mark.parametrize("there", [True, False])
def test_libraries_that_cannot_be_opened_are_left_to_torch(
    there, tmp_path, monkeypatch, no_torch_yet
):
    package = tmp_path / "torch"
    (package / "lib").mkdir(parents=True)
    (package / "lib" / "libtorch_global_deps.so").write_text("no library")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (package / "__init__.py").write_text("found = True" if there else "raise OSError('damaged')")
    importlib.invalidate_caches()
    if there:
        quiet_imports.load_torch()
        assert sys.modules["torch"].found
    else:
        with pytest.raises(OSError, match="damaged"):
            quiet_imports.load_torch()


def test_without_a_torch_nothing_is_opened(monkeypatch, no_torch_yet):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(importlib, "import_module", _no_torch)
    with pytest.raises(ModuleNotFoundError, match="No module named 'torch'"):
        quiet_imports.load_torch()


def _no_torch(name):
    raise ModuleNotFoundError(f"No module named {name!r}")
