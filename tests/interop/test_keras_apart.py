"""Keras files are read in a process of their own, which may die of them."""

import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from napari_ae_denoise import Denoiser
from napari_ae_denoise.interop import keras_apart
from napari_ae_denoise.interop.keras_apart import ReadingProcess, read_apart
from napari_ae_denoise.interop.keras_files import opened

FOLDER = Path(__file__).parents[1] / "data" / "keras"
GOOD = FOLDER / "keras3_functional.h5"


@pytest.fixture
def endless(tmp_path):
    """A file in which HDF5 goes round in circles: found by the fuzzer."""
    shutil.copy(FOLDER / "endless_hdf5", tmp_path / "endless.h5")
    return tmp_path / "endless.h5"


@pytest.mark.parametrize("name", [GOOD.name, "keras3_functional.keras"])
def test_it_reads_what_is_read_here(name):
    with opened(FOLDER / name) as model:
        here = [(w.name, w.shape, w.read().tobytes()) for w in model.weights]
        there = read_apart(FOLDER / name)
        assert [(w.name, w.shape, w.read().tobytes()) for w in there.weights] == here
        assert (there.config, there.version, there.size) == (
            model.config,
            model.version,
            model.size,
        )


def test_one_process_reads_several_files():
    with ReadingProcess() as process:
        first = process.read(GOOD)
        assert process.alive
        assert process.read(GOOD).config == first.config
    assert not process.alive


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of the processor's time there")
def test_a_file_that_never_ends_is_refused(endless, refused):
    began = time.process_time()
    with refused("endless.h5", "damaged", "ended"):
        Denoiser.load(endless)
    assert time.process_time() - began < 2


def test_the_clock_ends_it_too(endless, refused, monkeypatch):
    monkeypatch.setattr(keras_apart, "_SECONDS", 0.5)
    with refused("endless.h5", "more than"):
        Denoiser.load(endless)


@pytest.mark.skipif(not hasattr(os, "kill"), reason="ends a process by its number")
def test_a_process_that_dies_is_said(refused):
    with ReadingProcess() as process:
        process.read(GOOD)
        process._process.kill()
        process._process.wait()
        with refused(GOOD, "damaged", "ended"):
            process.read(GOOD)


def test_where_there_is_no_other_process_it_is_read_here(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    assert Denoiser.load(GOOD).stride == 4


def test_nothing_is_imported_from_the_current_folder(tmp_path, monkeypatch):
    assert importlib.util.find_spec("h5py") is not None
    (tmp_path / "h5py.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    assert Denoiser.load(GOOD.absolute()).stride == 4
    assert not (tmp_path / "ran").exists()
