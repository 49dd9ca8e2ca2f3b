"""Lines below what a command writes to a terminal. They give way to it, and never come between its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

__all__ = ["Footer", "Lines"]

Lines = Callable[[int], Sequence[str]]
"""Returns the lines to show on a terminal of so many columns."""

# A command that moves the cursor, other than in its line, draws the whole screen itself: control sequences other than
# for colours (m), the rest of a line (K) and titles (]). See console_codes(4).
_MOVES = re.compile(rb"\x1b(?!\[[0-9;:]*([mK]|$)|\]|$)|[\x0b\x0c]")
_LONGEST = 32  # bytes of such a sequence


class Footer:
    """Tells what to write to a terminal: from the command, and of the lines."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._shown = 0
        self._at_start = True
        self._tail = b""
        self._gone = False

    def above(self, data: bytes) -> bytes:
        """Return what to write for what the command has written."""
        written = self._tail + data
        self._gone = self._gone or _MOVES.search(written) is not None
        self._tail = written[-_LONGEST:]
        self._at_start = data.endswith(b"\n")
        return self.hidden() + data

    def shown(self, columns: int) -> bytes:
        """Return what to write so that the lines are there as they are now; nothing where they would be in the way."""
        if self._gone or not self._at_start:
            return b""
        lines = self._lines(columns)
        hidden, self._shown = self.hidden(), len(lines)
        return hidden + "\r\n".join(lines).encode(errors="replace")

    def hidden(self) -> bytes:
        """Return what to write so that the lines are gone, and the cursor where the command has left it."""
        shown, self._shown = self._shown, 0
        up = b"\x1b[%dA" % (shown - 1) if shown > 1 else b""
        return b"\r" + up + b"\x1b[J" if shown else b""
