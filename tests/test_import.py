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


@pytest.mark.parametrize(
    ("torch", "words"),
    [
        ("raise OSError('[WinError 1114] c10.dll')", ["could not be loaded", "1114", "anew"]),
        ("raise ModuleNotFoundError('No module named torch', name='torch')", ["not installed"]),
    ],
)
@pytest.mark.parametrize("used", ["command", "script"])
def test_a_torch_that_cannot_be_loaded_is_said_with_the_remedy(tmp_path, torch, words, used):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(torch)
    code = {
        "script": "from napari_ae_denoise import Denoiser",
        "command": "from napari_ae_denoise.cli import app; app(['info', 'natural-gray'])",
    }[used]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    for word in words:
        assert word in said
    assert ("Traceback" in said) is (used == "script")
