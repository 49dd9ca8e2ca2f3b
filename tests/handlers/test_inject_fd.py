"""inject_fd places a descriptor in the child under a chosen number, and the call goes on."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import NotifAction, NotifError, Sandbox
from tests.support.handlers import Do
from tests.support.processes import open_fds
from tests.support.sandboxes import tool_sandbox
from tests.support.steps import Buffer, number, steps

READ_NINE = ("read", 9, Buffer(16), 16)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file that the child may not open."""
    path = tmp_path / "text"
    path.write_text("from the host")
    return path


def place(open_file: Callable[[], Any], target: int) -> Do:
    return Do(lambda ctx: NotifAction.inject_fd(open_file(), target))


def test_the_child_reads_from_it_and_its_call_is_performed(step_box: Sandbox, stepper: Path, text: Path) -> None:
    before = open_fds()
    handler = place(lambda: os.open(text, os.O_RDONLY), 9)
    told = steps(
        step_box, stepper, ("getppid",), READ_NINE, ("fcntl", 9, fcntl.F_GETFD), handlers=[("getppid", handler)]
    )
    assert told[0].result > 0
    assert told[1].data.rstrip(b"\0") == b"from the host"
    assert told[2].result == 0, "it stays open across execve"
    assert open_fds() == before


SOURCES: dict[str, Callable[[Path], Any]] = {
    "int": lambda path: os.open(path, os.O_RDONLY),
    "file": lambda path: path.open("rb"),
    "text file": lambda path: path.open(),
    "unbuffered file": lambda path: path.open("rb", buffering=0),
}


@pytest.mark.parametrize("source", SOURCES)
def test_source(step_box: Sandbox, stepper: Path, text: Path, source: str) -> None:
    before = open_fds()
    handler = place(lambda: SOURCES[source](text), 9)
    told = steps(step_box, stepper, ("getppid",), READ_NINE, handlers=[("getppid", handler)])
    assert told[1].data.rstrip(b"\0") == b"from the host"
    assert open_fds() == before


def test_socket(step_box: Sandbox, stepper: Path) -> None:
    ours, childs = socket.socketpair()
    with ours:
        ours.send(b"by socket")
        told = steps(step_box, stepper, ("getppid",), READ_NINE, handlers=[("getppid", place(lambda: childs, 9))])
    assert told[1].data.rstrip(b"\0") == b"by socket"
    assert childs.fileno() == -1, "it is closed"


class OnlyANumber:
    """Has a descriptor, and no close()."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


def test_object_that_has_only_fileno(step_box: Sandbox, stepper: Path, text: Path) -> None:
    before = open_fds()
    handler: Do = place(lambda: OnlyANumber(os.open(text, os.O_RDONLY)), 9)
    told = steps(step_box, stepper, ("getppid",), READ_NINE, handlers=[("getppid", handler)])
    assert told[1].data.rstrip(b"\0") == b"from the host"
    assert open_fds() == before


def test_what_was_open_there_is_replaced(step_box: Sandbox, stepper: Path, text: Path) -> None:
    told = steps(
        step_box,
        stepper,
        ("openat", -100, "/etc/passwd", os.O_RDONLY),
        ("getppid",),
        ("read", 3, Buffer(16), 16),
        handlers=[("getppid", place(lambda: os.open(text, os.O_RDONLY), 3))],
    )
    assert told[0].result == 3
    assert told[2].data.rstrip(b"\0") == b"from the host"


def test_several_calls_may_get_the_same_target(step_box: Sandbox, stepper: Path, text: Path) -> None:
    handler = place(lambda: os.open(text, os.O_RDONLY), 9)
    told = steps(step_box, stepper, ("getppid",), READ_NINE, ("getppid",), READ_NINE, handlers=[("getppid", handler)])
    assert [told[i].data.rstrip(b"\0") for i in (1, 3)] == [b"from the host"] * 2


@pytest.mark.parametrize("target", [64, 2**31 - 1])
def test_target_beyond_the_limit_fails_the_call(stepper: Path, text: Path, target: int) -> None:
    """The call does not run unmediated: it fails, and the result says why."""
    before = open_fds()
    handler = place(lambda: os.open(text, os.O_RDONLY), target)
    box = tool_sandbox([stepper], max_open_files=64)
    errors: list[Any] = []
    result = box.run([stepper, number("getppid")], handlers=[("getppid", handler)])
    errors += result.handler_errors
    told = result.stdout.split()
    assert (int(told[0]), int(told[1])) == (-1, errno.EBADF)
    assert [type(failure.exception) for failure in errors] == [NotifError]
    assert open_fds() == before
