"""communicate: everything goes in, everything comes out, and nobody waits for the other."""

from __future__ import annotations

import subprocess

import pytest

from sandlock import Sandbox, StdioMode
from tests.support.processes import PATIENCE
from tests.support.sandboxes import tool_sandbox

PIPED = StdioMode.PIPED
ALL_BYTES = bytes(range(256))


@pytest.mark.parametrize("data", [b"", b"x", ALL_BYTES, ALL_BYTES * (16 << 10)], ids=["nothing", "x", "all", "4 MiB"])
def test_through_cat(box: Sandbox, data: bytes) -> None:
    with box.popen(["cat"], PIPED, PIPED) as process:
        assert process.communicate(data, timeout=PATIENCE) == (data, None)


def test_both_outputs_at_once() -> None:
    box = tool_sandbox(["/dev/zero"])
    script = "head -c 1000000 /dev/zero & head -c 2000000 /dev/zero >&2; wait"
    with box.popen(["sh", "-c", script], stdout=PIPED, stderr=PIPED) as process:
        assert process.communicate(timeout=PATIENCE) == (bytes(1000000), bytes(2000000))


def test_input_that_is_not_read_to_its_end(box: Sandbox) -> None:
    with box.popen(["head", "-c", "3"], PIPED, PIPED) as process:
        assert process.communicate(b"abcdef" * 100000) == (b"abc", None)


def test_what_was_written_and_read_before(box: Sandbox) -> None:
    with box.popen(["cat"], PIPED, PIPED) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\ntwo\nthree\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"one\n"
        process.stdin.write(b"not flushed\n")
        assert process.communicate(b"end\n") == (b"two\nthree\nnot flushed\nend\n", None)


def test_a_limit_loses_nothing(box: Sandbox) -> None:
    data = ALL_BYTES * 4096
    with box.popen(["cat"], PIPED, PIPED) as process:
        process.pause()
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(data, timeout=0.05)
        with pytest.raises(ValueError, match="input"):
            process.communicate(b"more", timeout=0.05)
        process.resume()
        assert process.communicate(timeout=PATIENCE) == (data, None)
        assert process.communicate() == (data, None)


def test_without_pipes_it_waits(box: Sandbox) -> None:
    assert box.popen(["true"]).communicate(timeout=PATIENCE) == (None, None)


def test_streams_that_were_closed(box: Sandbox) -> None:
    with box.popen(["cat"], PIPED, PIPED) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.communicate() == (b"", None)


@pytest.mark.parametrize(("value", "error"), [("text", TypeError), (1, TypeError), ([b"x"], TypeError)])
def test_wrong_input(box: Sandbox, value: object, error: type[Exception]) -> None:
    with box.popen(["cat"], PIPED, StdioMode.NULL) as process, pytest.raises(error, match="input must be bytes"):
        process.communicate(value)  # type: ignore[arg-type]


def test_input_without_a_pipe(box: Sandbox) -> None:
    process = box.popen(["true"])
    with pytest.raises(ValueError, match="start the command with stdin"):
        process.communicate(b"x")
    process.wait()
