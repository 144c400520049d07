import ast
import pickle
from pathlib import Path

import pytest

import napari_ae_denoise
from napari_ae_denoise import DenoisingError

SOURCE = Path(napari_ae_denoise.__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}


def families():
    """Return the names of the errors for users, and the places in their own classes."""
    names, classes = (
        {"DenoisingError"},
        [
            node
            for tree in TREES.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        ],
    )
    while True:
        bases = {c.name for c in classes if names & {getattr(b, "id", "") for b in c.bases}}
        if bases <= names:
            inside = {call for c in classes if c.name in names for call in ast.walk(c)}
            return names, inside
        names |= bases


ERRORS, INSIDE = families()


def test_the_errors_for_users_are_known():
    assert {"NoLayer", "TileError", "AnotherFamily"} < ERRORS


def test_error_says_both_sentences():
    error = DenoisingError("The cause.", "The remedy.")
    assert (error.cause, error.remedy) == ("The cause.", "The remedy.")
    assert str(error) == "The cause. The remedy."


def test_error_is_no_runtime_error():
    assert not issubclass(DenoisingError, RuntimeError)
    assert issubclass(DenoisingError, ValueError)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_error_survives_a_process_pool(protocol):
    error = pickle.loads(pickle.dumps(DenoisingError("Cause {} %s.", "Remedy."), protocol))
    assert type(error) is DenoisingError
    assert (error.cause, error.remedy) == ("Cause {} %s.", "Remedy.")
    assert str(error) == "Cause {} %s. Remedy."


def made():
    """Go through all places in the source where an error for users is made."""
    for path in sorted(TREES):
        for node in ast.walk(TREES[path]):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if name in ERRORS or (name == "cls" and node in INSIDE):
                yield pytest.param(node, id=f"{path.relative_to(SOURCE)}:{node.lineno}")


def sentence(node):
    """Return what is known of a sentence before it is made: ``?`` stands for what is not."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(sentence(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return sentence(node.left) + sentence(node.right)
    if isinstance(node, ast.IfExp):
        return min(sentence(node.body), sentence(node.orelse), key=len)
    if isinstance(node, ast.BoolOp):
        return min((sentence(value) for value in node.values), key=len)
    return "?"


@pytest.mark.parametrize("call", list(made()))
def test_every_error_says_a_cause_and_a_remedy(call):
    assert len(call.args) == 2
    assert not call.keywords
    for part in map(sentence, call.args):
        assert part.strip()
        assert part[-1] in ".!?", f"this is no sentence: {part}"
        assert "?" in part or len(part) >= 10, f"this says nothing: {part}"


def test_all_errors_were_found():
    assert len(list(made())) > 100


def test_no_error_of_another_kind_is_raised_for_users():
    """Other errors are for what calls this package from Python, or are caught here."""
    allowed = {"AssertionError", "AttributeError", "EOFError", "ImportError", "KeyError"}
    allowed |= {"StopIteration", "TypeError", "ValueError", "SystemExit"}
    allowed |= {"Refused"}  # interop/zoo_description.py catches it
    raised = set()
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = getattr(node.exc.func, "id", getattr(node.exc.func, "attr", ""))
                if name[:1].isupper():
                    raised.add(name)
    assert "RuntimeError" not in raised
    assert raised - ERRORS <= allowed | {"BadParameter", "UsageError", "Exit"}
