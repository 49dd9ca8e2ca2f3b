"""Where the standard streams of a command lead."""

from __future__ import annotations

import binascii
import fcntl
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, Union, cast

__all__ = ["HasFileno", "Input", "Output", "Readable", "Stdio", "StdioMode", "captured", "held"]


class StdioMode(IntEnum):
    """Where a standard stream leads, other than to a file."""

    INHERIT = 0
    """To where the host's leads."""
    PIPED = 1
    """Through a pipe: to the Process, or to the Result where there is no Process."""
    NULL = 2
    """To /dev/null."""


class HasFileno(Protocol):
    """An open file, socket or the like."""

    def fileno(self) -> int: ...


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


Input = Union[StdioMode, int, bytes, bytearray, memoryview, HasFileno, Readable, None]
"""A mode, a descriptor or file that is open for reading, the bytes themselves, or an object with ``read`` for bytes."""

Output = Union[StdioMode, int, HasFileno, None]
"""A mode, or a descriptor or file that is open for writing. The constants of :mod:`subprocess` work as well."""

# As bindings/core/request.go knows them; what is not negative is a descriptor.
CAPTURE, NULL, STREAM, STDOUT = -1, -2, -3, -4

# PIPE, STDOUT and DEVNULL of the subprocess module, which would take long to import.
_OF_SUBPROCESS = {-1: StdioMode.PIPED, -3: StdioMode.NULL}
_SUBPROCESS_STDOUT = -2


@dataclass(frozen=True)
class Stdio:
    """The standard streams in the form that a request has."""

    stdin: int
    stdout: int
    stderr: int
    input: bytes = b""
    source: Readable | None = None
    """What is to be copied into a stdin that is a stream."""
    terminal: bool = False
    """Whether stdin is a terminal that is to be the command's controlling one."""
    files: Sequence[int] = ()
    """Descriptors that become 3, 4 and so on."""

    @property
    def piped(self) -> list[int]:
        """The numbers of the streams whose other ends are to be taken by a Process."""
        numbers = [i for i, where in enumerate((self.stdin, self.stdout, self.stderr)) if where == STREAM]
        return numbers if self.source is None else [i for i in numbers if i]

    def request(self) -> dict[str, Any]:
        names = ("stdin", "stdout", "stderr", "terminal", "files")
        request: dict[str, Any] = {name: getattr(self, name) for name in names}
        if self.stdin == CAPTURE:
            request["input"] = binascii.b2a_base64(self.input, newline=False).decode()
        return request


def captured(stdin: Input, stdout: Output, stderr: Output, input: object = None) -> Stdio:
    """Return streams for a command whose pipes are served by sandlock itself; what is not said is captured."""
    if input is not None:
        if stdin is not None:
            raise ValueError("input is what stdin reads: give one of the two")
        if not isinstance(input, (bytes, bytearray, memoryview)):
            raise TypeError(f"input must be bytes, not {type(input).__name__}")
        stdin = bytes(input)
    elif stdin is None:
        # A captured run never touches the terminal.
        stdin = StdioMode.NULL if os.isatty(0) else StdioMode.INHERIT
    if _mode(stdin) is StdioMode.PIPED:
        raise ValueError("stdin: nobody holds the other end of PIPED here; give bytes or a file, or use popen")
    outputs = [StdioMode.PIPED if value is None else value for value in (stdout, stderr)]
    return _stdio(stdin, outputs[0], outputs[1], CAPTURE)


def held(stdin: Input, stdout: Output, stderr: Output) -> Stdio:
    """Return streams for a command whose pipes lead to a Process; what is not said is the host's."""
    if stdin is None:
        stdin = StdioMode.INHERIT
    outputs = [StdioMode.INHERIT if value is None else value for value in (stdout, stderr)]
    return _stdio(stdin, outputs[0], outputs[1], STREAM)


def _stdio(stdin: Input, stdout: Output, stderr: Output, piped: int) -> Stdio:
    out, err = _number("stdout", 1, stdout, piped), _number("stderr", 2, stderr, piped)
    if isinstance(stdin, (bytes, bytearray, memoryview)):
        return Stdio(CAPTURE, out, err, input=bytes(stdin))
    if isinstance(stdin, int) or not hasattr(stdin, "read") or _has_descriptor(stdin):
        return Stdio(_number("stdin", 0, stdin, piped), out, err)
    return Stdio(STREAM, out, err, source=cast(Readable, stdin))


def _has_descriptor(value: object) -> bool:
    try:
        value.fileno()  # type: ignore[attr-defined]
    except (AttributeError, io.UnsupportedOperation):
        return False
    return True


def _mode(value: object) -> StdioMode | None:
    """Return the mode that a value is, or is subprocess's name of."""
    if isinstance(value, StdioMode):
        return value
    return _OF_SUBPROCESS.get(value) if type(value) is int else None


def _number(name: str, own: int, value: object, piped: int) -> int:
    """Return the descriptor or constant of a stream; ``own`` is its number."""
    mode = _mode(value)
    if mode is not None:
        return {StdioMode.INHERIT: own, StdioMode.PIPED: piped, StdioMode.NULL: NULL}[mode]
    if value == _SUBPROCESS_STDOUT and type(value) is int:
        if own == 2:
            return STDOUT
        raise ValueError(f"{name}: STDOUT is for stderr only")
    return _descriptor(name, value, os.O_RDONLY if own == 0 else os.O_WRONLY)


def _descriptor(name: str, value: object, use: int) -> int:
    """Return an open descriptor that is fit for reading, or for writing."""
    kinds = "a StdioMode, a descriptor or an open file" if use else "a StdioMode, bytes, a descriptor or an open file"
    if isinstance(value, bool) or not (isinstance(value, int) or hasattr(value, "fileno")):
        raise TypeError(f"{name} must be {kinds}, not {value!r}")
    try:
        fd = value if isinstance(value, int) else value.fileno()
    except io.UnsupportedOperation:
        raise ValueError(f"{name}: {value!r} has no descriptor; use a real file, or a pipe") from None
    if isinstance(fd, bool) or not isinstance(fd, int) or fd < 0:
        raise ValueError(f"{name}: {fd!r} is no descriptor; give {kinds}")
    try:
        access = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    except (OSError, OverflowError):
        raise ValueError(f"{name}: descriptor {fd} is not open") from None
    if access not in (use, os.O_RDWR):
        raise ValueError(f"{name}: {value!r} is not open for {'writing' if use else 'reading'}")
    return fd
