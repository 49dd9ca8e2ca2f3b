"""What the command prints is captured as it is, whatever its size and whoever prints it."""

from __future__ import annotations

import pytest

from sandlock import Sandbox
from tests.support.sandboxes import tool_sandbox

MIB = 1 << 20


def test_streams_are_separate(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "echo out; echo err >&2; echo again"])
    assert (result.stdout, result.stderr) == (b"out\nagain\n", b"err\n")


def test_one_stream_may_go_into_the_other(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "exec 2>&1; echo one; echo two >&2; echo three"])
    assert (result.stdout, result.stderr) == (b"one\ntwo\nthree\n", b"")


def test_bytes_are_not_decoded(box: Sandbox) -> None:
    result = box.run(["printf", r"\000\377\376\n\r\n\200"])
    assert result.stdout == b"\0\xff\xfe\n\r\n\x80"


def test_no_output(box: Sandbox) -> None:
    result = box.run(["true"])
    assert (result.stdout, result.stderr) == (b"", b"")


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 65535, 65536, 65537, MIB])
def test_sizes_around_those_of_buffers(box: Sandbox, size: int) -> None:
    box.fs_readable = [*box.fs_readable, "/dev/zero"]
    assert box.run(["head", "-c", str(size), "/dev/zero"]).stdout == bytes(size)


def test_large_output_on_both_streams_at_once() -> None:
    box = tool_sandbox(["/dev/zero"])
    size = 64 * MIB
    script = f"head -c {size} /dev/zero & head -c {size} /dev/zero >&2; wait"
    result = box.run(["sh", "-c", script], timeout=100)
    assert result.success
    assert len(result.stdout) == len(result.stderr) == size
    assert result.stdout.count(0) == result.stderr.count(0) == size


def test_large_output_has_its_order(box: Sandbox) -> None:
    result = box.run(["seq", "1000000"])
    assert result.stdout == b"".join(b"%d\n" % n for n in range(1, 1000001))


def test_output_before_death_is_kept(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "echo last words; kill -KILL $$"])
    assert result.stdout == b"last words\n"


def test_a_daemon_that_keeps_the_pipe_does_not_keep_the_run(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "setsid sleep 1000 & echo done"])
    assert (result.success, result.stdout) == (True, b"done\n")


def test_a_command_that_closes_its_streams(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "exec >&- 2>&-; exit 7"])
    assert (result.exit_code, result.stdout, result.stderr) == (7, b"", b"")


def test_output_is_not_in_the_repr(box: Sandbox) -> None:
    assert "secret" not in repr(box.run(["echo", "secret"]))
