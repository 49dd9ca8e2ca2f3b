"""The notebooks of the examples execute, and show what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.jupyter.conftest import shown
from tests.support.processes import PATIENCE, ROOT

NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


def outputs(cell: Any) -> list[str]:
    """Return the lines that a cell shows, without what differs from machine to machine; streams may come in pieces."""
    lines = "".join(map(shown, cell.get("outputs", ()))).splitlines()
    # Each version of CPython marks other places of a line in a traceback, or none.
    lines = [line for line in lines if not line.strip() or line.strip("~^ ")]
    # The libraries of a command come first; what it was told to open comes last.
    return lines[-2:] if "varies" in cell.metadata.get("tags", ()) else lines


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_executes_and_shows_what_it_says(path: Path) -> None:
    read: Any = nbformat.read
    notebook = read(path, as_version=4)
    written = list(map(outputs, notebook.cells))
    NotebookClient(notebook, timeout=int(PATIENCE), kernel_name="python3").execute()
    assert written == list(map(outputs, notebook.cells))
    assert any(written)


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} == {"handlers", "sandlock"}
