"""Determinism beside what else there is: a user namespace, limits, a network, handlers, a policy function."""

from __future__ import annotations

import sys

from tests.support.handlers import Answer
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

SCRIPT = """if True:
    import os, socket, subprocess, time, uuid
    print(uuid.uuid4(), time.strftime("%F"), os.listdir("/usr"), id(object()), os.getuid(), os.urandom(4).hex())
    print(open("/dev/urandom", "rb").read(4).hex())
    for port in (1, 2):
        try:
            socket.create_connection(("127.0.0.1", port))
        except OSError as error:
            print(error.strerror)
    print(subprocess.run("id -u; date +%F; head -c 4 /dev/urandom | od -x | cat", shell=True, capture_output=True))
"""


def test_everything_at_once() -> None:
    seen: list[str] = []
    handler = Answer()
    box = tool_sandbox(
        [*PYTHON_PATHS, "/dev/urandom"],
        policy_fn=lambda event, ctx: seen.append(event.category),
        random_seed=3,
        time_start="2010-01-01T00:00:00Z",
        deterministic_dirs=True,
        no_randomize_memory=True,
        no_huge_pages=True,
        uid=1000,
        gid=1001,
        umask=0o77,
        clean_env=True,
        max_processes=10,
        max_memory="1G",
        net_allow=["tcp://127.0.0.1:1"],
    )
    command = [sys.executable, "-c", SCRIPT]
    first, second = (box.run(command, handlers=[("openat", handler)], check=True).stdout for _ in range(2))
    assert first == second
    lines = first.splitlines()
    assert b" 2010-01-01 " in lines[0]
    assert lines[2:4] == [b"Connection refused", b"Permission denied"]
    assert b"1000\\n2010-01-01\\n" in lines[4]
    assert set(seen) == {"file", "memory", "network", "process"}
    assert handler.calls


def test_pipelines() -> None:
    """Shells and tools make the calls that are trapped, and are signalled while they do."""
    box = tool_sandbox(random_seed=1, time_start="2010-01-01T00:00:00Z", deterministic_dirs=True)
    script = "i=0; while [ $i -lt 100 ]; do echo abc | cat | cat; i=$((i+1)); done"
    result = box.run(["sh", "-c", script], timeout=100)
    assert result.stdout == b"abc\n" * 100
    assert result.stderr == b""
