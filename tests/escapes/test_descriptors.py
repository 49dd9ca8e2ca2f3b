"""Nothing that the host has open comes along but the three standard streams."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import Answer
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

STANDARD = b"0\n1\n2\n"


@pytest.fixture
def lister(program: Program) -> Path:
    return program("fds")


@pytest.fixture
def inheritable(secret: Path) -> Iterator[list[int]]:
    """Open files without close-on-exec, under low and high numbers."""
    fds = [os.open(secret, os.O_RDWR)]
    fds += [os.dup2(fds[0], number) for number in (100, 500, 900)]
    for fd in fds:
        os.set_inheritable(fd, True)
    yield fds
    for fd in fds:
        os.close(fd)


@pytest.mark.usefixtures("inheritable")
@pytest.mark.parametrize("handlers", [[], [("getppid", Answer())]], ids=["none", "handlers"])
@pytest.mark.parametrize("stdin", [None, b"", b"x"], ids=["inherited", "empty", "fed"])
def test_inheritable(lister: Path, handlers: list[tuple[str, Answer]], stdin: bytes | None) -> None:
    assert tool_sandbox([lister]).run([lister], handlers=handlers, input=stdin).stdout == STANDARD


def test_opened_by_other_threads_meanwhile(lister: Path, secret: Path) -> None:
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            fds = [os.open(secret, os.O_RDONLY) for _ in range(20)]
            for fd in fds:
                os.set_inheritable(fd, True)
            for fd in fds:
                os.close(fd)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        box = tool_sandbox([lister])
        assert {box.run([lister]).stdout for _ in range(100)} == {STANDARD}
    finally:
        done.set()
        thread.join()


def test_of_a_run_at_the_same_time(lister: Path) -> None:
    """The pipes and the listener of one run are not in another's command."""
    outputs = []

    class Nested(Answer):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            outputs.append(tool_sandbox([lister]).run([lister], input=b"x").stdout)
            return super().handle(ctx)

    tool_sandbox().run(["sh", "-c", "umask"], input=b"x", handlers=[("umask", Nested())], check=True)
    assert set(outputs) == {STANDARD}


def test_not_through_proc(box: Sandbox, inheritable: list[int]) -> None:
    box.fs_readable = [*box.fs_readable, "/proc"]
    for fd in inheritable:
        for where in ("/proc/self/fd", f"/proc/{os.getpid()}/fd"):
            result = box.run(["cat", f"{where}/{fd}"])
            assert (result.success, result.stdout) == (False, b"")
