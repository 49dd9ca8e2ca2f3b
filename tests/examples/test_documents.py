"""Every block of code of the README and of docs runs and shows what the page says, and links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import sandlock
from sandlock import presets

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "docs").exists():
    pytest.skip("docs is not here", allow_module_level=True)
CHECKOUT = (ROOT / "CONTRIBUTING.md").exists()

WITH_CODE = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_LINKS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

BLOCK = re.compile(
    r"^```(?P<language>[a-z]*)\n(?P<code>.*?)^```$"
    r"(?:\n+prints\n+```text\n(?P<output>.*?)^```$|\n+shows `(?P<shown>[^`]*)`)?",
    re.M | re.S,
)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
TITLE = re.compile(r"^#+ +(.*)$", re.M)

NOT_RUN = {
    "make": "builds, or runs all tests; what make demo runs has a test of its own",
    "pip": "builds, with Go and a compiler; tests/packaging installs wheels",
}
"""Why commands are not run that stand at the beginning of a line in a shell block."""


def blocks(language: str) -> list[Any]:
    """Return the blocks in a language, as parameters of a test, with the lines where they begin."""
    return [
        pytest.param(block, id=f"{path.name}-{path.read_text()[: block.start()].count(chr(10)) + 1}")
        for path in WITH_CODE
        for block in BLOCK.finditer(path.read_text())
        if block["language"] == language
    ]


def test_reference_has_every_public_name() -> None:
    names = {"sandlock": set(sandlock.__all__), "sandlock.presets": set(presets.__all__)}
    text = (ROOT / "docs" / "api.md").read_text()
    errors = {name for name in names["sandlock"] if name.endswith("Error")}  # shown as a module
    missing = {name for each in names.values() for name in each - errors if not re.search(rf"\b{name}\b", text)}
    assert "::: sandlock.exceptions" in text
    assert missing == set()


def test_every_block_is_run_or_shown() -> None:
    """Blocks are fenced with three backticks at the start of a line, in a language that a test here knows."""
    for path in WITH_CODE:
        text = path.read_text()
        found = list(BLOCK.finditer(text))
        assert {block["language"] for block in found} <= {"python", "sh", "toml", "ipython", "text"}, path
        assert all(re.search("[\u2500-\u257f]", block["code"]) for block in found if block["language"] == "text"), (
            f"{path}: what is no output is a drawing"
        )
        fences = 2 * sum(1 if block["output"] is None else 2 for block in found)
        assert fences == len(re.findall(r"^ *(?:```|~~~)", text, re.M)), path
    assert all(map(blocks, ("python", "sh", "toml", "ipython")))


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put sandlock and pytest on PATH, for whatever interpreter runs the tests, and give them a home."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sandlock", "pytest"):
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {name} "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    for name in ("HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home" / "data" / "private").mkdir(parents=True, mode=0o700)


def run(command: list[str], folder: Path) -> str:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("block", blocks("python"))
def test_python_does_what_the_page_says(block: re.Match[str], tmp_path: Path) -> None:
    """What defines tests is run by pytest, where the plugin's fixtures are; the rest is a script."""
    command = [sys.executable, "-c", block["code"]]
    if re.search(r"^(?:async )?def test_", block["code"], re.M):
        (tmp_path / "build").mkdir()  # which one of them writes
        (tmp_path / "test_block.py").write_text(block["code"])
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    output = run(command, tmp_path)
    if block["output"] is not None:
        assert output == block["output"]


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize("block", blocks("sh"))
def test_shell_commands_work(block: re.Match[str], tmp_path: Path) -> None:
    """They are run in a project that has a test, and a Makefile."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "Makefile").write_text("all:\n\techo made > out\n")
    (work / "test_project.py").write_text("def test_project():\n    open('/etc/passwd').close()\n")
    lines = [line for line in block["code"].splitlines() if line.split()[0] not in NOT_RUN]
    run(["sh", "-ec", "\n".join(lines)], work)


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize("block", blocks("toml"))
def test_profiles_are_valid(block: re.Match[str], tmp_path: Path) -> None:
    (tmp_path / "block.toml").write_text(block["code"])
    run(["sandlock", "profile", "check", "./block.toml"], tmp_path)


@pytest.mark.parametrize(
    "path", [path for path in WITH_CODE if "```ipython" in path.read_text()], ids=lambda path: path.name
)
def test_cells_of_a_page_execute_one_after_the_other(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    found = [block for block in BLOCK.finditer(path.read_text()) if block["language"] == "ipython"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(block["code"].rstrip()) for block in found])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()
    for block, cell in zip(found, notebook.cells):
        if block["shown"] is not None:
            assert cell.outputs[-1].data["text/plain"] == block["shown"]


@pytest.mark.skipif(not CHECKOUT, reason="links need the whole checkout")
def test_links_lead_somewhere() -> None:
    links = [(path, target) for path in WITH_LINKS for target in LINK.findall(path.read_text())]
    assert links
    for path, target in links:
        if re.match("[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), f"{path}: {target}"
        pages = ROOT / "docs"
        if pages in path.parents:
            assert pages in file.resolve().parents, f"{path}: {target} is not among the pages that make docs builds"
        titles = TITLE.findall(file.read_text()) if anchor else []
        anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
        assert not anchor or anchor in anchors, f"{path}: {target}"
