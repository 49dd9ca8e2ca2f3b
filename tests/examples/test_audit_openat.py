"""The example audits a real program, and its output has the promised shape."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "audit_openat.py"

OUTPUT = re.compile(
    r"openat was called (?P<calls>\d+) times\. Most often for:\n"
    r"(?P<table>(?: *\d+  \S.*\n){10})"
    r"exit code: 0\n"
)


def test_example_prints_what_was_opened(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, EXAMPLE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    output = OUTPUT.fullmatch(run.stdout)
    assert output, run.stdout
    rows = output["table"].splitlines()
    counts = [int(row.split()[0]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) <= int(output["calls"])
    assert len({re.match(r" *\d+", row).end() for row in rows}) == 1, "the counts are aligned"  # type: ignore[union-attr]


def test_example_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, EXAMPLE], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert list(tmp_path.iterdir()) == []
