"""``sandlock run``: run a command in a sandbox."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .._terminal import interact
from ..result import ExitReason, Result
from .parsers import add_parser as add
from .policy import add_command, add_flags, command_of, is_empty, sandbox_of, timeout_of
from .running import registered

if TYPE_CHECKING:
    from .parsers import Subparsers

__all__ = ["add_parser", "exit_status"]

_EXAMPLES = """  sandlock run -r /usr -r /etc -r . -- ls -l
  sandlock run --profile python --max-memory 512M -- python3 script.py
  sandlock run -r / -w build --net-allow example.com:443 --timeout 60 -- make

The status is the command's; 124 after a timeout, 128 and the signal's number when a signal ended it, 127 when the
command was not found, and 125 when sandlock itself failed.
"""

_TIMED_OUT = 124  # as timeout(1) has it
_SIGNALLED = 128


def add_parser(commands: Subparsers) -> None:
    parser = add(commands, "run", "run a command in a sandbox", _EXAMPLES, _run)
    add_flags(parser)
    add_command(parser)


def _run(options: argparse.Namespace) -> int:
    box, command, timeout = sandbox_of(options), command_of(options), timeout_of(options)
    with registered(box, command, required=options.name is not None):
        result = interact(lambda streams: box._start(command, (), streams, timeout=timeout))
    if result.error is not None and is_empty(options):
        print("sandlock: nothing is granted; begin with --profile tools, or with -r /usr -r /etc", file=sys.stderr)
    return exit_status(result)


def exit_status(result: Result) -> int:
    """Return what a shell would see."""
    if result.reason == ExitReason.TIMEOUT:
        return _TIMED_OUT
    return _SIGNALLED + result.signal if result.signal > 0 else result.exit_code
