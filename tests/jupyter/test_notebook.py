"""The notebook of the examples executes."""

from __future__ import annotations

from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.jupyter.conftest import shown
from tests.support.processes import PATIENCE, ROOT


def outputs(notebook: Any) -> list[str]:
    """Return what each cell shows; how a stream is cut into pieces differs."""
    return ["".join(map(shown, cell.get("outputs", ()))) for cell in notebook.cells]


def test_notebook_executes_and_shows_what_it_says() -> None:
    read: Any = nbformat.read
    notebook = read(ROOT / "examples" / "notebooks" / "sandlock.ipynb", as_version=4)
    (audit,) = (i for i, cell in enumerate(notebook.cells) if cell.source.startswith("%sandlock_audit"))
    written = outputs(notebook)
    NotebookClient(notebook, timeout=int(PATIENCE), kernel_name="python3").execute()
    executed = outputs(notebook)
    for texts in (written, executed):  # the libraries of the command differ from machine to machine
        assert "opened    /etc/passwd\n  opened    /etc/nothing" in texts.pop(audit)
    assert written == executed
