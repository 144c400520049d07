"""Break tiling.py and model_file.py in every small way that cosmic-ray knows; see the tests fail.

Each change (a mutant) is tried in a fork of this process, which has torch and the tests' libraries
loaded already, so that a mutant takes a second and not ten. The source is not touched: the fork
imports the changed text in its place. Changes of annotations and docstrings only are no mutants, as
nothing runs them. A mutant is killed by a failing test, by a crash, or by using up its processor
time; it survives where all tests pass.

What was found is kept in build/mutants.json, and a run goes on where the one before it ended;
mutants that survived are tried again with ``--again``, and where source or tests have changed
``--anew`` begins again. Needs cosmic-ray, and a system that can fork.

    python scripts/mutants.py --seconds 600
"""

from __future__ import annotations

import argparse
import ast
import gc
import hashlib
import importlib.abc
import importlib.util
import itertools
import json
import os
import pickle
import random
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_ae_denoise"
KEPT = ROOT / "build" / "mutants.json"
TESTS = {  # the quick ones first, for most mutants die at once
    "tiling": ["tests/test_tiling.py"],
    "model_file": ["tests/test_model_file.py", "tests/test_hostile_files.py"],
}
GOAL = 80  # percent
_CPU_SECONDS = 60  # of all tests of a mutant; they need some seconds
_MEMORY = 8 * 1024**3  # bytes of addresses; torch alone spans some


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a module of ours from a text."""

    def __init__(self, module: str, text: str) -> None:
        self.name, self.text = f"napari_ae_denoise.{module}", text

    def find_spec(self, name, path, target=None):
        """Return where the module comes from."""
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module) -> None:
        """Run the text."""
        exec(compile(self.text, f"{self.name} (mutated)", "exec"), module.__dict__)


class Behaviour(ast.NodeTransformer):
    """Takes away what a program says of itself and never runs."""

    def visit_AnnAssign(self, node):
        """Keep the name and the value."""
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node):
        """Forget the types of what goes in and comes out."""
        node.returns = None
        for argument in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs):
            argument.annotation = None
        return self.generic_visit(node)

    def visit_Expr(self, node):
        """Forget docstrings."""
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)


def behaviour(text: str) -> str:
    """Return what of a module's text is run."""
    return ast.dump(Behaviour().visit(ast.parse(text)))


def mutants(module: str) -> dict[str, str]:
    """Return all changed texts of a module, by line and change."""
    text = (PACKAGE / f"{module}.py").read_text("utf-8")
    usual, found = behaviour(text), {}
    for changed in _changes(text):
        try:
            if changed not in found and behaviour(changed) != usual:
                found[changed] = f"{_said(module, text, changed)} #{_digest(changed)}"
        except SyntaxError:
            continue
    return {said: changed for changed, said in found.items()}


def _changes(text: str):
    """Yield a text with each change of each operator of cosmic-ray."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(text)))
    lines = text.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(len(line) for line in lines)]
    operators = [get_operator(name) for name in operator_names()]
    for operator in (kind() for kind in operators if not kind.arguments()):
        for node in nodes:
            for index in range(len(list(operator.mutation_positions(node)))):
                # cosmic-ray itself parses and walks the whole text again for each change
                new = operator.mutate(_apart(node), index)
                code = "" if new is None else new.get_code(include_prefix=False)
                (line, column), (last, end) = node.start_pos, node.end_pos
                yield text[: starts[line - 1] + column] + code + text[starts[last - 1] + end :]


def _apart(node):
    """Return a copy of a part of a parsed text, but not of all that it is a part of."""
    parent, node.parent = node.parent, None
    copy = pickle.loads(pickle.dumps(node))
    copy.parent = node.parent = parent
    return copy


def _said(module: str, text: str, changed: str) -> str:
    """Say which line was changed, and to what."""
    before, after = text.splitlines(), changed.splitlines()
    number = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(after)
    )
    line = after[number].strip() if len(before) == len(after) else f"without {before[number]}"
    return f"{module}.py:{number + 1}: {line}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def passes(module: str, text: str) -> bool:
    """Return whether the tests of a module pass with a text in its place."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.meta_path.insert(0, Mutated(module, text))
        import pytest

        options = ["-x", "-q", "-p", "no:cacheprovider", "--assert", "plain", "--tb", "no"]
        code = int(pytest.main([*options, "-p", "pytest_timeout", *TESTS[module]], [Short()]))
    finally:
        os._exit(code)


class Short:
    """A plugin of pytest: that a case fails is enough, no smaller one is looked for."""

    def pytest_collection(self) -> None:
        """Change hypothesis, after conftest.py and before the tests."""
        from hypothesis import Phase, settings

        usual = settings.get_profile("repeatable")
        settings.register_profile("short", usual, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("short")


def load() -> None:
    """Import what takes long to import; our own modules are forgotten again."""
    import pytest
    import pytest_timeout
    import torch

    import napari_ae_denoise.training

    del pytest, pytest_timeout, napari_ae_denoise
    sys.path.insert(0, str(ROOT / "tests"))
    import conftest

    del conftest
    torch.set_num_threads(1)
    for name in [n for n in sys.modules if n == "conftest" or n.startswith("napari_ae_denoise")]:
        del sys.modules[name]
    gc.freeze()  # what is there already is no garbage: the forks need not look through it


def main() -> None:
    """Try mutants and print the score; end with 1 where it is below the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--modules", nargs="+", default=list(TESTS))
    parser.add_argument("--again", action="store_true", help="try again those that survived")
    parser.add_argument("--anew", action="store_true", help="forget earlier runs")
    args = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(PACKAGE.parent))
    sys.dont_write_bytecode = False  # the forks import the same files over and over
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    load()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not args.anew else {}
    KEPT.parent.mkdir(exist_ok=True)
    worst = 100.0
    for module in args.modules:
        every = mutants(module)
        if not passes(module, (PACKAGE / f"{module}.py").read_text("utf-8")):
            raise SystemExit(f"the tests of {module} fail without any change")
        order = list(every.items())
        random.Random(0).shuffle(order)  # where time is short, those that were tried are a sample
        end = time.monotonic() + args.seconds / len(args.modules)
        for name, text in order:
            if time.monotonic() > end:
                break
            if name not in kept or (args.again and not kept[name]):
                kept[name] = not passes(module, text)
                KEPT.write_text(json.dumps(kept, indent=0))
        tried = [name for name in every if name in kept]
        survived = [name for name in tried if not kept[name]]
        score = 100 * (1 - len(survived) / max(len(tried), 1))
        worst = min(worst, score)
        print(*survived, sep="\n")
        print(f"{module}: {len(tried)} of {len(every)} mutants, {score:.1f} % killed\n", flush=True)
    sys.exit(worst < GOAL)


if __name__ == "__main__":
    main()
