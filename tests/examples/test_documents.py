"""Every Python block of the README and of docs runs and prints what the page says, and links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sandlock
from sandlock import presets

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "docs").exists():
    pytest.skip("docs is not here", allow_module_level=True)
CHECKOUT = (ROOT / "CONTRIBUTING.md").exists()

WITH_CODE = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_LINKS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$(?:\n+prints\n+```text\n(?P<output>.*?)^```$)?", re.M | re.S)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
TITLE = re.compile(r"^#+ +(.*)$", re.M)

BLOCKS = [
    pytest.param(block, id=f"{path.name}-{path.read_text()[: block.start()].count(chr(10)) + 1}")
    for path in WITH_CODE
    for block in BLOCK.finditer(path.read_text())
]


def test_reference_has_every_public_name() -> None:
    names = {"sandlock": set(sandlock.__all__), "sandlock.presets": set(presets.__all__)}
    text = (ROOT / "docs" / "api.md").read_text()
    errors = {name for name in names["sandlock"] if name.endswith("Error")}  # shown as a module
    missing = {name for each in names.values() for name in each - errors if not re.search(rf"\b{name}\b", text)}
    assert "::: sandlock.errors" in text
    assert missing == set()


def test_no_python_is_written_in_another_way() -> None:
    """Blocks are fenced with three backticks at the start of a line; none is a console session, which would not run."""
    fences = sum(len(re.findall(r"(?:```|~~~) *(?:python|py|pycon)", path.read_text())) for path in WITH_CODE)
    assert len(BLOCKS) == fences > 0


@pytest.mark.parametrize("block", BLOCKS)
def test_block_does_what_the_page_says(block: re.Match[str], tmp_path: Path) -> None:
    """What defines tests is run by pytest, where the plugin's fixtures are; the rest is a script."""
    command = [sys.executable, "-c", block["code"]]
    if re.search(r"^(?:async )?def test_", block["code"], re.M):
        (tmp_path / "build").mkdir()  # which one of them writes
        (tmp_path / "test_block.py").write_text(block["code"])
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    if block["output"] is not None:
        assert run.stdout == block["output"]


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
