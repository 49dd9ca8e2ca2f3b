"""``sandlock check``: what the kernel offers."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..kernel import check
from .parsers import add_parser as add
from .screen import print_table, rich_console

if TYPE_CHECKING:
    from .parsers import Subparsers

__all__ = ["add_parser"]

_EXAMPLES = """  sandlock check
  sandlock check > /dev/null || echo "this kernel lacks a protection"
"""


def add_parser(commands: Subparsers) -> None:
    add(commands, "check", "say what the kernel offers; status 1 when a protection is missing", _EXAMPLES, _check)


def _check(_: argparse.Namespace) -> int:
    kernel = check()
    if rich_console(sys.stdout) is None:
        print(kernel)
    else:
        print(str(kernel).partition("\n")[0], end="\n\n")
        header, *rows = kernel._rows()
        print_table(header, rows, ("", lambda cell: "green" if cell == "yes" else "bold red", "dim", ""))
    return 1 if kernel.missing else 0
