"""The README as PyPI and the napari hub show it, far from the files that it links to."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HOME = "github.com/napari-ae-denoise/napari-ae-denoise/blob/main/"
_PICTURES = "raw.githubusercontent.com/napari-ae-denoise/napari-ae-denoise/main/"


@pytest.fixture(scope="module")
def described():
    """Return the README with the substitutions of a build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for one in hook["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    return text


def test_no_link_of_the_description_is_relative(described):
    links = _LINK.findall(described)
    assert len(links) > 10
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("place", [_HOME, _PICTURES])
def test_what_the_description_links_to_is_in_the_repository(described, place):
    paths = [
        link.split(place)[1].split("#")[0] for link in _LINK.findall(described) if place in link
    ]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_pictures_are_shown_as_pictures(described):
    for name in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", described):
        assert _PICTURES in name
