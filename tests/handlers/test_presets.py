"""Presets that watch, and what all presets take."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import ExceptionPolicy, Handler, HandlerCtx, Sandbox
from sandlock._syscalls import number_of, path_arguments
from sandlock.presets import (
    COMMON_PATH_SYSCALLS,
    AuditPathsHandler,
    LogSyscallsHandler,
    PathAllowHandler,
    PathDenyHandler,
    RedirectHandler,
)
from tests.support.acts import AT_FDCWD, act
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


@pytest.fixture
def box(acts: Path, tmp_path: Path) -> Sandbox:
    return tool_sandbox([acts], [tmp_path], cwd=tmp_path)


def test_common_path_syscalls() -> None:
    names = ["openat", "unlinkat", "newfstatat", "statx", "faccessat", "readlinkat", "mkdirat", "execveat", "execve"]
    assert names == COMMON_PATH_SYSCALLS
    assert all(path_arguments(number_of(name)) for name in COMMON_PATH_SYSCALLS)


def test_audit(box: Sandbox, acts: Path) -> None:
    seen: list[tuple[str | None, int]] = []
    audit = AuditPathsHandler(lambda path, ctx: seen.append((path, ctx.syscall_nr)))
    assert audit.on_exception is ExceptionPolicy.CONTINUE
    calls = [
        ("mkdirat", AT_FDCWD, "made", 0o700),
        ("mkdirat", AT_FDCWD, 1, 0o700),
        ("renameat2", AT_FDCWD, "made", AT_FDCWD, "moved", 0),
    ]
    done = act(box, acts, calls, handlers=[("mkdirat", audit), ("renameat2", audit)])
    assert [found.error for found in done] == ["", "EFAULT", ""]
    made, moved = number_of("mkdirat"), number_of("renameat2")
    assert seen == [("made", made), (None, made), ("made", moved), ("moved", moved)]


def test_audit_of_long_paths(box: Sandbox, acts: Path) -> None:
    seen: list[str | None] = []
    audit = AuditPathsHandler(lambda path, ctx: seen.append(path), max_len=4)
    act(box, acts, [("mkdirat", AT_FDCWD, name, 0o700) for name in ("four", "fives")], handlers=[("mkdirat", audit)])
    assert seen == ["four", None]


def test_audit_goes_on_after_an_error(box: Sandbox, acts: Path, tmp_path: Path) -> None:
    def fail(path: str | None, ctx: HandlerCtx) -> None:
        raise LookupError(path)

    words = [str(acts), str(number_of("mkdirat")), str(AT_FDCWD), "s:made", "448"]
    result = box.run(words, handlers=[("mkdirat", AuditPathsHandler(fail))], check=True, timeout=60)
    assert [str(failure.exception) for failure in result.handler_errors] == ["made"]
    assert os.listdir(tmp_path) == ["made"]


def test_log(box: Sandbox, acts: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sandlock.audit")
    log = LogSyscallsHandler()
    assert log.on_exception is ExceptionPolicy.CONTINUE
    (done,) = act(box, acts, [("getppid", 1, 2, 3, 4, 5, -1)], handlers=[("getppid", log)])
    (record,) = [record for record in caplog.records if record.name == "sandlock.audit"]
    assert record.levelno == logging.INFO
    pid = record.getMessage().split()[1].partition("=")[2]
    assert int(pid) > 0
    assert record.getMessage() == f"syscall={number_of('getppid')} pid={pid} args=(1, 2, 3, 4, 5, {2**64 - 1})"
    assert done.error == ""


def test_log_to_another_logger(box: Sandbox, acts: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tests.of.presets")
    caplog.set_level(logging.INFO, logger=logger.name)
    act(box, acts, [("getppid",)], handlers=[("getppid", LogSyscallsHandler(logger))])
    assert [record.name for record in caplog.records] == [logger.name]


WRONG: dict[str, tuple[Callable[..., Handler], Any, str]] = {
    "deny, a string": (PathDenyHandler, "/etc/*", "deny must be a list"),
    "deny, bytes": (PathDenyHandler, b"/etc/*", "deny must be a list"),
    "deny, None": (PathDenyHandler, None, "deny must be a list"),
    "deny, a set": (PathDenyHandler, {"/etc/*"}, "deny must be a list"),
    "deny, a number in it": (PathDenyHandler, ["/etc/*", 1], r"deny\[1\] must be a str"),
    "deny, a path in it": (PathDenyHandler, [Path("/etc")], r"deny\[0\] must be a str"),
    "allow, a string": (PathAllowHandler, "/etc/*", "allow must be a list"),
    "allow, bytes in it": (PathAllowHandler, [b"/etc/*"], r"allow\[0\] must be a str"),
    "redirects, a list": (RedirectHandler, ["/a"], "redirects must be a mapping"),
    "redirects, a string": (RedirectHandler, "/a", "redirects must be a mapping"),
    "redirects, to a number": (RedirectHandler, {"/a": 1}, "redirects"),
    "redirects, from a number": (RedirectHandler, {1: "/a"}, "redirects"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case: str) -> None:
    make, argument, message = WRONG[case]
    with pytest.raises(TypeError, match=message):
        make(argument)


@pytest.mark.parametrize("value", [0, -1, 5000])
def test_wrong_errno(value: int) -> None:
    with pytest.raises(ValueError, match="errno"):
        PathDenyHandler([], errno=value)
    with pytest.raises(ValueError, match="errno"):
        PathAllowHandler([], errno=value)


@pytest.mark.parametrize("handler", [PathDenyHandler([]), PathAllowHandler([]), RedirectHandler({})])
def test_a_call_without_a_known_path_is_not_let_through(box: Sandbox, acts: Path, handler: Handler) -> None:
    assert handler.on_exception is ExceptionPolicy.KILL
    result = box.run([acts, str(number_of("getppid"))], handlers=[("getppid", handler)], timeout=60)
    assert not result.success
    assert result.handler_errors
