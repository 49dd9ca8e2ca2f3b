"""System calls in a row, made in a sandbox by programs/steps.c."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, NamedTuple, Union

from sandlock import Sandbox
from sandlock._syscalls import number_of


class Buffer(NamedTuple):
    """A buffer of the child; its content after the call is the step's ``data``."""

    size: int


class ResultOf(NamedTuple):
    """What an earlier step returned."""

    step: int


Argument = Union[int, str, Buffer, ResultOf]


class Step(NamedTuple):
    """What the program tells about a call."""

    result: int
    errno: int
    data: bytes

    @property
    def error(self) -> str:
        """The name of the errno, empty when the call succeeded."""
        return errno.errorcode[self.errno] if self.errno else ""


def number(syscall: str) -> str:
    """Return the number of a system call as an argument of the programs."""
    return str(number_of(syscall))


def _word(argument: Argument) -> str:
    if isinstance(argument, Buffer):
        return f"b:{argument.size}"
    if isinstance(argument, ResultOf):
        return f"r:{argument.step}"
    if isinstance(argument, str):
        return "s:" + argument
    return str(argument)


def steps(box: Sandbox, program: Path, *calls: tuple[Any, ...], **options: Any) -> list[Step]:
    """Make system calls, each the name and the arguments, in the sandbox."""
    words = [str(program)]
    for call in calls:
        words += [number(call[0]), *map(_word, call[1:]), ","]
    result = box.run(words[:-1], timeout=60, **options)
    assert result.success, (result, result.stderr)
    told = [line.split(b" ") for line in result.stdout.splitlines()]
    return [Step(int(value), int(error), bytes.fromhex(data.decode())) for value, error, data in told]
