"""The examples run as they stand, in short."""

import json
import os
import re
import runpy
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "denoise_and_compare.ipynb"
FOLDER = Path(__file__).parents[1] / "examples"
# what each is given to be short, what it writes, and what it says
SHORT = {
    "denoise_photograph.py": ((), "clean.png", "denoised"),
    "train_on_noisy_images.py": (("--minutes", "0.05"), "clean.safetensors", "denoised"),
    "larger_than_memory.py": (("--side", "300"), "clean.ome.zarr", "tiles"),
    "denoise_and_compare.py": ((), "compare.png", "denoised  PSNR"),
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


# ---- the notebook


@pytest.fixture(scope="module")
def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def source(cell):
    return "".join(cell["source"])


def test_the_notebook_is_made_from_its_script(cells):
    make = runpy.run_path(str(FOLDER.parent / "scripts" / "notebook.py"))
    script = NOTEBOOK.with_suffix(".py").read_text(encoding="utf-8")
    made = [tuple(cell) for cell in make["cells_of"](script)]
    assert [(cell["cell_type"], source(cell)) for cell in cells] == made


def test_the_notebook_has_its_outputs_and_is_small(cells):
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert "site-packages" not in text
    assert "Error" not in text
    outputs = [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]
    assert all(outputs)
    pictures = [o for some in outputs for o in some if "image/png" in o.get("data", {})]
    assert len(pictures) == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_cells_of_the_notebook_run_and_say_what_they_said(cells, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        exec(compile(source(cell), "cell", "exec"), names)
        then = "".join(
            "".join(o["text"]) for o in cell["outputs"] if o.get("output_type") == "stream"
        )
        now = capsys.readouterr().out
        # the last digits are those of the processor
        words = [re.sub(r"\d+(\.\d+)?", "#", text).split() for text in (then, now)]
        assert words[0] == words[1]
    names["plt"].close("all")  # other tests look at what is open
    assert os.path.getsize("compare.png") > 10_000
    assert names["psnr"](names["clean"], names["denoised"], data_range=255) > 28
