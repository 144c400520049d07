"""The tables that benchmarks write into their README."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from skimage.data import chelsea
from skimage.io import imsave

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def tables():
    return runpy.run_path(str(FOLDER / "write_tables.py"))


def test_a_short_form_never_replaces_the_table_of_a_long_one(tables):
    after = "<!-- end -->\n<!-- short b -->\n<!-- end -->\nrest"
    text = f"<!-- a -->\nlong\n<!-- end -->\n<!-- short a -->\n{after}"
    once = tables["replaced"](text, "short a", "one")
    twice = tables["replaced"](once, "short a", "two")
    assert twice == text.replace("short a -->\n", "short a -->\ntwo\n")


def test_every_benchmark_of_make_bench_has_a_script_and_places_for_its_tables(tables):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(tables["SHORT"]) == set(tables["LONG"])
    for name in tables["SHORT"]:
        assert (FOLDER / f"{name}.py").is_file()
        for mark in (name, f"short {name}"):
            tables["replaced"](text, mark, "")
    with pytest.raises(ValueError, match="no_such"):
        tables["replaced"](text, "no_such", "")


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    imsave(folder / "cat.png", chelsea()[:96, :112])
    return folder


def run(name, *words, folder):
    command = [sys.executable, str(FOLDER / f"{name}.py"), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=280, check=False, cwd=folder
    )


def test_quality_prints_a_table_and_writes_a_picture(photographs, tmp_path):
    done = run("quality", photographs, "--sigma", 25, "--limit", 1, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    near = {name.strip(): float(cell.split(",")[0]) for name, cell, *_ in rows if "." in cell}
    for model in ("natural-gray", "natural-rgb", "microscopy"):
        assert near[model] > near["noisy"] + 3, model
    assert near["natural-gray"] > near["wavelets"]
    assert len(list(tmp_path.glob("comparison*.png"))) == 2


def test_saved_photographs_prints_a_table(photographs, tmp_path):
    done = run("saved_photographs", photographs, "--sigma", 25, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 9
    for kind, before, colours, _ in rows[1:]:
        assert float(colours) > float(before) + 1.5, kind


@pytest.mark.parametrize("name", ["quality", "saved_photographs"])
def test_a_folder_without_images_is_refused(name, tmp_path):
    done = run(name, tmp_path, folder=tmp_path)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr
