"""The factories of answers refuse wrong arguments at once, and name them."""

from __future__ import annotations

import errno
import os
import signal
import socket
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest

from sandlock import ExceptionPolicy, NotifAction
from tests.support.handlers import Answer
from tests.support.processes import open_fds
from tests.support.sandboxes import tool_sandbox

send, place, tracked = NotifAction.inject_fd_send, NotifAction.inject_fd, NotifAction.inject_fd_send_tracked


def ignore(fd: int) -> None:
    pass


class HasFileno:
    def __init__(self, value: object) -> None:
        self._value = value

    def fileno(self) -> object:
        return self._value


class FailingFileno:
    def fileno(self) -> int:
        raise LookupError("on purpose")


class NoMethod:
    fileno = 0


class Wrong(NamedTuple):
    make: Callable[[Any], NotifAction]
    value: Any
    error: type[Exception]
    words: str


FDS: dict[str, tuple[Any, type[Exception], str]] = {
    "text": ("0", TypeError, "srcfd must be a file descriptor or have fileno.*'0'"),
    "path": (Path("/etc/passwd"), TypeError, "srcfd.*fileno"),
    "float": (0.0, TypeError, "srcfd.*fileno"),
    "None": (None, TypeError, "srcfd.*None"),
    "bool": (True, TypeError, "srcfd.*True"),
    "bytes": (b"0", TypeError, "srcfd"),
    "negative": (-1, ValueError, "srcfd must be from 0 to 2147483647, not -1"),
    "negative of an object": (HasFileno(-1), ValueError, "srcfd must be from 0 to 2147483647, not -1"),
    "text of an object": (HasFileno("3"), TypeError, "srcfd: fileno.* returned '3'"),
    "bool of an object": (HasFileno(True), TypeError, "srcfd: fileno.* returned True"),
    "None of an object": (HasFileno(None), TypeError, "srcfd: fileno.* returned None"),
    "float of an object": (HasFileno(0.0), TypeError, "srcfd: fileno.* returned 0.0"),
    "more than an int of an object": (HasFileno(2**40), ValueError, f"srcfd must be from 0 to 2147483647, not {2**40}"),
    "not open of an object": (HasFileno(10**6), ValueError, "srcfd.*1000000 is not open"),
    "fileno is no method": (NoMethod(), TypeError, "srcfd must be a file descriptor or have fileno"),
    "not open": (10**6, ValueError, "srcfd.*1000000 is not open"),
    "one more than an int": (2**31, ValueError, "srcfd must be from 0 to 2147483647, not 2147483648"),
    "more than an int": (2**40, ValueError, f"srcfd must be from 0 to 2147483647, not {2**40}"),
}

