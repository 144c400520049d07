"""The tables that benchmarks write into their README."""

import runpy
from pathlib import Path

import pytest

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
