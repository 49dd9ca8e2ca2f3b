"""What is shown of a command while it runs: for how long it has, and what it reaches for."""

from __future__ import annotations

import html
import time
from typing import Any

from IPython.display import display

from ..audit import Audit
from .views import as_html, as_text, bundle

__all__ = ["Progress"]

_LONG = 2.0
"""Seconds after which a run without an audit is so long that its time is shown."""
_SHARE = 5
"""How many times as long as a view takes to be made nothing is updated, so that the command's output is not held up."""


class Progress:
    """Shows one view and updates it, where a frontend can: a terminal prints each one, and is shown the last only.

    Args:
        updates: whether the frontend can update what it shows.
        timeout: seconds after which the command is killed, or None.
        record: what is shown as a table; without it a line appears when the run has become a long one.
    """

    def __init__(self, updates: bool, timeout: float | None, record: Audit | None = None) -> None:
        self._updates = updates
        self._limit = "" if timeout is None else f" of at most {timeout:g} s"
        self._record = record
        self._start = time.monotonic()
        self._next = self._start if record else self._start + _LONG
        self._shown: tuple[object, ...] | None = None
        self._view: Any = None
        self.interrupted = False
        """Whether the command was asked to end."""

    def tick(self) -> None:
        """Show the state, if it is another one than what is shown and the time for it has come."""
        now = time.monotonic()
        calls = len(self._record.calls) + self._record.more_calls if self._record else 0
        state = (int(now - self._start), calls, self.interrupted)
        if not self._updates or now < self._next or state == self._shown:
            return
        self._shown = state
        text = f"running for {state[0]} s{self._limit}"
        if self.interrupted:
            text += ", interrupted; once more kills it"
        self._show(bundle(self._record, text) if self._record else _line(text))
        after = time.monotonic()
        self._next = after + _SHARE * (after - now)

    def end(self) -> None:
        """Show how it was in the end."""
        if self._record is not None:
            self._show({"text/plain": as_text(self._record), "text/html": as_html(self._record)})
        elif self._view is not None:  # it stands between lines of the output
            self._show({"text/plain": ""})

    def _show(self, view: dict[str, str]) -> None:
        if self._view is None:
            self._view = display(view, raw=True, display_id=True)
        else:
            self._view.update(view, raw=True)


def _line(text: str) -> dict[str, str]:
    return {"text/plain": text, "text/html": f'<div style="opacity: 0.7; padding: 0 5px">{html.escape(text)}</div>'}
