import subprocess
import sys
from pathlib import Path

import npe2
import pytest
from qtpy.QtCore import Qt

from .conftest import PLUGIN

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


WORDS = {  # what people type, and the command or the sample that it should find
    "denoise": "open_denoise",
    "denoise active layer": "denoise_active",
    "train": "train",
    "autoencoder": "train",
    "add noise": "noise",
    "gaussian": "noise",
    "compare": "compare",
    "batch": "batch",
    "folder of images": "open_batch",
    "remove noise": "open_denoise",
    "denoise stack": "open_denoise",
    "denoising model": "open_train",
    "psnr": "open_compare",
    "ssim": "open_compare",
    "mitochondria": "mitochondria",
    "noisy photograph": "photograph",
    "noisy fluorescence": "fluorescence",
    "noisy z-stack": "stack",
    "fashion-mnist": "fashion-mnist",
}


def test_plain_words_find_each_command_in_naparis_palette(viewer, manifest, qtbot):
    from napari._qt.widgets.qt_command_palette import QCommandPalette

    palette = viewer.window._qt_window.findChild(QCommandPalette)
    viewer.window._toggle_command_palette()
    contributions = manifest.contributions
    # napari before 0.8 calls the command of a widget after the widget, and a sample's after both
    older = {f"{PLUGIN}:{one.display_name}": one.command for one in contributions.widgets}
    older |= {f"{PLUGIN}:{one.key}": f"{PLUGIN}.{one.key}" for one in contributions.sample_data}
    not_found = {}
    for words, command in WORDS.items():
        palette._line.setText(words)
        found = [older.get(one.id, one.id) for one in palette._list.iter_command()]
        if f"{PLUGIN}.{command}" not in found[:10]:
            not_found[words] = found[:10]
    assert not not_found
    samples = {one.command: one.key for one in contributions.sample_data}
    commands = {one.id for one in contributions.commands} - set(samples)
    commands.remove(f"{PLUGIN}.denoise")  # opens what open_denoise opens, and has no other words
    wanted = commands | {f"{PLUGIN}.{key}" for key in samples.values()}
    assert {f"{PLUGIN}.{command}" for command in WORDS.values()} == wanted


def test_what_the_palette_finds_is_opened_by_a_press(viewer, qtbot):
    from napari._qt.widgets.qt_command_palette import QCommandPalette

    palette = viewer.window._qt_window.findChild(QCommandPalette)
    viewer.window._toggle_command_palette()
    for words, panel in {
        "folder of images": "Batch",
        "remove noise": "Denoise",
        "denoising model": "Train autoencoder",
        "psnr": "Compare",
        "add gaussian": "Add Gaussian noise",
    }.items():
        palette._line.setText(words)
        qtbot.keyClick(palette._line, Qt.Key.Key_Return)
        assert f"{panel} (AE Denoise)" in viewer.window.dock_widgets
