import subprocess
import sys
from pathlib import Path

import npe2
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def manifest():
    return npe2.PluginManifest.from_file(ROOT / "src/napari_ae_denoise/napari.yaml")


def test_the_manifest_and_all_its_imports_are_valid():
    result = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", "--imports", "napari-ae-denoise"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_root_links_to_the_manifest():
    assert (ROOT / "napari.yaml").resolve() == ROOT / "src/napari_ae_denoise/napari.yaml"


def test_the_widgets_and_menus_are_those_that_users_are_promised(manifest):
    contributions = manifest.contributions
    assert [w.display_name for w in contributions.widgets] == [
        "Add Gaussian noise",
        "Train autoencoder",
        "Denoise",
        "Compare",
        "Batch",
    ]
    assert {"napari/layers/filter", "napari/layers/data", "napari/layers/measure"} <= set(
        contributions.menus
    )


def test_every_command_is_reached_from_somewhere(manifest):
    contributions = manifest.contributions
    reached = {w.command for w in contributions.widgets}
    reached |= {s.command for s in contributions.sample_data}
    items = [item for menu in contributions.menus.values() for item in menu]
    reached |= {item.command for item in items if hasattr(item, "command")}
    assert {c.id for c in contributions.commands} == reached


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("denoise", "denoise"),
        ("denoise active layer", "denoise_active"),
        ("train", "train"),
        ("autoencoder", "train"),
        ("add noise", "noise"),
        ("compare", "compare"),
        ("batch", "batch"),
        ("folder of images", "batch"),
    ],
)
def test_plain_words_find_each_command_in_the_palette(manifest, words, command):
    # which shows commands by these titles, and finds those that have all words
    titles = {c.id: c.title.lower() for c in manifest.contributions.commands}
    found = [one for one, title in titles.items() if all(w in title for w in words.split())]
    assert f"napari-ae-denoise.{command}" in found
