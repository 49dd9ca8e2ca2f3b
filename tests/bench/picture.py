"""The ratios as a picture: one line a row, one mark a contestant, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from .timing import OURS, Measured

__all__ = ["picture"]

_LEFT, _RIGHT, _LINE, _TOP = 380, 860, 24, 48
_LOWEST, _HIGHEST = 0.05, 50.0
_COLOURS = {OURS: "#0b6e4f", "bubblewrap": "#9a6324", "goal": "#444444"}
_OTHERS = "#c0392b"


def picture(results: Sequence[Measured]) -> str:
    """Return an SVG of the rows whose goal is a ratio."""
    compared = [r for r in results if r.row.goal and r.row.goal.against and r.judged is not None]
    bottom = _TOP + _LINE * len(compared)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {bottom + 30}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="900" height="{bottom + 30}" fill="white"/>',
        _legend(),
    ]
    for tick in (0.1, 0.3, 1, 3, 10, 30):
        x, colour = _x(tick), "#888888" if tick == 1 else "#dddddd"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{bottom}" stroke="{colour}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    for number, result in enumerate(compared):
        parts += _line(result, _TOP + _LINE * number + _LINE // 2)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend() -> str:
    names = (OURS, "goal", "bubblewrap", "other")
    marks = [
        f'<circle cx="{_LEFT + 100 * n}" cy="16" r="5" fill="{_COLOURS.get(name, _OTHERS)}"/>'
        f'<text x="{_LEFT + 100 * n + 9}" y="20">{name}</text>'
        for n, name in enumerate(names)
    ]
    return "".join(marks)


def _line(result: Measured, y: int) -> list[str]:
    goal = result.row.goal
    assert goal is not None
    assert goal.against is not None
    base = result.median(goal.against)
    parts = [f'<text x="{_LEFT - 30}" y="{y + 4}" text-anchor="end">{escape(result.row.title)}</text>']
    x = _x(goal.bound)
    parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{y + 8}" stroke="#444444" stroke-width="2"/>')
    for name in result.values:
        if name != goal.against:
            ratio = result.median(name) / base
            label = escape(f"{name}: {ratio:.2f} times {goal.against}")
            colour = _COLOURS.get(name, _OTHERS)
            parts.append(f'<circle cx="{_x(ratio):.1f}" cy="{y}" r="5" fill="{colour}"><title>{label}</title></circle>')
    return parts


def _x(ratio: float) -> float:
    """Return where a ratio lies; what is beyond the scale lies at its end."""
    share = math.log(min(max(ratio, _LOWEST), _HIGHEST) / _LOWEST) / math.log(_HIGHEST / _LOWEST)
    return _LEFT + share * (_RIGHT - _LEFT)
