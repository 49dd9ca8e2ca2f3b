"""A descriptor that is given twice: the second time is an error, and whoever has the number by then keeps it."""

from __future__ import annotations

import errno
import functools
import itertools
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import HandlerCtx, NotifAction, Result, Sandbox, SandboxError
from sandlock._request import StrPath
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.processes import PATIENCE, open_fds
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.steps import number

TIMES = 1000


@pytest.fixture(autouse=True)
def _nothing_is_closed_or_stays_open(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL, logger="sandlock")
    tool_sandbox().run(["true"], handlers=[("getppid", Answer())], check=True)
    before = open_fds()
    yield
    assert open_fds() == before


class Stranger:
    """A file of somebody else's, opened under the number that an answer has closed."""

    def __init__(self, path: Path, number: int) -> None:
        path.write_text("somebody else's")
        self.fd = os.open(path, os.O_RDONLY)
        assert self.fd == number, "the number was not free"
        self._status = os.fstat(self.fd)

    def close(self) -> None:
        """Close it, and be sure that it was still open, and the same file, read to where it was read."""
        assert os.fstat(self.fd).st_ino == self._status.st_ino
        assert os.read(self.fd, 100) == b"somebody else's"
        os.close(self.fd)


def two_calls(box: Sandbox, stepper: Path, handle: Callable[[HandlerCtx], NotifAction]) -> Result:
    """Let a handler answer two calls, the second of which fails with EIO when there is an error."""
    box.on_exception = NotifAction.errno(errno.EIO)
    box.handler_threads = 1  # it has closed the descriptor of a call before it is asked about the next one
    call = number("getppid")
    result = box.run([stepper, call, ",", call], handlers=[("getppid", Do(handle))], check=True)
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [[b"3", b"0"], [b"-1", b"5"]]
    assert [type(failure.exception) for failure in result.handler_errors] == [SandboxError]
    return result


def opened() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def test_the_same_action(step_box: Sandbox, stepper: Path, tmp_path: Path) -> None:
    fd = opened()
    action = NotifAction.inject_fd_send(fd)
    strangers: list[Stranger] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        # The first call's number is free when the second one comes.
        strangers.extend([] if os.path.exists(f"/proc/self/fd/{fd}") else [Stranger(tmp_path / "file", fd)])
        return action

    result = two_calls(step_box, stepper, handle)
    assert "was given before" in str(result.handler_errors[0].exception)
    strangers[0].close()


@pytest.mark.parametrize("kind", ["int", "object"])
def test_two_actions(step_box: Sandbox, stepper: Path, tmp_path: Path, kind: str) -> None:
    file = Path("/dev/null").open("rb", buffering=0)
    fd = file.fileno()
    source: Any = file if kind == "object" else os.dup(fd)
    number_of_source = fd if kind == "object" else source
    actions = [NotifAction.inject_fd_send(source), NotifAction.inject_fd_send(source)]
    strangers: list[Stranger] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        if len(actions) == 1:
            strangers.append(Stranger(tmp_path / "file", number_of_source))
        return actions.pop()

    result = two_calls(step_box, stepper, handle)
    assert "see os.dup" in str(result.handler_errors[0].exception)
    strangers[0].close()
    file.close()


@pytest.mark.parametrize("kind", ["the same file", "no file"])
def test_the_stranger_looks_the_same(step_box: Sandbox, stepper: Path, kind: str) -> None:
    """It has the same inode: that of a file that is opened again, or of what is no file."""

    def make() -> int:
        return opened() if kind == "the same file" else os.pidfd_open(os.getpid())

    fd = make()
    actions = [NotifAction.inject_fd_send(fd), NotifAction.inject_fd_send(fd)]
    strangers: list[int] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        if len(actions) == 1:
            strangers.append(make())
        return actions.pop()

    two_calls(step_box, stepper, handle)
    assert strangers == [fd], "the number was not free"
    os.close(strangers[0])


def all_calls(box: Sandbox, stepper: Path, *handles: Callable[[HandlerCtx], NotifAction]) -> None:
    """Let handlers answer a call each, of which only the first gets a descriptor."""
    box.on_exception = NotifAction.errno(errno.EIO)
    box.handler_threads = 1  # it has closed the descriptor of a call before it is asked about the next one
    calls = ["getppid", "getsid", "getpgid"][: len(handles)]
    command: list[StrPath] = [stepper, *" , ".join(map(number, calls)).split(" ")]
    result = box.run(command, handlers=list(zip(calls, map(Do, handles))), check=True)
    others = [[b"-1", b"%d" % errno.EIO]] * (len(calls) - 1)
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [[b"3", b"0"], *others]
    assert [type(failure.exception) for failure in result.handler_errors] == [SandboxError] * len(others)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=repr)
@pytest.mark.parametrize("freed", ["reused", "free"])
def test_by_three_handlers_in_any_order(
    step_box: Sandbox, stepper: Path, tmp_path: Path, order: tuple[int, ...], freed: str
) -> None:
    """The order in which the actions were made says nothing about the order in which they are given."""
    fd = opened()
    actions = [NotifAction.inject_fd_send(fd) for _ in order]
    strangers: list[Stranger] = []

    def handle(position: int, ctx: HandlerCtx) -> NotifAction:
        if position == 1 and freed == "reused":
            strangers.append(Stranger(tmp_path / "file", fd))
        return actions[order[position]]

    all_calls(step_box, stepper, *(functools.partial(handle, position) for position in range(3)))
    for stranger in strangers:
        stranger.close()


