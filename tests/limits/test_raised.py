"""A command cannot take its limits off."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox


@pytest.mark.parametrize(
    ("fields", "limit", "bound"),
    [
        ({"max_open_files": 64}, "RLIMIT_NOFILE", 64),
        ({"max_memory": "200M"}, "RLIMIT_DATA", 200 << 20),
        ({"max_disk": "10M"}, "RLIMIT_FSIZE", 10 << 20),
    ],
)
@pytest.mark.parametrize("raised", ["more", "resource.RLIM_INFINITY"])
def test_a_hard_limit_stays(tmp_path: Path, fields: dict[str, Any], limit: str, bound: int, raised: str) -> None:
    script = f"""
import os, resource
more = {bound} + 1
for limits in (({raised}, {raised}), ({bound}, {raised})):
    try:
        resource.setrlimit(resource.{limit}, limits)
        print("raised")
    except (ValueError, PermissionError):
        pass
if os.fork() == 0:
    print(*resource.getrlimit(resource.{limit}), flush=True)
    os._exit(0)
os.wait()
"""
    result = tool_sandbox(PYTHON_PATHS, [tmp_path], **fields).run([sys.executable, "-c", script], check=True)
    assert result.stdout.split() == [b"%d" % bound] * 2


def test_no_signal_of_the_tree_lets_it_go_on() -> None:
    """What stops a tree for its CPU time stops whoever could continue it."""
    script = """
import os, signal, time
before = sum(os.times()[:4])
end = time.monotonic() + 1.5
parent = os.getpid()
if os.fork() == 0:
    while time.monotonic() < end:
        os.kill(parent, signal.SIGCONT)
    os._exit(0)
while time.monotonic() < end:
    pass
os.wait()
print((sum(os.times()[:4]) - before) / 1.5 * 100)
"""
    result = tool_sandbox(PYTHON_PATHS, max_cpu=10).run([sys.executable, "-c", script], check=True)
    assert float(result.stdout) < 60
