"""The results as text: for the terminal, for docs/benchmarks.md, and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from .timing import OURS, Goal, Measured, Unit

__all__ = ["BEGIN", "END", "machine", "markdown", "terminal", "write_json", "write_markdown"]


def machine() -> str:
    """Return what the values depend on."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    cores = len(os.sched_getaffinity(0))
    return f"Linux {platform.release()} on {platform.machine()}, {cores} cores, {python}"


def terminal(results: Sequence[Measured]) -> str:
    """Return the tables as aligned text."""
    return _text(results, "simple", "")


def markdown(results: Sequence[Measured]) -> str:
    """Return the tables in Markdown."""
    return _text(results, "pipe", "`")


_HEADERS = ("row", "figure", "ours", "beside", "ratio", "goal", "", "runs", "others")


def _text(results: Sequence[Measured], style: str, quote: str) -> str:
    """Return the tables, and below them why something is missing; ``quote`` is what row names stand between."""
    compared = [_row(result, quote) for result in results if not result.row.layers]
    parts = []
    if compared:
        align = ("left", "left", "right", "left", "right", "right", "left", "right", "left")
        parts.append(tabulate(compared, _HEADERS, style, disable_numparse=True, colalign=align))
    for result in results:
        if result.row.layers:
            title = f"{quote}{result.row.name}{quote}: {result.row.title}"
            headers = (title, "median", "more than before", "runs")
            sides = ("left", "right", "right", "right")
            parts.append(tabulate(_layers(result), headers, style, disable_numparse=True, colalign=sides))
    absent = sorted({f"{a.name} was not measured: {a.reason}." for r in results for a in r.absent})
    return "\n\n".join([*parts, *absent])


def _row(result: Measured, quote: str) -> tuple[str, ...]:
    row, goal = result.row, result.row.goal
    against = goal.against if goal and goal.against in result.values else None
    others = [_other(result, name, against) for name in result.values if name not in (OURS, against)]
    runs = [len(values) for values in result.values.values()]
    return (
        f"{quote}{row.name}{quote}",
        row.title,
        _value(result.median(OURS), row.unit) if OURS in result.values else "-",
        f"{against} {_value(result.median(against), row.unit)}" if against else "",
        f"{result.judged:.2f}" if against and result.judged is not None else "",
        _goal(goal, row.unit) if goal else "",
        {None: "not measured" if goal else "", True: "met", False: "missed"}[result.met],
        str(runs[0]) if len(set(runs)) == 1 else f"{max(runs)} ({min(runs)})",
        ", ".join(others),
    )


def _goal(goal: Goal, unit: Unit) -> str:
    sign = "≥" if goal.at_least else "≤"
    return f"{sign} {goal.bound:g}" if goal.against else f"{sign} {_value(goal.bound, unit)}"


def _other(result: Measured, name: str, against: str | None) -> str:
    """Describe a contestant that no goal is about, as a ratio where the row has one."""
    median = result.median(name)
    if against:
        return f"{name} {median / result.median(against):.2f}"
    return f"{name} {_value(median, result.row.unit)}"


def _layers(result: Measured) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    before = 0.0
    for name, values in result.values.items():
        median = statistics.median(values)
        lines.append((name, _value(median, result.row.unit), f"{(median - before) * 1e6:+.2f} us", str(len(values))))
        before = median
    return lines


def _value(value: float, unit: Unit) -> str:
    if unit is Unit.SECONDS:
        scales = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
        name, size = next((scale for scale in scales if value >= scale[1]), ("ns", 1e-9))
        return f"{value / size:.3g} {name}"
    if unit is Unit.BYTES:
        return f"{value / (1 << 20):.3g} MiB" if value >= 1 << 20 else f"{value / 1024:.3g} KiB"
    return f"{value:,.0f}{unit.value}" if value >= 100 else f"{value:.4g}{unit.value}"


BEGIN, END = "<!-- written by make bench -->", "<!-- end of what make bench writes -->"


def write_markdown(file: Path, heading: str, results: Sequence[Measured]) -> None:
    """Write the tables into a document, between its two marks, or into a new one."""
    before, after = "", "\n"
    if file.exists():
        text = file.read_text()
        if BEGIN not in text or END not in text:
            raise SystemExit(f"{file} has no lines {BEGIN!r} and {END!r} between which the tables would go")
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    file.write_text(f"{before}{BEGIN}\n\n{heading}\n\n{markdown(results)}\n\n{END}{after}")


def write_json(file: Path, results: Iterable[Measured]) -> None:
    """Write the machine and all values: seconds, bytes, numbers, and numbers per second."""
    rows: list[dict[str, Any]] = [
        {
            "row": result.row.name,
            "title": result.row.title,
            "unit": result.row.unit.value,
            "goal": result.row.goal and vars(result.row.goal),
            "judged": result.judged,
            "met": result.met,
            "values": result.values,
            "absent": {a.name: a.reason for a in result.absent},
        }
        for result in results
    ]
    file.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")
