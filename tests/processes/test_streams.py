"""Much data through every way of running: bounded memory, no deadlock, bytes as they are."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from typing import Callable

import pytest

from sandlock import Sandbox, StdioMode
from tests.support.processes import PATIENCE, run_host
from tests.support.sandboxes import tool_sandbox

PIPED = StdioMode.PIPED
ALL_BYTES = bytes(range(256))
OCTAL = "".join(f"\\{byte:03o}" for byte in ALL_BYTES)


def by_run(box: Sandbox, script: str, data: bytes) -> bytes:
    return box.run(["sh", "-c", script], input=data, check=True).stdout


def by_arun(box: Sandbox, script: str, data: bytes) -> bytes:
    return asyncio.run(box.arun(["sh", "-c", script], input=data, check=True)).stdout


def by_spawn(box: Sandbox, script: str, data: bytes) -> bytes:
    box.spawn(["sh", "-c", script], stdin=data)
    return box.wait(PATIENCE).stdout


def by_popen(box: Sandbox, script: str, data: bytes) -> bytes:
    with box.popen(["sh", "-c", script], PIPED, PIPED) as process:
        stdout, _ = process.communicate(data, PATIENCE)
    return stdout or b""


def by_streams(box: Sandbox, script: str, data: bytes) -> bytes:
    with box.popen(["sh", "-c", script], PIPED, PIPED) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def write() -> None:
            stdin.write(data)
            stdin.close()

        writer = threading.Thread(target=write)
        writer.start()
        came = b"".join(stdout)
        writer.join()
    return came


def by_apopen(box: Sandbox, script: str, data: bytes) -> bytes:
    async def main() -> bytes:
        async with await box.apopen(["sh", "-c", script], PIPED, PIPED) as process:
            return (await process.communicate(data))[0] or b""

    return asyncio.run(main())


Way = Callable[[Sandbox, str, bytes], bytes]
WAYS = [by_run, by_arun, by_spawn, by_popen, by_streams, by_apopen]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@every_way
def test_output_need_not_be_utf_8(box: Sandbox, way: Way) -> None:
    assert way(box, f"printf '{OCTAL}'", b"") == ALL_BYTES
    assert way(box, "cat", ALL_BYTES) == ALL_BYTES


@every_way
def test_both_directions_at_once(box: Sandbox, way: Way) -> None:
    data = ALL_BYTES * (16 << 10)  # 4 MiB
    assert way(box, "cat", data) == data


@every_way
def test_output_before_all_input_is_read(way: Way) -> None:
    box = tool_sandbox(["/dev/zero"])
    assert way(box, "head -c 1000000 /dev/zero; cat", bytes(1000000)) == bytes(2000000)


def test_a_pipeline(box: Sandbox) -> None:
    first = box.cmd(["sh", "-c", f"printf '{OCTAL}'"])
    assert (first | box.cmd(["cat"])).run(PATIENCE).stdout == ALL_BYTES


# What came, and by how many MiB the peak of the host's memory has grown; see proc_pid_status(5).
GIBIBYTE = """
    import asyncio, re, sys
    from pathlib import Path
    from sandlock import StdioMode
    from tests.support.sandboxes import tool_sandbox

    PIPED = StdioMode.PIPED
    box = tool_sandbox(["/dev/zero"])
    command = ["sh", "-c", "head -c 1073741824 /dev/zero"]

    def peak():
        return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10

    def popen():
        with box.popen(command, stdout=PIPED) as process:
            return sum(map(len, iter(lambda: process.stdout.read(1 << 20), b"")))

    def lines():
        lines = ["sh", "-c", "yes $(printf %01000d 0) | head -c 1073741824"]
        with box.popen(lines, stdout=PIPED) as process:
            return sum(map(len, process.stdout))

    async def apopen():
        async with await box.apopen(command, stdout=PIPED) as process:
            came = 0
            while chunk := await process.stdout.read(1 << 20):
                came += len(chunk)
            return came

    def into():
        with box.popen(["wc", "-c"], PIPED, PIPED) as process:
            for _ in range(1024):
                process.stdin.write(bytes(1 << 20))
            process.stdin.close()
            return int(process.stdout.read())

    def pipeline():
        return int((box.cmd(command) | box.cmd(["cat"]) | box.cmd(["wc", "-c"])).run().stdout)

    ways = {"popen": popen, "lines": lines, "into": into, "apopen": lambda: asyncio.run(apopen()), "pipeline": pipeline}
    box.run(["true"], check=True)
    before = peak()
    came = ways[sys.argv[1]]()
    print(came, peak() - before)
"""


@pytest.mark.parametrize("way", ["popen", "lines", "into", "apopen", "pipeline"])
def test_a_gibibyte_in_little_memory(way: str) -> None:
    done = run_host(GIBIBYTE, way)
    came, grown = map(int, done.stdout.split())
    assert came == 1 << 30, done.stderr
    assert grown < 32


def test_who_does_not_read_stops_the_command(box: Sandbox) -> None:
    with box.popen(["sh", "-c", "yes"], stdout=PIPED) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"y\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05)
        process.kill()
