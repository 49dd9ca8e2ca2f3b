"""What the commands print: tables, with colours where rich is installed and a terminal shows them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Callable, Union

from .._printable import printable
from .._shown import aligned

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_list", "print_table", "print_title", "rich_console"]

Rows = Sequence[Sequence[str]]
Styles = Sequence[Union[str, Callable[[str], str]]]
"""The style of each column as rich has it, or what tells it for a cell."""


def rich_console(file: IO[str]) -> Console | None:
    """Return rich's side of a terminal; None where it is none, or where rich is not installed."""
    if not file.isatty():
        return None
    with contextlib.suppress(ImportError):
        from rich.console import Console

        return Console(file=file, highlight=False)
    return None


def print_table(header: Sequence[str], rows: Rows, styles: Styles) -> None:
    """Print a table on stdout. Without rich it is plain, and without the header where programs may read it."""
    cells = [[printable(cell) for cell in row] for row in rows]
    console = rich_console(sys.stdout)
    if console is None:
        lines = [header, *cells] if sys.stdout.isatty() and rows else cells
        print("".join(f"{line}\n" for line in aligned(lines)), end="")
    elif rows:
        _print(console, cells, styles, header)


def print_title(title: str) -> None:
    """Print a title on stderr, and an empty line before it."""
    console = rich_console(sys.stderr)
    if console is None:
        print(f"\n{title}", file=sys.stderr)
        return
    from rich.text import Text

    console.print(Text(f"\n{title}", "bold"))


def print_list(title: str, rows: Rows, styles: Styles) -> None:
    """Print a table under a title on stderr, unless it is empty."""
    if not rows:
        return
    print_title(title)
    cells = [[printable(cell) for cell in row] for row in rows]
    console = rich_console(sys.stderr)
    if console is None:
        print("\n".join(f"  {line}" for line in aligned(cells)), file=sys.stderr)
    else:
        _print(console, cells, styles)


def _print(console: Console, cells: Rows, styles: Styles, header: Sequence[str] = ()) -> None:
    from rich.table import Table
    from rich.text import Text  # not markup: what is in brackets is a name

    table = Table(box=None, show_header=bool(header), header_style="bold", padding=(0, 2, 0, 0 if header else 2))
    for number in range(len(styles)):
        is_last = number + 1 == len(styles)
        table.add_column(header[number] if header else "", no_wrap=not is_last, overflow="fold")
    for row in cells:
        table.add_row(*(Text(c, style(c) if callable(style) else style) for c, style in zip(row, styles)))
    console.print(table)
