"""inject_bytes returns a file in memory from the call."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandlock import NotifAction, Sandbox
from tests.support.handlers import Answer, Do
from tests.support.processes import open_fds
from tests.support.steps import Buffer, ResultOf, Step, number, steps

FILE = ResultOf(0)
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@pytest.fixture(autouse=True)
def _nothing_stays_open(step_box: Sandbox) -> Iterator[None]:
    step_box.run(["true"], handlers=[("getppid", Answer())])
    before = open_fds()
    yield
    assert open_fds() == before


def given(box: Sandbox, stepper: Path, data: Any, *calls: tuple[Any, ...], **options: bool) -> list[Step]:
    """Let getppid return the bytes, make the calls after it, and return what they gave."""
    handler = Do(lambda ctx: NotifAction.inject_bytes(data, **options))
    told = steps(box, stepper, ("getppid",), *calls, handlers=[("getppid", handler)])
    assert told[0].result == 3
    return told[1:]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_content(step_box: Sandbox, stepper: Path, kind: type) -> None:
    read, at_end = given(
        step_box, stepper, kind(b"\0hello\xff"), ("read", FILE, Buffer(32), 32), ("read", FILE, Buffer(1), 1)
    )
    assert (read.result, read.data[:7]) == (7, b"\0hello\xff")
    assert at_end.result == 0


def test_empty(step_box: Sandbox, stepper: Path) -> None:
    read, size = given(step_box, stepper, b"", ("read", FILE, Buffer(1), 1), ("lseek", FILE, 0, os.SEEK_END))
    assert (read.result, size.result) == (0, 0)


@pytest.mark.parametrize("size", [65536, 65537, 5 << 20])
def test_large(step_box: Sandbox, stepper: Path, size: int) -> None:
    pattern = bytes(range(251))
    data = (pattern * (size // len(pattern) + 1))[:size]
    end, near_end = given(
        step_box, stepper, data, ("lseek", FILE, 0, os.SEEK_END), ("pread64", FILE, Buffer(100), 100, size - 50)
    )
    assert end.result == size
    assert near_end.data[: near_end.result] == data[-50:]


CHANGES: list[tuple[Any, ...]] = [
    ("write", FILE, "x", 1),
    ("ftruncate", FILE, 0),
    ("ftruncate", FILE, 100),
    ("fcntl", FILE, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
]


def test_sealed(step_box: Sandbox, stepper: Path) -> None:
    seals, *changes = given(step_box, stepper, b"hello", ("fcntl", FILE, fcntl.F_GET_SEALS), *CHANGES)
    assert seals.result == SEALS
    assert [(step.result, step.errno) for step in changes] == [(-1, errno.EPERM)] * len(CHANGES)


def test_not_sealed(step_box: Sandbox, stepper: Path) -> None:
    seals, *changes = given(step_box, stepper, b"hello", ("fcntl", FILE, fcntl.F_GET_SEALS), *CHANGES, seal=False)
    assert seals.result == 0
    assert [step.result for step in changes] == [1, 0, 0, 0]


@pytest.mark.parametrize(("options", "seen"), [({}, 1), ({"cloexec": True}, 1), ({"cloexec": False}, 0)])
def test_cloexec(step_box: Sandbox, stepper: Path, options: dict[str, bool], seen: int) -> None:
    (flags,) = given(step_box, stepper, b"", ("fcntl", FILE, fcntl.F_GETFD), **options)
    assert flags.result == seen


def test_each_call_gets_a_file_of_its_own(step_box: Sandbox, stepper: Path) -> None:
    """One action may answer any number of calls: nothing is open before it is given."""
    action = NotifAction.inject_bytes(b"own", seal=False)
    second = ("read", ResultOf(2), Buffer(3), 3)
    told = steps(
        step_box,
        stepper,
        ("getppid",),
        ("ftruncate", FILE, 0),
        ("getppid",),
        second,
        handlers=[("getppid", Answer(action))],
    )
    assert told[3].data == b"own"


def test_the_bytes_are_those_of_when_the_action_was_made(step_box: Sandbox, stepper: Path) -> None:
    data = bytearray(b"before")

    def handle(ctx: Any) -> NotifAction:
        action = NotifAction.inject_bytes(data)  # type: ignore[arg-type]
        data[:] = b"after!"
        return action

    told = steps(step_box, stepper, ("getppid",), ("read", FILE, Buffer(6), 6), handlers=[("getppid", Do(handle))])
    assert told[1].data == b"before"


def test_one_action_from_several_threads(program: Any, step_box: Sandbox) -> None:
    crowd = program("crowd")
    step_box.fs_readable = [*step_box.fs_readable, crowd]
    answer: Answer | Do = Answer(NotifAction.inject_bytes(b"shared"))
    result = step_box.run([crowd, "16", number("getppid"), "20"], handlers=[("getppid", answer)], check=True)
    numbers = [int(line.split()[0]) for line in result.stdout.splitlines()]
    assert len(set(numbers)) == 16
    assert result.handler_errors == []
