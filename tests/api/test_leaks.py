"""Nothing is left of a run: descriptors, threads, memory, processes, handles."""

from __future__ import annotations

import gc
import logging
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from sandlock import ExceptionPolicy, NotifAction, PolicyError, Result
from tests.support.handlers import Answer, Fail
from tests.support.processes import children, open_fds
from tests.support.sandboxes import tool_sandbox

RUNS = 200


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Keep pytest from holding the tracebacks that are logged."""
    caplog.set_level(logging.CRITICAL + 1, logger="sandlock")


def plain() -> None:
    assert tool_sandbox().run(["echo", "hello"]).stdout == b"hello\n"


def with_input() -> None:
    assert tool_sandbox(cwd="/").run(["cat"], input=b"hello").stdout == b"hello"


def handled() -> None:
    assert tool_sandbox().run(["sh", "-c", "umask"], handlers=[("umask", Answer())]).success


def killed() -> None:
    tool_sandbox().run(["sh", "-c", "umask"], handlers=[("umask", Answer(NotifAction.kill()))])


def failed() -> None:
    handler = Fail(OSError())
    result = tool_sandbox(on_exception=ExceptionPolicy.CONTINUE).run(
        ["sh", "-c", "umask"], handlers=[("umask", handler)]
    )
    assert len(result.handler_errors) == handler.calls > 0


def interrupted() -> None:
    with pytest.raises(KeyboardInterrupt):
        tool_sandbox().run(["sh", "-c", "umask"], handlers=[("umask", Fail(KeyboardInterrupt()))])


def not_executable() -> None:
    assert tool_sandbox().run(["/nonexistent"], handlers=[("umask", Answer())]).exit_code == 127


def not_found() -> None:
    assert tool_sandbox().run(["nosuchprogram"], handlers=[("umask", Answer())]).exit_code == 127


def over() -> None:
    tool_sandbox().run(["sleep", "1000"], timeout=0, input=b"x", handlers=[("umask", Answer())])


def daemon() -> None:
    tool_sandbox().run(["sh", "-c", "setsid sleep 1000 &"])


def refused() -> None:
    with pytest.raises(PolicyError):
        tool_sandbox(["/usr", "/nonexistent"], fs_denied=["/usr/share"]).run(["true"], handlers=[("umask", Answer())])


def refused_late() -> None:
    with pytest.raises(PolicyError):
        tool_sandbox(cwd="/nonexistent").run(["true"], handlers=[("umask", Answer())])


def python_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def kernel_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def frames() -> int:
    """Count the mappings that are shared with Go."""
    return Path("/proc/self/maps").read_text().count("sandlock-frame")


ALL = [plain, with_input, handled, killed, failed, interrupted, not_executable, not_found, over, daemon, refused]


@pytest.mark.parametrize("run", [*ALL, refused_late], ids=lambda run: run.__name__)
def test_nothing_is_left(run: Callable[[], None]) -> None:
    from sandlock import _core

    for _ in range(10):  # the runtimes take what they keep
        run()
    gc.collect()
    fds, threads, processes, tasks = open_fds(), python_threads(), children(), kernel_threads()
    for _ in range(RUNS):
        run()
    gc.collect()
    assert open_fds() == fds
    assert python_threads() == threads
    assert children() == processes
    assert frames() == 0
    assert _core.NumHandles() == 0
    # The Go runtime starts a thread when all others are in system calls, and keeps it.
    assert kernel_threads() < tasks + 20


@pytest.mark.parametrize("run", [plain, handled, killed, failed], ids=lambda run: run.__name__)
def test_no_memory_of_python_is_left(run: Callable[[], None]) -> None:
    """Neither of the package's objects nor of those that the extension makes: what leaks grows each time."""
    tracemalloc.start()
    try:
        grown = [growth(run)]
        while grown[-1] >= 64 * RUNS and len(grown) < 5:  # an object with a dictionary takes more; caches fill first
            grown.append(growth(run))
    finally:
        tracemalloc.stop()
    assert grown[-1] < 64 * RUNS, grown


def growth(run: Callable[[], None]) -> int:
    """Return by how many bytes Python's memory has grown with many runs."""
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(RUNS):
        run()
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("run", [plain, handled, killed, not_executable], ids=lambda run: run.__name__)
def test_the_garbage_collector_is_not_needed(run: Callable[[], None]) -> None:
    run()
    fds = open_fds()
    for _ in range(20):
        run()
    assert open_fds() == fds
    assert frames() == 0


def test_results_that_are_kept_hold_nothing_of_the_kernel() -> None:
    box = tool_sandbox(on_exception=ExceptionPolicy.CONTINUE)
    box.run(["sh", "-c", "umask"], handlers=[("umask", Fail(OSError()))])
    gc.collect()
    fds = open_fds()
    kept: list[Result] = [box.run(["sh", "-c", "umask"], handlers=[("umask", Fail(OSError()))]) for _ in range(20)]
    assert all(result.handler_errors for result in kept)
    assert open_fds() == fds
    assert frames() == 0
