"""What ``sandlock audit`` and ``sandlock learn`` show while the command runs."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from .._printable import printable
from ..audit import OPENS, Audit, Call
from .screen import rich_console

__all__ = ["LiveView"]


class LiveView:
    """The lines for the moment: how much was recorded and, with rich, what came last."""

    def __init__(self, record: Audit) -> None:
        self._record = record
        self._counted = 0
        self._names: dict[str, set[str]] = {kind: set() for kind in ("programs", "files", "changed", "peers")}
        self._last: dict[str, str] = {}
        self._terminal = rich_console(sys.stderr) or rich_console(sys.stdout)

    def __call__(self, columns: int) -> Sequence[str]:
        calls = self._record.calls
        for call in calls[self._counted :]:
            self._count(call)
            self._counted += 1
        numbers = "  ".join(f"{len(names)} {kind}" for kind, names in self._names.items())
        title = f"sandlock: {self._record.seconds:.1f} s  {self._counted + self._record.more_calls} calls  {numbers}"
        lines = (
            [title] if self._terminal is None else [title, *(f"{kind:>10}  {self._last[kind]}" for kind in self._last)]
        )
        cropped = [printable(line)[: columns - 1] for line in lines]
        return cropped if self._terminal is None else self._coloured(cropped, columns)

    def _count(self, call: Call) -> None:
        kind = _kind(call)
        for name in (*call.paths, *([call.peer] if call.peer else [])):
            if kind is not None:
                self._names[kind].add(name)
                self._last[kind] = name

    def _coloured(self, lines: Sequence[str], columns: int) -> Sequence[str]:
        from rich.console import Console
        from rich.text import Text

        assert self._terminal is not None
        console = Console(
            file=io.StringIO(),
            force_terminal=True,
            color_system=self._terminal.color_system,  # type: ignore[arg-type]
            no_color=self._terminal.no_color,
            width=columns - 1,
        )
        with console.capture() as captured:
            for number, line in enumerate(lines):
                console.print(Text(line, "dim" if number else "bold cyan"), no_wrap=True, crop=True, overflow="crop")
        return captured.get().splitlines()


def _kind(call: Call) -> str | None:
    if call.argv:
        return "programs"
    if call.writes:
        return "changed"
    if call.syscall in OPENS:
        return "files"
    return "peers" if call.peer else None
