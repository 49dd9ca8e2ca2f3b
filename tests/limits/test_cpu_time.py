"""The CPU time of a tree."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandlock import ExitReason, PolicyError, Sandbox
from tests.support.cgroups import mechanism
from tests.support.processes import PATIENCE
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

by_stopping = pytest.mark.skipif(mechanism("cpu") == "cgroup", reason="a cgroup slows the tree down here")

BUSY = "while :; do :; done"


def state(pid: int | None) -> str:
    assert pid is not None
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_state(pid: int | None, wanted: str) -> None:
    end = time.monotonic() + PATIENCE
    while state(pid) not in wanted:
        assert time.monotonic() < end, f"process {pid} is {state(pid)}, never {wanted}"
        time.sleep(0.001)


@by_stopping
def test_a_busy_command_is_stopped_and_goes_on() -> None:
    with tool_sandbox(max_cpu=10).popen(["sh", "-c", BUSY]) as process:
        for _ in range(3):
            wait_for_state(process.pid, "T")
            wait_for_state(process.pid, "RS")
        process.kill()
        result = process.wait()
    assert result.reason == ExitReason.KILLED
    assert result.exceeded is None
    assert result.limits == {"max_cpu": "supervisor"}


@by_stopping
def test_the_whole_tree_is_stopped() -> None:
    script = f"({BUSY}) & echo $!; exec sleep 60"
    with tool_sandbox(max_cpu=10).popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        busy = int(process.stdout.readline())
        for pid in (busy, process.pid):
            wait_for_state(pid, "T")
        process.kill()


@by_stopping
def test_short_processes_count() -> None:
    script = "while :; do /bin/true; done"
    with tool_sandbox(max_cpu=5).popen(["sh", "-c", script]) as process:
        wait_for_state(process.pid, "T")
        process.kill()


def test_the_time_that_is_used_is_bounded() -> None:
    """Two busy processes, which would use 200 per cent; the bound leaves room for a host that is busy itself."""
    script = """
import os, time
child = os.fork()
end = time.monotonic() + 1.5
while time.monotonic() < end:
    pass
if child:
    os.wait()
    begin = end - 1.5
    times = os.times()
    used = times.user + times.system + times.children_user + times.children_system
    print(used / (time.monotonic() - begin) * 100)
"""
    result = tool_sandbox(PYTHON_PATHS, max_cpu=10).run([sys.executable, "-c", script], check=True)
    assert float(result.stdout) < 70


@by_stopping
def test_pause_lasts_beyond_the_limits_own() -> None:
    box = tool_sandbox(max_cpu=10)
    with box:
        box.spawn(["sh", "-c", BUSY])
        wait_for_state(box.pid, "T")
        box.pause()
        wait_for_state(box.pid, "T")
        for _ in range(30):  # as long as the limit stops a tree, and longer
            assert state(box.pid) == "T"
            time.sleep(0.01)
        box.resume()
        wait_for_state(box.pid, "RS")


def test_timeout_ends_a_stopped_command() -> None:
    assert tool_sandbox(max_cpu=1).run(["sh", "-c", BUSY], timeout=0.5).reason == ExitReason.TIMEOUT


@pytest.mark.parametrize(
    ("value", "percent"), [(None, None), (-3, 1), (0, 1), (1, 1), (37, 37), (100, 100), (400, 100)]
)
def test_cpu_pct(value: int | None, percent: int | None) -> None:
    assert Sandbox(max_cpu=value).cpu_pct() == percent


@pytest.mark.parametrize("value", [-1, 1.5, "50", "50%", True])
def test_wrong_values(value: object) -> None:
    with pytest.raises(PolicyError, match=r"^max_cpu.*(write|leave)"):
        tool_sandbox(max_cpu=value).run(["true"])
