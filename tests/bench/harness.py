"""Measure what sandlock costs beside something else, and print the ratios.

A figure compares two measurements that are taken in turn (ours, other, ours, other, ...), so that whatever slows the
machine down slows both. Times of different runs, or of different machines, are not to be compared.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Figure", "Measured", "machine", "measure", "table", "write_json"]


@dataclass(frozen=True)
class Figure:
    """What is measured. Both measurements return seconds; ``goal`` is the highest ratio that we accept."""

    name: str
    ours: Callable[[], float]
    other: Callable[[], float]
    other_name: str
    goal: float
    rounds: int
    uncounted: int = 3
    """Rounds before the first that counts, to warm caches up."""


@dataclass(frozen=True)
class Measured:
    """What came out: medians in seconds."""

    figure: str
    ours: float
    other: float
    other_name: str
    ratio: float
    goal: float
    met: bool
    rounds: int


def measure(figure: Figure) -> Measured:
    """Take both measurements in turn, and compare their medians."""
    ours, others = [], []
    for _ in range(figure.uncounted):
        figure.ours()
        figure.other()
    for _ in range(figure.rounds):
        ours.append(figure.ours())
        others.append(figure.other())
    our, other = statistics.median(ours), statistics.median(others)
    ratio = our / other
    return Measured(figure.name, our, other, figure.other_name, ratio, figure.goal, ratio <= figure.goal, figure.rounds)


def machine() -> dict[str, str | int]:
    """Return what the times depend on."""
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


_HEADER = ("figure", "ours", "other", "", "ratio", "goal", "", "runs of each")
_RIGHT = {1, 2, 4, 5, 7}  # columns of numbers


def table(results: Iterable[Measured]) -> str:
    """Return the results as aligned lines."""
    rows = [_HEADER, *(_row(result) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(_line(row, widths) for row in rows)


def _row(m: Measured) -> tuple[str, ...]:
    verdict = "met" if m.met else "missed"
    ratio, goal = f"{m.ratio:.2f}", f"{m.goal:.2f}"
    return (m.figure, _time(m.ours), _time(m.other), m.other_name, ratio, goal, verdict, str(m.rounds))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if i in _RIGHT else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths))
    ]
    return "  ".join(cells).rstrip()


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def write_json(file: Path, results: Iterable[Measured]) -> None:
    """Write machine and results; times are in seconds."""
    document = {"machine": machine(), "figures": [asdict(result) for result in results]}
    file.write_text(json.dumps(document, indent=2) + "\n")
