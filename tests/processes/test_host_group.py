"""Signals to the host's process group, as a terminal sends them: the command learns of them by the host alone."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.support.processes import MakeFifo, Watched
from tests.support.terminals import Screen

HOST = """
    import asyncio, signal, sys
    from sandlock import StdioMode
    from tests.support.sandboxes import tool_sandbox

    way, folder, script = sys.argv[1:]
    box, command = tool_sandbox(writable=[folder]), ["sh", "-c", script]

    def popen_wait():
        with box.popen(command) as process:
            print("in the block", flush=True)
            process.wait()

    def communicate():
        with box.popen(command, stdout=StdioMode.PIPED) as process:
            print("in the block", flush=True)
            process.communicate()

    def read():
        with box.popen(command, stdout=StdioMode.PIPED) as process:
            print("in the block", flush=True)
            process.stdout.read()

    def spawn():
        with box:
            box.spawn(command)
            box.wait()

    def pipeline():
        (box.cmd(command) | box.cmd(["cat"])).run()

    async def apopen():
        async with await box.apopen(command) as process:
            await process.wait()

    ways = {
        "run": lambda: box.run(command),
        "popen_wait": popen_wait,
        "communicate": communicate,
        "read": read,
        "spawn": spawn,
        "pipeline": pipeline,
        "arun": lambda: asyncio.run(box.arun(command)),
        "apopen": lambda: asyncio.run(apopen()),
    }
    try:
        ways[way]()
    except KeyboardInterrupt:
        print("interrupted")
    sys.stdin.readline()
"""

# Leaves a process behind that has left its session twice and ignores signals; tells of SIGINT.
COMMAND = """
    trap 'echo INT >{told}; exit' INT
    (trap '' TERM HUP INT; setsid setsid sh -c 'echo $$ >{up}; exec sleep 1000' &)
    while :; do sleep 0.01; done
"""


@pytest.mark.parametrize("way", ["run", "popen_wait", "communicate", "read", "spawn", "pipeline", "arun", "apopen"])
def test_ctrl_c(tmp_path: Path, make_fifo: MakeFifo, way: str) -> None:
    up, told = make_fifo("up"), make_fifo("told")
    with Screen(HOST, way, tmp_path, COMMAND.format(up=up.path, told=told.path)) as screen:
        last_words = way in (
            "popen_wait",
            "communicate",
            "read",
        )  # elsewhere it may still be starting
        with Watched(int(up.line())) as daemon:
            if last_words:
                screen.expect("in the block")
            screen.type("\x03")
            screen.expect("interrupted")
            assert daemon.gone()
            screen.type("\n")
        if last_words:
            assert told.line() == "INT"
        assert screen.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL])
def test_what_ends_the_host_ends_the_tree(tmp_path: Path, make_fifo: MakeFifo, number: signal.Signals) -> None:
    up, told = make_fifo("up"), make_fifo("told")
    with contextlib.ExitStack() as stack:
        screen = stack.enter_context(Screen(HOST, "run", tmp_path, COMMAND.format(up=up.path, told=told.path)))
        daemon = stack.enter_context(Watched(int(up.line())))
        os.killpg(screen.host.pid, number)
        assert screen.end() == -number
        assert daemon.gone()


def test_the_end_of_the_terminal_ends_the_tree(tmp_path: Path, make_fifo: MakeFifo) -> None:
    up, told = make_fifo("up"), make_fifo("told")
    with Screen(HOST, "run", tmp_path, COMMAND.format(up=up.path, told=told.path)) as screen:
        with Watched(int(up.line())) as daemon:
            screen.hang_up()
            assert daemon.gone()
        assert screen.host.wait() == -signal.SIGHUP