@pytest.mark.parametrize("kind", ["one action", "two actions"])
def test_in_two_sandboxes_at_once(stepper: Path, kind: str) -> None:
    """One of the two commands gets it. The other one's call fails, and nothing is closed twice."""
    fd, both = opened(), threading.Barrier(2)
    shared = NotifAction.inject_fd_send(fd)

    def handle(ctx: HandlerCtx) -> NotifAction:
        action = shared if kind == "one action" else NotifAction.inject_fd_send(fd)
        both.wait(PATIENCE)
        return action

    def run(_: int) -> Result:
        box = tool_sandbox([stepper], on_exception=NotifAction.errno(errno.EIO))
        return box.run([stepper, number("getppid")], handlers=[("getppid", Do(handle))], timeout=60, check=True)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, range(2)))
    assert sorted(result.stdout.split()[:2] for result in results) == [[b"-1", b"5"], [b"3", b"0"]]
    assert sorted(len(result.handler_errors) for result in results) == [0, 1]


def test_the_number_may_be_used_again(step_box: Sandbox, stepper: Path) -> None:
    """A new descriptor is a new one, though it has the number of one that was given."""
    fds: set[int] = set()
    step_box.handler_threads = 1  # see two_calls

    def handle(ctx: HandlerCtx) -> NotifAction:
        fd = opened()
        fds.add(fd)
        return NotifAction.inject_fd_send(fd)

    call = number("getppid")
    command: list[StrPath] = [stepper, call, ",", call, ",", call]
    result = step_box.run(command, handlers=[("getppid", Do(handle))], check=True)
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [[b"%d" % fd, b"0"] for fd in (3, 4, 5)]
    assert (len(fds), result.handler_errors) == (1, [])


def test_an_action_that_is_given_to_nobody_takes_nothing(step_box: Sandbox, stepper: Path) -> None:
    """Another action of the same descriptor is given in its place."""
    fd = opened()
    NotifAction.inject_fd_send(fd)
    wanted = NotifAction.inject_fd_send(fd)
    NotifAction.inject_fd_send(fd)
    all_calls(step_box, stepper, lambda ctx: wanted)


def test_closed_by_its_owner_before_it_is_given(step_box: Sandbox, stepper: Path, tmp_path: Path) -> None:
    """Nothing is given, and nothing is closed."""
    step_box.on_exception = NotifAction.errno(errno.EIO)
    strangers: list[Stranger] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        fd = opened()
        action = NotifAction.inject_fd_send(fd)
        os.close(fd)
        strangers.append(Stranger(tmp_path / "file", fd))
        return action

    result = step_box.run([stepper, number("getppid")], handlers=[("getppid", Do(handle))], check=True)
    assert result.stdout.split()[:2] == [b"-1", b"5"]
    strangers[0].close()


def test_two_answers_at_the_same_time(step_box: Sandbox, program: Program) -> None:
    """Two threads return it before one of them could close it: one of the calls gets it."""
    crowd, fd = program("crowd"), opened()
    step_box.fs_readable = [*step_box.fs_readable, crowd]
    step_box.on_exception = NotifAction.errno(errno.EIO)
    both = threading.Barrier(2)

    def handle(ctx: HandlerCtx) -> NotifAction:
        action = NotifAction.inject_fd_send(fd)
        both.wait(PATIENCE)
        return action

    result = step_box.run([crowd, "2", number("getppid")], handlers=[("getppid", Do(handle))], check=True)
    assert sorted(result.stdout.splitlines()) == [b"-1 5", b"3 0"]
    assert len(result.handler_errors) == 1


def test_many_times_while_others_open_and_close(program: Program, tmp_path: Path) -> None:
    """Each descriptor is given for two calls. The host goes on opening files, and none is closed under its hands."""
    opens, path = program("opens"), tmp_path / "file"
    path.write_text("somebody else's")
    box = tool_sandbox([opens], on_exception=NotifAction.errno(errno.EIO))
    pending: list[NotifAction] = []
    strangers: list[int] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        if pending:
            return pending.pop()
        fd = os.open(path, os.O_RDONLY)
        pending.append(NotifAction.inject_fd_send(fd))
        return NotifAction.inject_fd_send(fd)

    def between(ctx: HandlerCtx) -> NotifAction:
        strangers.append(os.open(path, os.O_RDONLY))
        if len(strangers) == 3:
            os.close(strangers.pop(0))
        return CONTINUE

    handlers = [("openat2", Do(handle)), ("getppid", Do(between))]
    result = box.run([opens, str(TIMES), "close"], handlers=handlers, check=True)
    assert result.stdout.split() == [b"%d" % (TIMES // 2), b"%d" % (TIMES // 2), b"5"]
    for fd in strangers:
        assert os.read(fd, 100) == b"somebody else's"
        os.close(fd)
