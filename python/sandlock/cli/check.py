"""``sandlock check``: what the kernel offers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..kernel import check

if TYPE_CHECKING:
    from .profile import Subparsers

__all__ = ["add_parser"]


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("check", help="say what the kernel offers; status 1 when a protection is missing")
    parser.set_defaults(run=_check)


def _check(_: argparse.Namespace) -> int:
    kernel = check()
    print(kernel)
    return 1 if kernel.missing else 0
