"""The examples run as they stand, in short."""

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
# what each is given to be short, what it writes, and what it says
SHORT = {
    "denoise_photograph.py": ((), "clean.png", "denoised"),
    "train_on_noisy_images.py": (("--minutes", "0.05"), "clean.safetensors", "denoised"),
    "larger_than_memory.py": (("--side", "300"), "clean.ome.zarr", "tiles"),
    "latent_code.py": (("--steps", "5"), "code.png", "over-complete"),
}


def test_every_example_is_run():
    assert sorted(SHORT) == sorted(path.name for path in FOLDER.glob("*.py"))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", SHORT)
def test_an_example_runs(name, tmp_path, monkeypatch, capsys):
    words, written, said = SHORT[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    assert (tmp_path / written).exists()
    assert said in capsys.readouterr().out
