"""What the command reads on stdin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandlock import Sandbox
from tests.support.processes import run_host

ALL_BYTES = bytes(range(256))


@pytest.mark.parametrize("data", [b"", b"x", ALL_BYTES, ALL_BYTES * 4096], ids=["nothing", "x", "all bytes", "1 MiB"])
def test_input_comes_back(box: Sandbox, data: bytes) -> None:
    assert box.run(["cat"], input=data).stdout == data


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_input_may_be_what_is_like_bytes(box: Sandbox, kind: type) -> None:
    assert box.run(["cat"], input=kind(ALL_BYTES)).stdout == ALL_BYTES


def test_input_that_nobody_reads(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "exec <&-; echo fine"], input=bytes(1 << 20))
    assert (result.success, result.stdout) == (True, b"fine\n")


def test_input_that_is_read_in_part(box: Sandbox) -> None:
    result = box.run(["head", "-c", "5"], input=b"12345" + bytes(1 << 20))
    assert (result.success, result.stdout) == (True, b"12345")


@pytest.fixture
def stdin_of(tmp_path: Path) -> Iterator[Path]:
    """A file that is the host's stdin."""
    path = tmp_path / "stdin"
    path.write_bytes(b"of the host\n")
    saved = os.dup(0)
    fd = os.open(path, os.O_RDONLY)
    os.dup2(fd, 0)
    os.close(fd)
    yield path
    os.dup2(saved, 0)
    os.close(saved)


@pytest.mark.usefixtures("stdin_of")
def test_without_input_it_is_the_hosts(box: Sandbox) -> None:
    assert box.run(["cat"]).stdout == b"of the host\n"


@pytest.mark.usefixtures("stdin_of")
def test_input_takes_the_place_of_the_hosts(box: Sandbox) -> None:
    assert box.run(["cat"], input=b"").stdout == b""


def test_a_terminal_is_not_handed_on(box: Sandbox) -> None:
    terminal, other = os.openpty()
    saved = os.dup(0)
    try:
        os.dup2(other, 0)
        result = box.run(["sh", "-c", "if [ -t 0 ]; then echo a terminal; fi; cat"])
    finally:
        os.dup2(saved, 0)
        for fd in (terminal, other, saved):
            os.close(fd)
    assert (result.success, result.stdout) == (True, b"")


CLOSED_STREAMS = """
    import os, sys
    from tests.support.sandboxes import tool_sandbox
    kept = os.dup(1)
    for fd in map(int, sys.argv[1]):
        os.close(fd)
    script = "cat; echo out; echo err >&2; echo $(ls /proc/self/fd)"
    result = tool_sandbox(["/proc"]).run(["sh", "-c", script])
    os.write(kept, repr((result.success, result.stdout, result.stderr)).encode())
"""


@pytest.mark.parametrize("closed", ["0", "1", "2", "01", "02", "12", "012"])
def test_host_with_closed_streams(closed: str) -> None:
    done = run_host(CLOSED_STREAMS, closed, stdin=None)
    # ls has 3 open for the folder itself.
    assert done.stdout == "(True, b'out\\n0 1 2 3\\n', b'err\\n')", done.stderr
