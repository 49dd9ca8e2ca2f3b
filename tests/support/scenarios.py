"""Ways to use sandlock that differ in what the supervisor does, for tests that disturb it."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Callable

from sandlock import Handler, HandlerCtx, NotifAction, Result, StdioMode
from tests.support.handlers import Answer, Do
from tests.support.sandboxes import tool_sandbox
from tests.support.sockets import port_of

LIMIT = 100.0
"""Seconds that a command may take."""

Scenario = Callable[[str], Result]
"""Runs a command, whose script begins with the argument."""


def plain(prelude: str) -> Result:
    """Feed and capture, with no supervisor."""
    return tool_sandbox(cwd="/").run(["sh", "-c", prelude + "cat"], input=b"x", timeout=LIMIT)


def handlers(prelude: str) -> Result:
    """Answer in Python: continue, refuse, perform, and give a file."""

    def opened(ctx: HandlerCtx) -> NotifAction:
        path = ctx.read_path()
        if path == "/etc/passwd":
            return NotifAction.inject_bytes(b"given\n")
        return ctx.perform() if path == "/etc/group" else NotifAction.continue_()

    refused = Answer(NotifAction.errno(errno.EPERM))
    script = prelude + "umask; cd / || cat /etc/group /etc/passwd"
    registrations = [("umask", Answer()), ("chdir", refused), ("openat", Do(opened))]
    return tool_sandbox().run(["sh", "-c", script], handlers=registrations, timeout=LIMIT)


class _Awaiting(Handler):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        await asyncio.sleep(0)
        return NotifAction.continue_()


def asynchronous(prelude: str) -> Result:
    """Answer in an event loop."""
    run = tool_sandbox().arun(["sh", "-c", prelude + "umask"], handlers=[("umask", _Awaiting())], timeout=LIMIT)
    return asyncio.run(run)


def network(prelude: str) -> Result:
    """Connect on the command's behalf."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = port_of(server)
        box = tool_sandbox(net_allow=[f"127.0.0.1:{port}"], net_deny=["10.0.0.0/8"])
        return box.run(["bash", "-c", f"{prelude}exec 3<>/dev/tcp/127.0.0.1/{port}"], timeout=LIMIT)


def limits(prelude: str) -> Result:
    """Count and watch a tree."""
    box = tool_sandbox(max_processes=20, max_memory="500M", max_disk="10M", max_cpu=90)
    return box.run(["sh", "-c", prelude + "true | cat"], timeout=LIMIT)


def determinism(prelude: str) -> Result:
    """Show another time, other random numbers and ordered folders."""
    box = tool_sandbox(random_seed=1, time_start="2030-01-01T00:00:00Z", deterministic_dirs=True)
    return box.run(["sh", "-c", prelude + "ls /etc >/dev/null; date"], timeout=LIMIT)


def pipeline(prelude: str) -> Result:
    """Run two commands at once."""
    return (tool_sandbox().cmd(["sh", "-c", prelude + "echo a"]) | tool_sandbox().cmd(["cat"])).run(timeout=LIMIT)


def process(prelude: str) -> Result:
    """Hold a command, and read its output from a stream."""
    box = tool_sandbox()
    with box.popen(["sh", "-c", prelude + "echo a"], stdout=StdioMode.PIPED) as running:
        assert running.stdout is not None
        running.stdout.read()
        return running.wait(LIMIT)


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (plain, handlers, asynchronous, network, limits, determinism, pipeline, process)
}