MAKERS: dict[str, Callable[[Any], NotifAction]] = {
    "inject_fd": lambda fd: place(fd, 9),
    "inject_fd_send": lambda fd: send(fd),
    "inject_fd_send_tracked": lambda fd: tracked(fd, on_success=ignore),
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("fd", FDS)
def test_descriptor(maker: str, fd: str) -> None:
    value, error, words = FDS[fd]
    with pytest.raises(error, match=f"{maker}: {words}"):
        MAKERS[maker](value)


def test_descriptor_of_a_closed_object() -> None:
    ours, other = socket.socketpair()
    other.close()
    ours.close()
    with pytest.raises(ValueError, match="inject_fd_send: srcfd"):
        send(ours)
    file = Path("/dev/null").open()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        send(file)


def test_an_exception_of_fileno_is_the_callers() -> None:
    with pytest.raises(LookupError, match="on purpose"):
        send(FailingFileno())


CASES = {
    "errno of a bool": Wrong(NotifAction.errno, False, TypeError, "errno: value must be an int, not bool"),
    "errno of None": Wrong(NotifAction.errno, None, TypeError, "errno: value must be an int, not NoneType"),
    "errno of a float": Wrong(NotifAction.errno, 1.0, TypeError, "errno: value must be an int, not float"),
    "result of a bool": Wrong(NotifAction.returns, True, TypeError, "returns: value must be an int, not bool"),
    "large result": Wrong(NotifAction.returns, 2**63, ValueError, f"returns: value must be .* not {2**63}"),
    "result without a sign": Wrong(NotifAction.returns, 2**64 - 1, ValueError, "returns: value"),
    "signal of None": Wrong(NotifAction.kill, None, TypeError, "kill: sig must be an int, not NoneType"),
    "signal beyond the last": Wrong(NotifAction.kill, 65, ValueError, "kill: sig must be from 1 to 64, not 65"),
    "group of a bool": Wrong(lambda v: NotifAction.kill(9, v), True, TypeError, "kill: pgid must be an int, not bool"),
    "large group": Wrong(lambda v: NotifAction.kill(9, v), 2**31, ValueError, "kill: pgid"),
    "target of text": Wrong(lambda v: place(0, v), "9", TypeError, "inject_fd: targetfd must be an int, not str"),
    "target of a bool": Wrong(lambda v: place(0, v), True, TypeError, "inject_fd: targetfd.*bool"),
    "target of None": Wrong(lambda v: place(0, v), None, TypeError, "inject_fd: targetfd.*NoneType"),
    "negative target": Wrong(lambda v: place(0, v), -1, ValueError, "inject_fd: targetfd.*-1"),
    "large target": Wrong(lambda v: place(0, v), 2**31, ValueError, "inject_fd: targetfd"),
    "flags of text": Wrong(lambda v: send(0, v), "0", TypeError, "inject_fd_send: newfd_flags must be an int, not str"),
    "flags of a bool": Wrong(lambda v: send(0, v), True, TypeError, "newfd_flags.*bool"),
    "flags of None": Wrong(lambda v: send(0, v), None, TypeError, "newfd_flags"),
    "negative flags": Wrong(lambda v: send(0, v), -1, ValueError, "newfd_flags.*-1"),
    "unknown flags": Wrong(lambda v: send(0, v), os.O_NONBLOCK, ValueError, "newfd_flags must be 0 or os.O_CLOEXEC"),
    "more flags": Wrong(lambda v: send(0, v), os.O_CLOEXEC | 1, ValueError, "newfd_flags"),
    "tracked flags": Wrong(
        lambda v: tracked(0, v, on_success=ignore), "0", TypeError, "inject_fd_send_tracked: newfd_flags"
    ),
    "on_success None": Wrong(lambda v: tracked(0, on_success=v), None, TypeError, "on_success must be callable.*None"),
    "on_success 1": Wrong(lambda v: tracked(0, on_success=v), 1, TypeError, "inject_fd_send_tracked: on_success.*1"),
    "data of text": Wrong(NotifAction.inject_bytes, "x", TypeError, "inject_bytes: data must be bytes, not str"),
    "data of None": Wrong(NotifAction.inject_bytes, None, TypeError, "inject_bytes: data.*NoneType"),
    "data of a number": Wrong(NotifAction.inject_bytes, 5, TypeError, "inject_bytes: data.*int"),
    "data of a list": Wrong(NotifAction.inject_bytes, [1], TypeError, "inject_bytes: data.*list"),
    "seal of text": Wrong(
        lambda v: NotifAction.inject_bytes(b"", seal=v), "no", TypeError, "inject_bytes: seal must be a bool, not str"
    ),
    "seal of None": Wrong(lambda v: NotifAction.inject_bytes(b"", seal=v), None, TypeError, "inject_bytes: seal"),
    "seal of a number": Wrong(lambda v: NotifAction.inject_bytes(b"", seal=v), 1, TypeError, "inject_bytes: seal"),
    "cloexec of None": Wrong(lambda v: NotifAction.inject_bytes(b"", cloexec=v), None, TypeError, "cloexec must be"),
    "cloexec of a number": Wrong(
        lambda v: NotifAction.inject_bytes(b"", cloexec=v),
        0,
        TypeError,
        "inject_bytes: cloexec must be a bool, not int",
    ),
    "signal of text": Wrong(NotifAction.kill, "9", TypeError, "kill: sig must be an int, not str"),
    "signal of a bool": Wrong(NotifAction.kill, True, TypeError, "kill: sig"),
    "pid of text": Wrong(lambda v: NotifAction.kill(9, pid=v), "1", TypeError, "kill: pid must be an int, not str"),
    "pid of a bool": Wrong(lambda v: NotifAction.kill(9, pid=v), True, TypeError, "kill: pid"),
    "negative pid": Wrong(lambda v: NotifAction.kill(9, pid=v), -1, ValueError, "kill: pid"),
    "large pid": Wrong(lambda v: NotifAction.kill(9, pid=v), 2**31, ValueError, "kill: pid"),
    "pid and pgid": Wrong(lambda v: NotifAction.kill(9, 5, pid=v), 5, ValueError, "pgid or pid, not both"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str) -> None:
    before = open_fds()
    wrong = CASES[case]
    with pytest.raises(wrong.error, match=wrong.words):
        wrong.make(wrong.value)
    assert open_fds() == before


CALLS: dict[str, Callable[[], object]] = {
    "no target": lambda: place(0),  # type: ignore[call-arg]
    "no on_success": lambda: tracked(0),  # type: ignore[call-arg]
    "on_success by position": lambda: tracked(0, 0, ignore),  # type: ignore[misc]
    "seal by position": lambda: NotifAction.inject_bytes(b"", True),  # type: ignore[misc]
    "an argument of hold": lambda: NotifAction.hold(1),  # type: ignore[call-arg]
    "an argument of continue_": lambda: NotifAction.continue_(1),  # type: ignore[call-arg]
    "no errno": lambda: NotifAction.errno(),  # type: ignore[call-arg]
    "pid by position": lambda: NotifAction.kill(9, 0, 0),  # type: ignore[misc]
}


@pytest.mark.parametrize("call", CALLS)
def test_wrong_number_of_arguments(call: str) -> None:
    with pytest.raises(TypeError):
        CALLS[call]()


def test_what_is_accepted() -> None:
    with Path("/dev/null").open("rb") as file:
        made = [
            place(file, 0),
            place(file.fileno(), 2**31 - 1),
            send(file, os.O_CLOEXEC),
            tracked(file.fileno(), os.O_CLOEXEC, on_success=ignore),
            NotifAction.inject_bytes(b"x", seal=False, cloexec=False),
            NotifAction.kill(64, pid=0),
            NotifAction.kill(signal.SIGTERM),
            NotifAction.returns(-(2**63)),
            NotifAction.returns(2**63 - 1),
            NotifAction.errno(errno.EPERM),
            NotifAction.errno(4095),
        ]
    assert all(isinstance(action, NotifAction) for action in made)


ONCE: dict[str, Callable[[], NotifAction]] = {
    "hold": NotifAction.hold,
    "inject_fd": lambda: place(0, 9),
    "inject_fd_send": lambda: send(0),
    "inject_bytes": lambda: NotifAction.inject_bytes(b""),
}


@pytest.mark.parametrize("action", ONCE)
def test_an_exception_has_no_answer_that_is_given_once(action: str) -> None:
    rules: list[Any] = [ONCE[action](), {OSError: ONCE[action](), Exception: ExceptionPolicy.KILL}]
    for rule in rules:
        with pytest.raises(TypeError, match="cannot answer more than one call"):
            tool_sandbox(on_exception=rule)
        with pytest.raises(TypeError, match=r"handlers\[0\]: on_exception.*cannot answer more than one call"):
            tool_sandbox().run(["true"], handlers=[("getppid", Answer(), rule)])
