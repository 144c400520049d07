"""The house rules of the source tree: who may import whom, and how long a file may be."""

import ast
from pathlib import Path

import pytest

import napari_ae_denoise

SOURCE = Path(napari_ae_denoise.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
GUI = {"napari", "magicgui", "qtpy", "superqt", "pyqtgraph", "PyQt5", "PyQt6", "PySide2", "PySide6"}
LEAVES = ("errors", "tiling", "steps")
LARGEST = 320  # lines


def imports(path, *, when_loaded=False):
    """Return the modules that a file imports: anywhere in it, or only when it is loaded itself."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if when_loaded else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path, **which):
    """Return which of our own modules a file imports, by the name within the package."""
    prefix = "napari_ae_denoise."
    found = imports(path, **which)
    return {m.removeprefix(prefix).split(".")[0] for m in found if m.startswith(prefix)}


def name(path):
    return str(path.relative_to(SOURCE).as_posix())


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_qt_folder_imports_the_gui(path):
    if path.relative_to(SOURCE).parts[0] != "_qt":
        assert not {module.split(".")[0] for module in imports(path)} & GUI


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_core_imports_neither_panels_nor_command_line(path):
    place = path.relative_to(SOURCE).parts[0]
    if place not in ("_qt", "_cli", "cli.py", "__main__.py"):
        assert not {"_qt", "_cli", "cli"} & ours(path)
    if place in ("_cli", "cli.py"):  # the demo opens the viewer, and nothing else does
        assert "_qt" not in ours(path, when_loaded=True)


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaves_import_nothing_of_ours(leaf):
    assert not ours(SOURCE / f"{leaf}.py") - {"errors"}


@pytest.mark.parametrize("module", ["axes", "normalization", "model_file", "storage", "devices"])
def test_low_modules_know_no_network(module):
    assert not ours(SOURCE / f"{module}.py") & {"networks", "denoiser", "training", "prediction"}


def test_prediction_and_training_point_one_way():
    assert not ours(SOURCE / "prediction.py") & {"denoiser", "training", "cli"}
    assert not ours(SOURCE / "denoiser.py") & {"training", "sampling", "cli"}
    assert not ours(SOURCE / "networks.py") & {"denoiser", "training", "prediction", "sampling"}


def test_imports_of_the_core_make_no_circle():
    modules = {
        p.stem: ours(p, when_loaded=True) for p in SOURCE.glob("*.py") if p.stem != "__init__"
    }
    done = set()

    def visit(module, path):
        assert module not in path, f"a circle: {' -> '.join([*path, module])}"
        if module in done or module not in modules:
            return
        for other in sorted(modules[module] - {"__version__"}):
            visit(other, [*path, module])
        done.add(module)

    for module in sorted(modules):
        visit(module, [])
    assert "errors" in done


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_stay_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LARGEST


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
