"""``sandlock audit``: run a command and say what it reaches for."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .._printable import printable
from .._terminal import interact
from ..audit import Audit
from ..sandbox import Sandbox
from .policy import add_command, add_flags, command_of, is_empty, sandbox_of
from .run import exit_status

if TYPE_CHECKING:
    from .profile import Subparsers

__all__ = ["add_parser", "everything", "observe"]

_EXAMPLES = """examples:
  sandlock audit -- git status
  sandlock audit --json --profile python -- python3 script.py > calls.json

Without a policy every file may be read and changed, and every peer be reached: the command is observed only.
"""

# How often the line of a live view changes, in seconds, and how many entries a list of the summary has.
_TICK = 0.2
_MOST = 15


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "audit",
        help="run a command and say what it reaches for",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="the calls, a line of JSON each, in place of the summary")
    add_flags(parser)
    add_command(parser)
    parser.set_defaults(run=_run, failed=125)


def everything() -> Sandbox:
    """Return a sandbox in which next to everything may be done."""
    return Sandbox(fs_readable=["/"], fs_writable=["/"], net_allow=["*:*"], net_allow_bind=["*"])


def observe(box: Sandbox, command: Sequence[str], timeout: float | None) -> Audit:
    """Run a command with the host's streams, and record its calls."""
    record = Audit()
    with _live(record):
        record.result = interact(lambda streams: box._start(command, record.handlers(), streams, timeout=timeout))
    return record


def _run(options: argparse.Namespace) -> int:
    box = everything() if is_empty(options) else sandbox_of(options)
    record = observe(box, command_of(options), options.timeout)
    assert record.result is not None
    if options.json:
        for call in record.calls:
            entry = {"syscall": call.syscall, "pid": call.pid, "paths": call.paths, "writes": call.writes}
            print(json.dumps({**entry, **({"peer": call.peer} if call.peer else {})}))
    else:
        _summarize(record)
    return exit_status(record.result)


@contextlib.contextmanager
def _live(record: Audit) -> Iterator[None]:
    """Keep a line on the terminal up to date, where the command's own output does not go there."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield
        return
    over = threading.Event()

    def show() -> None:
        while not over.wait(_TICK):
            print(f"\r{record!r}\033[K", end="", file=sys.stderr, flush=True)
        print("\r\033[K", end="", file=sys.stderr, flush=True)

    thread = threading.Thread(target=show, name="sandlock-live")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _summarize(record: Audit) -> None:
    print(f"{len(record.calls)} calls of {len({call.pid for call in record.calls})} threads", file=sys.stderr)
    changed = Counter(path for call in record.calls if call.writes for path in call.paths)
    opened = Counter(path for call in record.calls if path_is_opened(call.syscall) for path in call.paths)
    _list("changed", changed)
    _list("opened", opened)
    _list("executed", Counter(record.programs))
    _list("connected to", Counter(call.peer for call in record.calls if call.peer))
    _list("system calls", Counter(call.syscall for call in record.calls))


def path_is_opened(syscall: str) -> bool:
    return syscall.startswith("open")


def _list(title: str, entries: Counter[str]) -> None:
    if not entries:
        return
    print(f"\n{title} ({len(entries)})", file=sys.stderr)
    for name, count in entries.most_common(_MOST):
        print(f"{count:6}  {printable(name)}", file=sys.stderr)
    if len(entries) > _MOST:
        print(f"        and {len(entries) - _MOST} more", file=sys.stderr)
