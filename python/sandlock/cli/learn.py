"""``sandlock learn``: write the profile that a command needs."""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..audit import Audit
from ..profiles import write_profile
from ..sandbox import Sandbox
from .audit import everything, observe
from .policy import add_command, command_of
from .run import exit_status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .profile import Subparsers

__all__ = ["add_parser", "learned"]

_EXAMPLES = """examples:
  sandlock learn -o tool.toml -- ./tool --option
  sandlock run --profile-file tool.toml

The command runs once with everything granted. Files of one folder are put together into the folder when there are many.
What depends on the input, the user or the moment is not learned: read the profile before you rely on it.
"""

# So many files of a folder make it the folder.
_MANY = 8


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "learn",
        help="run a command once, and write the profile that it needs",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it, instead of stdout")
    add_command(parser)
    parser.set_defaults(run=_run, failed=125, profile=None, profile_file=None)


def _run(options: argparse.Namespace) -> int:
    command = command_of(options)
    before = set(_listed(Path.cwd()))
    record = observe(everything(), command, options.timeout)
    assert record.result is not None
    text = write_profile(learned(record, before), command)
    if options.output is None:
        print(text, end="")
    else:
        Path(options.output).write_text(text)
        print(f"{options.output}: written", file=sys.stderr)
    return exit_status(record.result)


def learned(record: Audit, existed: Iterable[str] = ()) -> Sandbox:
    """Return the tightest sandbox in which the recorded command would have done the same.

    Args:
        existed: files that were there before the command; what it has made since is granted by its folder.
    """
    there = set(existed)
    readable: set[str] = set()
    writable: set[str] = set()
    for call in record.calls:
        for path in map(os.path.realpath, call.paths):
            if call.writes:
                exists = os.path.exists(path) and (path in there or call.syscall == "truncate")
                writable.add(path if exists and call.syscall.startswith("open") else os.path.dirname(path))
            elif os.path.exists(path) and call.syscall.startswith(("open", "exec", "readlink")):
                readable.add(path)
    for program in record.programs:
        readable.update(_interpreters(program))
    writable = _gathered({path for path in writable if os.path.exists(path)})
    readable = {path for path in _gathered(readable) if not _is_within(path, writable)}
    return Sandbox(
        fs_readable=sorted(readable),
        fs_writable=sorted(writable),
        net_allow=sorted(f"tcp://{peer}" for peer in record.peers if not peer.startswith(("unix:", "family"))),
        cwd=os.getcwd(),
    )


def _interpreters(program: str) -> Iterable[str]:
    """Return what the kernel opens by itself for a program: it, its dynamic linker or the interpreter of a script."""
    yield os.path.realpath(program)
    if not os.path.isfile(program):  # a pipe would block
        return
    try:
        with open(program, "rb") as file:
            head = file.read(4096)
    except OSError:
        return
    if head.startswith(b"#!"):
        yield from (os.path.realpath(os.fsdecode(word)) for word in head[2:].split(b"\n", 1)[0].split()[:1])
    elif (start := head.find(b"/lib")) >= 0:  # PT_INTERP of ELF is near the beginning
        linker = os.fsdecode(head[start:].split(b"\0", 1)[0])
        if os.path.exists(linker):
            yield os.path.realpath(linker)


def _gathered(paths: set[str]) -> set[str]:
    """Put the files of a folder together where there are many."""
    folders: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        folders[os.path.dirname(path)].add(path)
    whole = {folder for folder, files in folders.items() if len(files) >= _MANY and folder != "/"}
    rest = paths | whole
    return {path for path in rest if not _is_within(path, rest - {path})}


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _listed(folder: Path) -> Iterable[str]:
    for place, _, files in os.walk(folder):
        yield from (os.path.realpath(os.path.join(place, name)) for name in files)
