"""The docs: what they name is there, and what they import can be imported."""

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

import napari_ae_denoise
from napari_ae_denoise.kinds import KINDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))

pytestmark = pytest.mark.skipif(not PAGES, reason="the docs are not installed")


def pages_of(nav):
    for entry in nav:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            else:
                yield from pages_of(value)


def test_every_page_is_in_the_navigation_and_is_there():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(pages_of(nav)) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (DOCS / target).exists(), target


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not installed: extra test")
    pytest.importorskip("mkdocstrings")
    site = tmp_path / "site"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=quiet, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Denoiser.denoise" in (site / "reference" / "index.html").read_text(encoding="utf-8")


def test_every_picture_is_shown_somewhere():
    shown = "".join(page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "README.md"])
    pictures = [file.relative_to(DOCS).as_posix() for file in (DOCS / "images").rglob("*.png")]
    assert len(pictures) > 8
    assert [picture for picture in pictures if picture not in shown] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_imported_in_examples_is_there(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("napari_ae_denoise"):
                for alias in node.names:
                    module = import_module(node.module)
                    if not hasattr(module, alias.name):
                        import_module(f"{node.module}.{alias.name}")


def test_the_reference_names_what_is_there():
    names = re.findall(r"^::: (\S+)$", (DOCS / "reference.md").read_text(encoding="utf-8"), re.M)
    assert len(names) > 20
    for name in names:
        module, _, thing = name.rpartition(".")
        found = import_module(module)
        assert getattr(found, thing).__doc__ or described_constants(found).get(thing), name


def described_constants(module):
    """Return the strings that follow what is set in a module: the docstrings of its constants."""
    body = ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
    told = {}
    for node, after in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
            told[ast.unparse(node.target)] = ast.literal_eval(after.value)
    return told


def test_what_can_be_imported_from_the_package_is_in_the_reference():
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: \S+\.(\w+)$", text, re.M)
    assert [name for name in napari_ae_denoise.__all__ if name not in names] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_entry_with_a_picture_in_the_gallery(kind):
    text = (DOCS / "family.md").read_text(encoding="utf-8")
    (entry,) = (part for part in text.split("\n## ")[1:] if f'of_kind("{kind}"' in part)
    assert "--kind" in entry
    assert "**Kind**" in entry
    assert re.search(r"!\[[^]]+\]\(images/family/\S+\.png\)", entry)


def test_every_picture_of_the_gallery_is_shown_and_made_by_the_script():
    text = (DOCS / "family.md").read_text(encoding="utf-8")
    script = (ROOT / "scripts" / "family.py").read_text(encoding="utf-8")
    shown = set(re.findall(r"images/family/(\S+)\.png", text))
    assert shown == {picture.stem for picture in (DOCS / "images" / "family").glob("*.png")}
    assert all(f'"{name}"' in script for name in shown)


def test_every_test_that_the_docs_name_is_there():
    text = (DOCS / "reliability.md").read_text(encoding="utf-8")
    named, written = set(re.findall(r"`(test_[a-z0-9_]+)`", text)), set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        written |= set(re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M))
    assert len(named) > 60
    assert named <= written
