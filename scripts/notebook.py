"""Make the notebook of the examples from a script in cells, run, with its outputs.

    python scripts/notebook.py

Needs nbclient, nbformat and ipykernel beside the package (the extra ``docs``).
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "denoise_and_compare.py"
NOTEBOOK = SCRIPT.with_suffix(".ipynb")
_MARK = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


class Cell(NamedTuple):
    """A cell of a notebook."""

    kind: str
    source: str


def cells_of(script: str) -> list[Cell]:
    """Cut a script at its marks ``# %%`` and ``# %% [markdown]``."""
    parts = _MARK.split(script)[1:]
    cells = []
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        if mark:
            lines = [line.removeprefix("#").removeprefix(" ") for line in text.splitlines()]
            cells.append(Cell("markdown", "\n".join(lines).strip()))
        else:
            cells.append(Cell("code", text.strip()))
    return cells


def main() -> None:
    """Write the notebook."""
    import nbformat
    from nbclient import NotebookClient

    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    cells = [make[kind](source) for kind, source in cells_of(SCRIPT.read_text(encoding="utf-8"))]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # the same each time
    notebook = nbformat.v4.new_notebook(cells=cells)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times
        if cell.cell_type == "code":  # what libraries say of this machine
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(notebook)
    NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    print(f"wrote {NOTEBOOK} ({NOTEBOOK.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()
