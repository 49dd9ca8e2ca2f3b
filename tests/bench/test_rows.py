"""Every row of the benchmarks can be measured and reported. What comes out is nobody's business here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .picture import picture
from .report import BEGIN, END, markdown, terminal, write_json, write_markdown
from .rows import all_rows
from .timing import OURS, Effort, Goal, Measured, Row, measure

_SMALLEST = Effort(quick=True, rounds=1, peers=False)

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler on PATH")


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in all_rows()])
def test_a_row_is_measured(row: Row) -> None:
    result = measure(row, _SMALLEST)
    if any(absent.name == OURS for absent in result.absent):
        pytest.skip(result.absent[0].reason)
    assert all(len(values) == 1 and values[0] >= 0 for values in result.values.values())
    assert row.goal is None or result.met is not None
    for text in (terminal([result]), markdown([result])):
        assert row.title in text
        assert row.name in text


def test_goals_are_kept_and_missed() -> None:
    def verdict(goal: Goal, ours: float) -> bool | None:
        row = Row("name", "title", lambda setting: [], goal)
        return Measured(row, {OURS: [ours], "other": [2.0]}).met

    assert verdict(Goal(1.5, "other"), 3.0) is True
    assert verdict(Goal(1.5, "other"), 3.1) is False
    assert verdict(Goal(0.5, "other", at_least=True), 0.9) is False
    assert verdict(Goal(3), 3) is True
    assert verdict(Goal(1, "absent"), 1) is None


def test_the_tables_go_between_the_marks_of_a_document(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    result = Measured(Row("name", "title", lambda setting: [], Goal(1.5, "other")), {OURS: [1.0], "other": [2.0]})
    write_markdown(document, "heading", [result])
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "`name`" in text
    assert "old" not in text
    assert "title" in picture([result])


def test_the_values_are_kept(tmp_path: Path) -> None:
    row = next(row for row in all_rows() if row.name == "import")
    result = measure(row, _SMALLEST)
    write_json(tmp_path / "values.json", [result])
    (kept,) = json.loads((tmp_path / "values.json").read_text())["rows"]
    assert kept["values"] == result.values
