"""What a notebook shows of a Result, a Sandbox, an Audit and errors of handlers: tables, as HTML and as text.

What a command did is hostile text: everything is escaped, and what does not print is written out.
"""

from __future__ import annotations

import dataclasses
import html
import os
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .._printable import printable
from .._syscalls import name_of
from ..audit import Audit
from ..result import HandlerFailure, HandlerFailures, Result
from ..sandbox import Sandbox

__all__ = ["as_html", "as_text", "bundle"]

_MOST = 50
"""Entries of a list."""
_LONGEST = 2000
"""Characters of a captured stream, or of a traceback."""

_CELL = "text-align: left; vertical-align: top; padding: 1px 8px"
# The last column takes what is left, and breaks long paths.
_LAST = "font-family: monospace; white-space: pre-wrap; overflow-wrap: anywhere"
# So that a long list hides no output; in the reversed direction what came last is in view, after each update.
_BOX = "max-height: 16em; overflow: auto; scrollbar-gutter: stable; display: flex; flex-direction: column-reverse"


@dataclass(frozen=True)
class _Table:
    title: str
    rows: Sequence[tuple[str, ...]]


def as_html(subject: object) -> str:
    return "".join(map(_table_html, _tables(subject)))


def as_text(subject: object) -> str:
    return "\n".join(map(_table_text, _tables(subject)))


def bundle(audit: Audit, state: str) -> dict[str, str]:
    """Return both forms of an audit whose command is in a state that it does not know of itself."""
    table = _of_audit(audit, state)
    return {"text/plain": _table_text(table), "text/html": _table_html(table)}


def _tables(subject: object) -> list[_Table]:
    if isinstance(subject, Audit):
        return [_of_audit(subject, f"the command {subject.result._ending()}" if subject.result else "no end yet")]
    if isinstance(subject, Result):
        return _of_result(subject)
    if isinstance(subject, HandlerFailures):
        return [_of_failures(subject, len(subject))]
    if isinstance(subject, HandlerFailure):
        return [_of_failure(subject)]
    assert isinstance(subject, Sandbox)
    return [_of_sandbox(subject)]


def _of_audit(audit: Audit, state: str) -> _Table:
    calls = list(audit.calls)
    kinds = {
        "executed": audit.programs,
        "connected to": audit.peers,
        "bound": audit.bound,
        "changed": audit.changed,
        "opened": audit.files,
    }
    rows = []
    for kind, names in kinds.items():
        earlier = len(names) - _MOST  # what came last is what somebody who watches wants to see
        more = [f"{earlier:,} others, and then"] if earlier > 0 else []
        if names:
            rows.append((kind, "\n".join([*more, *map(printable, names[-_MOST:])])))
    unkept = f" and {audit.more_calls:,} that were not kept" if audit.more_calls else ""
    return _Table(f"{_count(len(calls), 'call')}{unkept}, {state}", rows)


def _of_result(result: Result) -> list[_Table]:
    rows = [(name, _tail(data)) for name, data in (("stdout", result.stdout), ("stderr", result.stderr)) if data]
    if result.degraded:
        rows.append(("without", ", ".join(protection.name for protection in result.degraded)))
    if result.held:
        rows.append(("held", "\n".join(_shortened(f"{name_of(call.syscall)} of {call.pid}" for call in result.held))))
    tables = [_Table(f"The command {result._ending()}", rows)]
    if result.handler_errors:
        tables.append(_of_failures(result.handler_errors, len(result.handler_errors) + result.more_handler_errors))
    return tables


def _of_failures(failures: Sequence[HandlerFailure], count: int) -> _Table:
    rows = [
        (type(failure.handler).__name__, name_of(failure.syscall), repr(failure.action), _cut(repr(failure.exception)))
        for failure in failures[:_MOST]
    ]
    more = [("and", "", "", f"{count - _MOST} more")] if count > _MOST else []
    return _Table(f"{_count(count, 'error')} of handlers", [*rows, *more])


def _of_failure(failure: HandlerFailure) -> _Table:
    error = failure.exception
    rows = [
        ("system call", f"{name_of(failure.syscall)} of {failure.pid}"),
        ("answered", repr(failure.action)),
        ("error", _cut("".join(traceback.format_exception(type(error), error, error.__traceback__)))),
    ]
    return _Table(f"Error of the handler {type(failure.handler).__name__}", rows)


def _of_sandbox(box: Sandbox) -> _Table:
    rows: list[tuple[str, ...]] = []
    for field in dataclasses.fields(box):
        value: Any = getattr(box, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if field.name == "name" or value == default:
            continue
        if field.name == "env":  # notebooks are published, and values may be secret
            value = sorted(value)
        values: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
        rows.append((field.name, "\n".join(_shortened(printable(str(item)) for item in values))))
    return _Table(f"Sandbox {box.name}", rows)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _shortened(names: Iterable[str]) -> list[str]:
    listed = list(names)
    more = len(listed) - _MOST
    return listed if more <= 0 else [*listed[:_MOST], f"and {more} more"]


def _tail(data: bytes) -> str:
    return _cut(data[-4 * _LONGEST :].decode("utf-8", "backslashreplace"))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"


def _printable(text: str) -> str:
    return printable(text, "\n\t").rstrip("\n")


def _table_html(table: _Table) -> str:
    body = []
    for row in table.rows:
        *others, last = (html.escape(_printable(text)) for text in row)
        cells = [f'<td style="{_CELL}; white-space: nowrap">{text}</td>' for text in others]
        cells.append(f'<td style="{_CELL}"><div style="{_BOX}"><div style="{_LAST}">{last}</div></div></td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    title = html.escape(_printable(table.title))
    caption = f'<caption style="text-align: left; white-space: nowrap"><b>{title}</b></caption>'
    return f"<table>{caption}<tbody>{''.join(body)}</tbody></table>"


def _table_text(table: _Table) -> str:
    rows = [[_printable(text) for text in row] for row in table.rows]
    width = max((len(row[0]) for row in rows), default=0)
    indent = os.linesep + " " * (width + 4)
    lines = ("  ".join([row[0].ljust(width), *row[1:]]) for row in rows)
    return os.linesep.join([_printable(table.title), *("  " + line.replace("\n", indent) for line in lines)])
