"""A host with ten thousand open descriptors."""

from __future__ import annotations

import resource

import pytest

from tests.support.processes import run_host

OPEN = 10_000

HOST = """
    import os, resource, sys
    from tests.support.handlers import Answer
    from tests.support.sandboxes import tool_sandbox

    count = int(sys.argv[1])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    null = os.open("/dev/null", os.O_RDWR)
    for _ in range(count):
        os.set_inheritable(os.dup(null), True)
    box = tool_sandbox(["/proc"])
    answer = Answer()
    result = box.run(["sh", "-c", "ls /proc/self/fd; umask"], input=b"x", handlers=[("umask", answer)])
    print(result.success, result.stdout.split(), answer.calls > 0)
    result = box.run(["sh", "-c", "exit 3"])
    print(result.exit_code, len(os.listdir("/proc/self/fd")) > count)
"""


def test_many_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < OPEN + 100:
        pytest.skip(f"RLIMIT_NOFILE allows no more than {hard}")
    done = run_host(HOST, OPEN)
    # ls has 3 open for the folder itself.
    assert done.stdout.splitlines() == ["True [b'0', b'1', b'2', b'3', b'0022'] True", "3 True"], done.stderr


FULL = """
    import os, resource
    from sandlock import SandlockError
    from tests.support.handlers import Answer
    from tests.support.sandboxes import tool_sandbox

    box = tool_sandbox()
    box.run(["true"], handlers=[("umask", Answer())], check=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for free in range(24):
        try:
            result = box.run(["sh", "-c", "umask"], input=b"x", handlers=[("umask", Answer())])
            outcome = result.success
        except (SandlockError, OSError) as error:
            outcome = "too many open files" in str(error).lower()
        if not outcome:
            print("with", free, "free:", outcome)
        os.close(held.pop())
    print(box.run(["echo", "fine"]).stdout)
"""


def test_every_number_of_descriptors_short() -> None:
    """Each start fails clearly or works; none leaves a descriptor open, or the last ones would fail."""
    done = run_host(FULL)
    assert done.stdout == "b'fine\\n'\n", done.stderr
