"""What a recording of system calls is, and which calls it can hold."""

from __future__ import annotations

import base64
import functools
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from .._syscalls import number_of, numbers_of

__all__ = ["REFUSED", "Entry", "Recording", "Served", "file_syscalls", "served"]

_VERSION = 1
_STAT = 144 if os.uname().machine == "x86_64" else 128  # struct stat, asm/stat.h


class Served(NamedTuple):
    """How a call is recorded: by the indices of its arguments."""

    path: int | None = None
    """The path, for a call about one."""
    descriptor: int | None = None
    """The descriptor, for a call about what is open."""
    output: int | None = None
    """Where the call writes to."""
    size: int | None = None
    """How many bytes; None is as many as the call returns."""
    numbers: tuple[int, ...] = ()
    """What has to be the same when it is replayed."""


_SERVED = {
    "open": Served(path=0, numbers=(1,)),
    "openat": Served(path=1, numbers=(2,)),
    "openat2": Served(path=1),
    "stat": Served(path=0, output=1, size=_STAT),
    "lstat": Served(path=0, output=1, size=_STAT),
    "newfstatat": Served(path=1, descriptor=0, output=2, size=_STAT, numbers=(3,)),
    "statx": Served(path=1, descriptor=0, output=4, size=256, numbers=(2, 3)),
    "statfs": Served(path=0, output=1, size=120),
    "access": Served(path=0, numbers=(1,)),
    "faccessat": Served(path=1, numbers=(2,)),
    "faccessat2": Served(path=1, numbers=(2, 3)),
    "readlink": Served(path=0, output=1, numbers=(2,)),
    "readlinkat": Served(path=1, output=2, numbers=(3,)),
    "read": Served(descriptor=0, output=1, numbers=(2,)),
    "pread64": Served(descriptor=0, output=1, numbers=(2, 3)),
    "recvfrom": Served(descriptor=0, output=1, numbers=(2, 3)),
    "getdents64": Served(descriptor=0, output=1, numbers=(2,)),
    "lseek": Served(descriptor=0, numbers=(1, 2)),
    "fstat": Served(descriptor=0, output=1, size=_STAT),
    "getrandom": Served(output=0, numbers=(1, 2)),
    "uname": Served(output=0, size=390),
}

REFUSED = {"readv": 0, "preadv": 0, "preadv2": 0, "mmap": 4, "sendfile": 1, "splice": 0, "copy_file_range": 0}
"""Other calls that take data from a file, with the argument that is its descriptor: they would go past a recording."""


def recordable_syscalls() -> list[str]:
    """Return the calls that can be recorded on this machine."""
    return [name for name in _SERVED if numbers_of([name])]


def file_syscalls() -> list[str]:
    """Return those that are about files."""
    return [name for name in recordable_syscalls() if (_SERVED[name].path, _SERVED[name].descriptor) != (None, None)]


@functools.cache
def served(name: str) -> Served:
    """Return how a call is recorded.

    Raises:
        ValueError: it cannot be.
    """
    number_of(name)  # that the name is right
    if name in ("clock_gettime", "gettimeofday", "time"):
        raise ValueError(
            f"{name} is answered by the vDSO, without a system call; Sandbox(time_start=...) sets the time"
        )
    if name not in _SERVED:
        raise ValueError(f"{name} cannot be recorded; these can be: {', '.join(recordable_syscalls())}")
    return _SERVED[name]


class Entry(NamedTuple):
    """One call, and what it gave."""

    name: str
    subject: str
    """The file that it was about: its absolute path, "stdin", or empty for a call about no file."""
    numbers: tuple[int, ...]
    value: int = 0
    errno: int = 0
    data: bytes = b""
    """What it wrote to the child's memory."""


class Recording(NamedTuple):
    """The results of calls, and which calls they are of."""

    syscalls: list[str]
    paths: list[str]
    stdin: bool
    entries: list[Entry]

    def save(self, path: str | os.PathLike[str]) -> None:
        calls = [{**entry._asdict(), "data": base64.b64encode(entry.data).decode()} for entry in self.entries]
        document = {
            "version": _VERSION,
            "machine": os.uname().machine,
            "syscalls": self.syscalls,
            "paths": self.paths,
            "stdin": self.stdin,
            "calls": calls,
        }
        Path(path).write_text(json.dumps(document, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: the file is no recording, or one of another machine.
        """
        try:
            document = json.loads(Path(path).read_bytes())
            made_for = (document["version"], document["machine"])
            if made_for != (_VERSION, os.uname().machine):
                raise ValueError(f"it is version {made_for[0]} for {made_for[1]}")
            recording = cls(
                _checked(document["syscalls"], list, str),
                _checked(document["paths"], list, str),
                _checked(document["stdin"], bool),
                [_entry(call) for call in _checked(document["calls"], list, dict)],
            )
            for name in (*recording.syscalls, *(entry.name for entry in recording.entries)):
                served(name)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{os.fspath(path)}: no recording that can be replayed here: {error}") from None
        return recording


def _entry(call: dict[str, Any]) -> Entry:
    entry = Entry(
        _checked(call["name"], str),
        _checked(call["subject"], str),
        tuple(_checked(call["numbers"], list, int)),
        _checked(call["value"], int),
        _checked(call["errno"], int),
        base64.b64decode(_checked(call["data"], str), validate=True),
    )
    if not (0 <= entry.errno <= 4095 and -(2**63) <= entry.value < 2**63):
        raise ValueError(f"a {entry.name} gave {entry.value} or errno {entry.errno}")
    return entry


def _checked(value: Any, kind: type[Any], of: type[Any] | None = None) -> Any:
    """Return a value that is of a type, and its items as well if it is a list."""
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    if of is not None:
        for item in value:
            _checked(item, of)
    return value
