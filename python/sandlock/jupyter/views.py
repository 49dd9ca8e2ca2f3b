"""What a notebook shows of a Result, a Sandbox and an Audit: tables, as HTML and as text.

What a command did is hostile text: everything is escaped, and what does not print is written out.
"""

from __future__ import annotations

import dataclasses
import html
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .._printable import printable
from ..audit import Audit
from ..result import Result
from ..sandbox import Sandbox

__all__ = ["as_html", "as_text"]

_MOST = 50
"""Rows of a table."""
_LONGEST = 2000
"""Characters of a captured stream."""


@dataclass(frozen=True)
class _Table:
    title: str
    rows: Sequence[tuple[str, ...]]


def as_html(subject: object) -> str:
    return "".join(_table_html(table) for table in _tables(subject))


def as_text(subject: object) -> str:
    return "\n".join(_table_text(table) for table in _tables(subject))


def _tables(subject: object) -> list[_Table]:
    if isinstance(subject, Audit):
        return _of_audit(subject)
    if isinstance(subject, Result):
        return _of_result(subject)
    assert isinstance(subject, Sandbox)
    return _of_sandbox(subject)


def _of_audit(audit: Audit) -> list[_Table]:
    calls = list(audit.calls)
    kinds = {
        "executed": audit.programs,
        "connected to": audit.peers,
        "changed": audit.changed,
        "opened": audit.files,
    }
    ending = f"the command {audit.result._ending()}" if audit.result else "running"
    rows = [(kind, name) for kind, names in kinds.items() for name in _shortened(names)]
    return [_Table(f"{len(calls)} calls, {ending}", rows)]


def _of_result(result: Result) -> list[_Table]:
    rows = [(name, _tail(data)) for name, data in (("stdout", result.stdout), ("stderr", result.stderr)) if data]
    tables = [_Table(f"The command {result._ending()}", rows)]
    if result.handler_errors:
        failures = [
            (type(failure.handler).__name__, f"syscall {failure.syscall}", repr(failure.exception), str(failure.action))
            for failure in result.handler_errors[:_MOST]
        ]
        count = len(result.handler_errors) + result.more_handler_errors
        tables.append(_Table(f"{count} errors of handlers", failures))
    return tables


def _of_sandbox(box: Sandbox) -> list[_Table]:
    rows: list[tuple[str, ...]] = []
    for field in dataclasses.fields(box):
        value: Any = getattr(box, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if field.name == "name" or value == default:
            continue
        if field.name == "env":  # notebooks are published, and values may be secret
            value = sorted(value)
        values: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
        rows.append((field.name, "\n".join(_shortened(str(item) for item in values))))
    return [_Table(f"Sandbox {box.name}", rows)]


def _shortened(names: Iterable[str]) -> list[str]:
    listed = list(names)
    more = len(listed) - _MOST
    return listed if more <= 0 else [*listed[:_MOST], f"and {more} more"]


def _tail(data: bytes) -> str:
    text = data[-4 * _LONGEST :].decode("utf-8", "backslashreplace")
    return text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"


def _printable(text: str) -> str:
    return printable(text, "\n").rstrip("\n")


def _table_html(table: _Table) -> str:
    cell = '<td style="text-align: left; vertical-align: top; font-family: monospace; white-space: pre-wrap">{}</td>'
    rows = ("".join(cell.format(html.escape(_printable(text))) for text in row) for row in table.rows)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    title = html.escape(_printable(table.title))
    caption = f'<caption style="text-align: left; white-space: nowrap"><b>{title}</b></caption>'
    return f"<table>{caption}<tbody>{body}</tbody></table>"


def _table_text(table: _Table) -> str:
    width = max((len(row[0]) for row in table.rows), default=0)
    indent = os.linesep + " " * (width + 4)
    lines = ("  ".join([row[0].ljust(width), *map(_printable, row[1:])]) for row in table.rows)
    return os.linesep.join([_printable(table.title), *("  " + line.replace("\n", indent) for line in lines)])
