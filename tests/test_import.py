import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import napari_ae_denoise

HEAVY = ("torch", "napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "superqt")


def in_new_process(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_loads_neither_torch_nor_qt_nor_napari():
    loaded = in_new_process(
        "import napari_ae_denoise, sys, json;"
        "dir(napari_ae_denoise), napari_ae_denoise.__version__;"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    assert not set(loaded) & set(HEAVY)


def test_core_loads_neither_qt_nor_napari():
    loaded = in_new_process(
        "import napari_ae_denoise as n, sys, json;"
        "[getattr(n, name) for name in n.__all__];"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    assert "torch" in loaded
    assert not set(loaded) & (set(HEAVY) - {"torch"})


@pytest.mark.parametrize("name", napari_ae_denoise.__all__)
def test_public_name_resolves_and_is_listed(name):
    assert getattr(napari_ae_denoise, name) is not None
    assert name in dir(napari_ae_denoise)


def test_promised_names_are_public():
    promised = {
        "add_gaussian_noise",
        "estimate_sigma",
        "Denoiser",
        "bundled_models",
        "TrainingData",
        "TrainSettings",
        "training_steps",
        "train",
        "psnr",
        "ssim",
        "DenoisingError",
    }
    assert promised <= set(napari_ae_denoise.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        napari_ae_denoise.no_such_name  # noqa: B018


def test_star_import_gives_the_public_names():
    names = {}
    exec("from napari_ae_denoise import *", names)
    assert set(napari_ae_denoise.__all__) <= set(names)


def test_the_version_is_that_of_the_package(monkeypatch):
    assert napari_ae_denoise.__version__ == metadata.version("napari-ae-denoise")

    def unknown(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)  # sources that are used as they stand
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert napari_ae_denoise.__version__ == project["tool"]["hatch"]["version"]["fallback-version"]
