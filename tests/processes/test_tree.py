"""Whatever the way of running: nothing of the tree outlives the command, its timeout or its Process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import pytest

from sandlock import ExitReason, Result, Sandbox, StdioMode
from tests.support.processes import PATIENCE, MakeFifo, Watched, children, open_fds
from tests.support.sandboxes import tool_sandbox


def by_run(box: Sandbox, command: list[str]) -> Result:
    return box.run(command)


def by_arun(box: Sandbox, command: list[str]) -> Result:
    return asyncio.run(box.arun(command))


def by_spawn(box: Sandbox, command: list[str]) -> Result:
    box.spawn(command)
    return box.wait(PATIENCE)


def by_create(box: Sandbox, command: list[str]) -> Result:
    box.create(command)
    box.start()
    return box.wait(PATIENCE)


def by_popen(box: Sandbox, command: list[str]) -> Result:
    with box.popen(command, stdout=StdioMode.PIPED) as process:
        return process.wait(PATIENCE)


def by_apopen(box: Sandbox, command: list[str]) -> Result:
    async def main() -> Result:
        async with await box.apopen(command, stdout=StdioMode.PIPED) as process:
            return await process.wait()

    return asyncio.run(main())


def by_pipeline(box: Sandbox, command: list[str]) -> Result:
    return (box.cmd(command) | box.cmd(["cat"])).run(PATIENCE)


def by_run_interactive(box: Sandbox, command: list[str]) -> Result:
    code = box.run_interactive(command)
    return Result(code == 0, code, reason=ExitReason.EXITED)


Way = Callable[[Sandbox, list[str]], Result]
WAYS = [by_run, by_arun, by_spawn, by_create, by_popen, by_apopen, by_pipeline]


# Leaves a process behind that has left its session twice, ignores signals, and tells its number.
DAEMON = "trap '' TERM HUP INT; setsid setsid sh -c 'echo $$ >{up}; exec sleep 1000' &"


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return tool_sandbox(writable=[tmp_path])


@pytest.mark.parametrize("way", [*WAYS, by_run_interactive], ids=lambda way: way.__name__)
def test_a_daemon_ends_with_the_command(box: Sandbox, make_fifo: MakeFifo, way: Way) -> None:
    up, on = make_fifo("up"), make_fifo("on")
    script = DAEMON.format(up=up.path) + f" read line <{on.path}; exit 3"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(way, box, ["sh", "-c", script])
        with Watched(int(up.line())) as daemon:
            assert not daemon.gone(0)
            on.release()
            result = running.result(PATIENCE)
            assert daemon.gone(0)
    assert (result.reason, result.exit_code) == (ExitReason.EXITED, 0 if way is by_pipeline else 3)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_command_that_is_killed_takes_its_daemon_along(box: Sandbox, make_fifo: MakeFifo, way: Way) -> None:
    up, own = make_fifo("up"), make_fifo("own")
    script = DAEMON.format(up=up.path) + f" echo $$ >{own.path}; exec sleep 1000"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(way, box, ["sh", "-c", script])
        with Watched(int(up.line())) as daemon:
            os.kill(int(own.line()), signal.SIGKILL)
            result = running.result(PATIENCE)
            assert daemon.gone(0)
    if way is not by_pipeline:
        assert (result.reason, result.signal) == (ExitReason.SIGNALED, signal.SIGKILL)


def wait_with_limit(box: Sandbox, command: list[str]) -> None:
    with pytest.raises(subprocess.TimeoutExpired), box.popen(command) as process:
        process.wait(2)


def communicate_with_limit(box: Sandbox, command: list[str]) -> None:
    with pytest.raises(subprocess.TimeoutExpired), box.popen(command, stdout=StdioMode.PIPED) as process:
        process.communicate(timeout=2)


def await_with_limit(box: Sandbox, command: list[str]) -> None:
    async def main() -> None:
        async with await box.apopen(command) as process:
            await asyncio.wait_for(process.wait(), 2)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(main())


def run_with_limit(box: Sandbox, command: list[str]) -> None:
    assert box.run(command, timeout=2).reason == ExitReason.TIMEOUT


def arun_with_limit(box: Sandbox, command: list[str]) -> None:
    assert asyncio.run(box.arun(command, timeout=2)).reason == ExitReason.TIMEOUT


def arun_cancelled(box: Sandbox, command: list[str]) -> None:
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(asyncio.wait_for(box.arun(command), 2))


LIMITS = [
    wait_with_limit,
    communicate_with_limit,
    await_with_limit,
    run_with_limit,
    arun_with_limit,
    arun_cancelled,
]


def test_limits_end_the_tree(tmp_path: Path, make_fifo: MakeFifo) -> None:
    fifos = [make_fifo(way.__name__) for way in LIMITS]
    boxes = [tool_sandbox(writable=[tmp_path]) for _ in LIMITS]
    # The limits pass at the same time.
    with ThreadPoolExecutor(len(LIMITS)) as pool, contextlib.ExitStack() as stack:
        runs = [
            pool.submit(way, box, ["sh", "-c", DAEMON.format(up=fifo.path) + " exec sleep 1000"])
            for way, box, fifo in zip(LIMITS, boxes, fifos)
        ]
        daemons = [stack.enter_context(Watched(int(fifo.line()))) for fifo in fifos]
        for way, run, daemon in zip(LIMITS, runs, daemons):
            run.result(PATIENCE)
            assert daemon.gone(0), way.__name__


def read_to_the_end(box: Sandbox) -> None:
    with box.popen(["echo", "hello"], stdout=StdioMode.PIPED) as process:
        process.communicate()


def left_unread(box: Sandbox) -> None:
    with box.popen(["cat"], StdioMode.PIPED, StdioMode.PIPED, StdioMode.PIPED):
        pass


def killed(box: Sandbox) -> None:
    with box.popen(["sleep", "1000"]) as process:
        process.kill()


def lost(box: Sandbox) -> None:
    box.popen(["sleep", "1000"], stdout=StdioMode.PIPED)


def created(box: Sandbox) -> None:
    with box:
        box.create(["true"])


def spawned(box: Sandbox) -> None:
    box.spawn(["sh", "-c", "setsid sleep 1000 & true"], stdin=io.BytesIO(b"hello"))
    box.wait()


def piped(box: Sandbox) -> None:
    (box.cmd(["echo", "hello"]) | box.cmd(["cat"])).run()


def interactive(box: Sandbox) -> None:
    box.run_interactive(["true"])


@pytest.mark.parametrize(
    "use",
    [read_to_the_end, left_unread, killed, lost, created, spawned, piped, interactive],
    ids=lambda use: use.__name__,
)
def test_a_hundred_leave_nothing(box: Sandbox, use: Callable[[Sandbox], None]) -> None:
    def left() -> tuple[object, ...]:
        gc.collect()
        return open_fds(), children(), {thread.name for thread in threading.enumerate()}

    use(box)
    before, tasks = left(), len(os.listdir("/proc/self/task"))
    for _ in range(100):
        use(box)
    assert left() == before
    assert len(os.listdir("/proc/self/task")) < tasks + 20  # the Go runtime keeps some
