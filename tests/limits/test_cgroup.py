"""Limits that the kernel keeps for a tree: in a cgroup, where one can be made."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandlock import ExitReason, Sandbox
from tests.support.cgroups import groups, obstacle, own_cgroup
from tests.support.processes import PATIENCE, Watched, host_command, host_environment
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

HINDRANCE = obstacle("memory") or obstacle("cpu")

pytestmark = pytest.mark.skipif(HINDRANCE is not None, reason=f"no cgroup: {HINDRANCE}")


def group_of(pid: int | None) -> Path:
    place = own_cgroup()
    assert place is not None
    own = next(line[3:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.startswith("0::"))
    return place[0] / own.lstrip("/")


def box_in_group(**fields: Any) -> Sandbox:
    return tool_sandbox(PYTHON_PATHS, max_memory="300M", max_cpu=50, **fields)


def test_the_tree_is_in_a_cgroup_with_the_limits() -> None:
    script = "setsid sh -c 'echo $$; exec cat'"
    with box_in_group().popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        group = group_of(int(process.stdout.readline()))
        assert group == group_of(process.pid)
        assert groups() == [group]
        settings = {name: (group / name).read_text().split() for name in ("memory.max", "memory.oom.group", "cpu.max")}
        assert settings["memory.max"] == [str(300 << 20)]
        assert settings["memory.oom.group"] == ["1"]
        assert settings["cpu.max"] == ["50000", "100000"]
        process.stdin.close()
        result = process.wait()
    assert result.limits == {"max_memory": "cgroup", "max_cpu": "cgroup"}
    assert result.success
    assert groups() == []


@pytest.mark.parametrize(
    ("end", "reason"),
    [("true", ExitReason.EXITED), ("kill -9 $$", ExitReason.SIGNALED), ("sleep 60", ExitReason.TIMEOUT)],
)
def test_none_is_left(end: str, reason: ExitReason) -> None:
    result = box_in_group().run(["sh", "-c", f"setsid sleep 60 & {end}"], timeout=2)
    assert result.reason == reason
    assert groups() == []


def test_none_is_left_when_nothing_was_started() -> None:
    assert box_in_group().run(["/nonexistent/program"]).exit_code == 127
    assert box_in_group().run(["nonexistent"]).exit_code == 127
    assert groups() == []


def test_none_is_left_when_the_host_dies() -> None:
    script = """
        import subprocess, time
        from tests.limits.test_cgroup import box_in_group
        process = box_in_group().popen(["sh", "-c", "echo $$; exec sleep 60"], stdout=subprocess.PIPE)
        print(process.stdout.readline().decode(), end="", flush=True)
        time.sleep(60)
    """
    host = subprocess.Popen(host_command(script), env=host_environment(), stdout=subprocess.PIPE)
    with host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        (group,) = groups()
        with Watched(parent_of(pid)) as reaper:
            host.send_signal(signal.SIGKILL)
            assert reaper.gone(PATIENCE)
    assert not group.exists()
    assert not os.path.exists(f"/proc/{pid}")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_what_another_host_has_left_behind_is_removed() -> None:
    with box_in_group().popen(["cat"], stdin=subprocess.PIPE) as process:
        base = group_of(process.pid).parent
        process.kill()
    gone = subprocess.Popen(["true"])
    gone.wait()
    stale, fresh = base / f"sandlock-{gone.pid}-1", base / f"sandlock-{gone.pid}-2"
    for path in (stale, fresh):
        path.mkdir()
    try:
        os.utime(stale, (0, 0))
        box_in_group().run(["true"])
        assert (stale.exists(), fresh.exists()) == (False, True)
    finally:
        for path in (stale, fresh):
            if path.exists():
                path.rmdir()
