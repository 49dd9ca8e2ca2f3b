"""The time of day may jump: no limit of a run is kept by it.

The clock of the machine is not the tests' to set, and a time namespace has no other time of day. So strace shows by
which clock the kernel is asked to wait, and Python's own time of day jumps.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, host_command, host_environment, run_host

# Runs into each of the limits that a run may have, with and without threads and event loops that wait.
LIMITS = """
    import asyncio, subprocess, sys, threading
    from sandlock import Handler, NotifAction, StdioMode
    from tests.support.handlers import Answer
    from tests.support.sandboxes import tool_sandbox

    class Late(Handler):
        handler_timeout = 0.2
        on_exception = NotifAction.errno(1)

        def handle(self, ctx):
            threading.Event().wait(0.5)
            return NotifAction.continue_()

    class Awaiting(Late):
        async def handle(self, ctx):
            await asyncio.sleep(1000)

    sleep, umask = ["sleep", "1000"], ["sh", "-c", "umask"]
    box = tool_sandbox(max_memory="500M", max_cpu=90)
    print(box.run(sleep, timeout=0.2).reason.name)
    print(box.run(sleep, timeout=0.2, handlers=[("umask", Answer())]).reason.name)
    print((box.cmd(sleep) | tool_sandbox().cmd(sleep)).run(timeout=0.2).reason.name)
    print(asyncio.run(box.arun(sleep, timeout=0.2)).reason.name)
    with box.popen(sleep, stdout=StdioMode.PIPED) as process:
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            print("TimeoutExpired")
        process.kill()
    for handler in (Late(), Awaiting()):
        result = box.run(umask, handlers=[("umask", handler)])
        print(*{type(failure.exception).__name__ for failure in result.handler_errors})
"""

KEPT = ["TIMEOUT"] * 4 + ["TimeoutExpired"] + ["TimeoutError"] * 2

JUMPS = """
    import itertools, time
    days = itertools.cycle([0.0, 4e9])
    time.time = lambda: next(days)
"""


def test_days_that_jump() -> None:
    done = run_host(JUMPS + LIMITS)
    assert done.stdout.splitlines() == KEPT, done.stderr


BY_TIME_OF_DAY = re.compile(
    r"(futex\(.*FUTEX_CLOCK_REALTIME.*\{tv_sec"
    r"|clock_nanosleep\(CLOCK_REALTIME, TIMER_ABSTIME|timerfd_create\(CLOCK_REALTIME|timer_create\(CLOCK_REALTIME)"
)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="before 3.10 CPython itself waits by the time of day")
def test_waits_are_by_another_clock(strace: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [strace, "-f", "-qq", "-e", "signal=none", "-o", str(log), *host_command(LIMITS)]
    done = subprocess.run(
        command, env=host_environment(), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.stdout.splitlines() == KEPT, done.stderr
    calls = log.read_text(errors="replace").splitlines()
    assert any("{tv_sec" in call for call in calls), "nobody waits for a time"
    assert [call for call in calls if BY_TIME_OF_DAY.search(call)] == []
