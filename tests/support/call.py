"""One system call, made in a sandbox by programs/call.c."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, Callable, NamedTuple, Union

from sandlock import Result, Sandbox
from sandlock._syscalls import number_of

Argument = Union[int, str, bytes]


class Called(NamedTuple):
    """What the program tells about its call."""

    pid: int
    tid: int
    number: int
    result: int
    errno: int

    @property
    def error(self) -> str:
        """The name of the errno, empty when the call succeeded."""
        return errno.errorcode[self.errno] if self.errno else ""


Attempt = Callable[..., Called]
"""Makes a system call of that name or number with these arguments."""


def arguments(program: Path, syscall: str, *args: Argument) -> list[str]:
    """Return the command that makes the call. A str is a string of the child, bytes a buffer of that content."""
    words = [str(program), syscall if syscall.isdigit() else str(number_of(syscall))]
    for arg in args:
        if isinstance(arg, int):
            words.append(str(arg))
        elif isinstance(arg, str):
            words.append("s:" + arg)
        else:
            words.append("x:" + arg.hex())
    return words


def parse(result: Result) -> Called:
    assert result.success, result
    return Called(*map(int, result.stdout.split()))


def call(box: Sandbox, program: Path, syscall: str, *args: Argument, **options: Any) -> Called:
    """Make a system call in the sandbox."""
    return parse(box.run(arguments(program, syscall, *args), timeout=60, **options))
