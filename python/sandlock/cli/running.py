"""``sandlock ps``, ``inspect`` and ``kill``: the sandboxes that ``sandlock run`` has started for this user."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._printable import printable
from ..exceptions import PolicyError
from ..profiles import write_profile
from ..sandbox import Sandbox
from .parsers import add_parser as add
from .parsers import complete_with
from .screen import print_table

if TYPE_CHECKING:
    from .parsers import Subparsers

__all__ = ["add_parser", "registered"]

_NAME = "that of sandlock run --name; sandlock ps lists them"
_WAY_OUT = "set XDG_RUNTIME_DIR to a folder of yours"
_INSPECT_EXAMPLES = """  sandlock inspect build
  sandlock inspect build --toml > build.toml
"""
_KILL_EXAMPLES = """  sandlock run --name build -r / -w . -- make &
  sandlock kill build
"""


def add_parser(commands: Subparsers) -> None:
    add(commands, "ps", "list what sandlock run has started", "  sandlock ps\n", _list)
    parser = add(commands, "inspect", "show a sandbox that runs", _INSPECT_EXAMPLES, _inspect)
    complete_with(parser.add_argument("name", metavar="NAME", help=_NAME), _names)
    parser.add_argument("--toml", action="store_true", help="its policy alone, as a profile")
    parser = add(commands, "kill", "end a sandbox that runs, with its whole tree", _KILL_EXAMPLES, _kill)
    complete_with(parser.add_argument("name", metavar="NAME", help=_NAME), _names)


class _NoPlaceError(PolicyError):
    """No record can be kept here."""


@contextlib.contextmanager
def registered(box: Sandbox, command: Sequence[str], *, required: bool) -> Iterator[None]:
    """Let a sandbox be found by its name while it runs.

    Args:
        required: whether it may not run where no record can be kept; else it runs with a warning.

    Raises:
        PolicyError: another one of that name runs, or others can reach the folder of the records.
    """
    try:
        file = _register(box, command)
    except _NoPlaceError as error:
        if required:
            raise
        print(f"sandlock: not listed by sandlock ps: {error}", file=sys.stderr)
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a record that is left is removed by the next one who looks
            file.unlink()


def _register(box: Sandbox, command: Sequence[str]) -> Path:
    """Write the record of a sandbox, and return its file."""
    assert box.name is not None
    folder = _folder()
    file = folder / f"{box.name}.json"
    if box.name in (record["name"] for record in _records()):
        raise PolicyError(f"name: a sandbox {box.name!r} runs already; choose another --name")
    pid = os.getpid()
    entry = {"name": box.name, "pid": pid, "began": _began(pid), "command": list(command), "toml": write_profile(box)}
    temporary = folder / f".{box.name}.{pid}"
    try:
        temporary.write_text(json.dumps(entry))
        temporary.replace(file)
    except OSError as error:
        raise _NoPlaceError(f"{folder}: cannot be written to: {error.strerror}; {_WAY_OUT}") from None
    return file


def _folder() -> Path:
    """Return the folder of the records, which is the user's alone.

    Raises:
        PolicyError: there can be none, or others, who could name the processes that ``sandlock kill`` ends, reach it.
    """
    place = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_STATE_HOME") or _state()
    folder = Path(place, "sandlock")
    try:
        for place in (*reversed(folder.parents), folder):
            with contextlib.suppress(FileExistsError):
                place.mkdir(mode=0o700)
        status = folder.lstat()
    except OSError as error:
        raise _NoPlaceError(f"{folder}: cannot be made: {error.strerror}; {_WAY_OUT}") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PolicyError(f"{folder}: is no folder that only you can reach; remove it, chmod it to 700, or {_WAY_OUT}")
    return folder


def _state() -> Path:
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:  # neither HOME nor the list of users has one
        raise _NoPlaceError(f"user {os.getuid()} has no home folder; {_WAY_OUT}") from None


def _began(pid: int) -> int:
    """Return when a process began, in clock ticks since boot: with the number it is unique (proc_pid_stat(5))."""
    status = Path(f"/proc/{pid}/stat").read_text()
    return int(status.rpartition(")")[2].split()[19])


def _records() -> list[dict[str, Any]]:
    """Return what runs; the records of what does not, because it was killed, are removed."""
    records = []
    for file in sorted(_folder().glob("*.json")):
        try:
            record = json.loads(file.read_text())
            if _began(record["pid"]) == record["began"]:
                records.append(record)
                continue
        except (OSError, ValueError, KeyError, TypeError):
            pass
        file.unlink(missing_ok=True)
    return records


def _named(name: str) -> dict[str, Any]:
    for record in _records():
        if record["name"] == name:
            return record
    raise PolicyError(f"no sandbox {name!r} runs; sandlock ps lists them")


def _names() -> list[str]:
    return [record["name"] for record in _records()]


def _list(_: argparse.Namespace) -> int:
    rows = [(record["name"], str(record["pid"]), shlex.join(record["command"])) for record in _records()]
    print_table(("NAME", "PID", "COMMAND"), rows, ("bold cyan", "", ""))
    return 0


def _inspect(options: argparse.Namespace) -> int:
    record = _named(options.name)
    if options.toml:
        print(record["toml"], end="")
    else:
        command = printable(shlex.join(record["command"]))
        print(f"name     {printable(record['name'])}\npid      {record['pid']}\ncommand  {command}\n")
        print(record["toml"], end="")
    return 0


def _kill(options: argparse.Namespace) -> int:
    record = _named(options.name)
    fd = os.pidfd_open(record["pid"])
    try:
        if _began(record["pid"]) != record["began"]:  # now that the number cannot get another process
            raise PolicyError(f"no sandbox {options.name!r} runs any more")
        signal.pidfd_send_signal(fd, signal.SIGTERM)
    finally:
        os.close(fd)
    print(f"killed {options.name}", file=sys.stderr)
    return 0
