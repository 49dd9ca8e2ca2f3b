"""Every Python block of README.md runs, and prints what the text block after it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
if not README.exists():
    pytest.skip("README.md is not here", allow_module_level=True)

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$(?:\n+prints\n+```text\n(?P<output>.*?)^```$)?", re.M | re.S)
BLOCKS = list(BLOCK.finditer(README.read_text()))


def test_readme_has_python_blocks() -> None:
    assert len(BLOCKS) == README.read_text().count("```python\n") > 0


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"offset-{block.start()}")
def test_block_prints_what_readme_says(block: re.Match[str], tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", block["code"]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    if block["output"] is not None:
        assert run.stdout == block["output"]
