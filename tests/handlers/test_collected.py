"""After many runs with fresh handlers nothing of them is left, in Python, in Go, or of the kernel."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import threading
import weakref
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, _core
from tests.support.handlers import CONTINUE
from tests.support.processes import open_fds
from tests.support.sandboxes import tool_sandbox

RUNS = 1000
WARM = 50

EPERM = NotifAction.errno(errno.EPERM)


class Sync(Handler):
    def handle(self, ctx: HandlerCtx) -> Any:
        return CONTINUE


class Async(Handler):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        await asyncio.sleep(0)
        return CONTINUE


class Sending(Handler):
    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return NotifAction.inject_fd_send_tracked(os.open("/dev/null", os.O_RDONLY), on_success=self.sent)

    def sent(self, fd: int) -> None:
        pass


class Failing(Handler):
    on_exception = EPERM

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        raise LookupError(ctx)


class AsyncFailing(Failing):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        raise LookupError(ctx)


class Observing(Sync):
    observe = True

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        self.seen.append((ctx, action, self))


class Timed(Sync):
    handler_timeout = 1000.0


CHAINS: dict[str, list[type[Handler]]] = {
    "sync": [Sync],
    "async": [Async],
    "mixed": [Observing, Async, Timed, Sync],
    "sending": [Sending],
    "failing": [Observing, Failing],
    "failing async": [AsyncFailing],
}


def resident() -> int:
    """Return the memory of this process in kB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.parametrize("chain", CHAINS)
def test_after_many_runs(
    chain: str, caplog: pytest.LogCaptureFixture, record_property: Callable[[str, object], None]
) -> None:
    caplog.set_level(logging.CRITICAL, logger="sandlock")
    references: list[weakref.ref[Handler]] = []

    def run() -> None:
        handlers = [kind() for kind in CHAINS[chain]]
        references.extend(map(weakref.ref, handlers))
        box = tool_sandbox()
        box.run(["sh", "-c", "cd /; cd /"], handlers=[("chdir", handler) for handler in handlers])

    for _ in range(WARM):  # the runtimes take what they keep
        run()
    gc.collect()
    fds, threads, tasks, memory = open_fds(), set(threading.enumerate()), len(os.listdir("/proc/self/task")), resident()
    for _ in range(RUNS // len(CHAINS)):
        run()
    gc.collect()
    assert [reference() for reference in references if reference() is not None] == []
    assert _core.NumHandles() == 0
    assert open_fds() == fds
    assert set(threading.enumerate()) == threads
    # The Go runtime starts a thread when all others are in system calls, and keeps it.
    assert len(os.listdir("/proc/self/task")) < tasks + 20
    record_property("kB of memory more", resident() - memory)
