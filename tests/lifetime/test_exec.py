"""A host that becomes another program: nothing of the sandboxed tree lives on, although the process does."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, MakeFifo, Watched, host_command, host_environment

HOST = """
    import os, sys, threading
    from pathlib import Path
    from tests.support.handlers import Answer
    from tests.support.sandboxes import tool_sandbox

    folder, script, handlers, thread, forked = Path(sys.argv[1]), *sys.argv[2:]
    box = tool_sandbox(writable=[folder])
    options = {"handlers": [("openat", Answer())]} if handlers == "handlers" else {}

    def become():
        sys.stdin.readline()
        if forked == "forked":  # the child has all that the host has open, until the host ends
            ended, alive = os.pipe()
            os.set_inheritable(alive, True)
            if os.fork() == 0:
                os.close(alive)
                os.read(ended, 1)
                os._exit(0)
        try:
            os.execv("/nonexistent", ["nonexistent"])
        except FileNotFoundError:
            print(box.is_running, flush=True)
        os.execv("/bin/sh", ["sh", "-c", "echo another; read line"])

    run = lambda: box.run(["sh", "-c", script], **options)
    first, second = (run, become) if thread == "another" else (become, run)
    threading.Thread(target=first, daemon=True).start()
    second()
"""

# The daemon has left its session twice, ignores signals and keeps nothing of its ancestors' open.
SCRIPT = """
    trap '' TERM HUP INT
    setsid setsid sh -c 'echo $$ >{up}; exec sleep 1000 >/dev/null 2>&1 </dev/null' &
    echo $$ >{command}; exec sleep 1000
"""


@pytest.mark.parametrize("forked", ["forked", "alone"])
@pytest.mark.parametrize("thread", ["the same", "another"])
@pytest.mark.parametrize("handlers", ["handlers", "none"])
def test_execve(tmp_path: Path, make_fifo: MakeFifo, handlers: str, thread: str, forked: str) -> None:
    """By the main thread, or by another one while the main thread is in run()."""
    daemon_up, command_up = make_fifo("up"), make_fifo("command")
    script = SCRIPT.format(up=daemon_up.path, command=command_up.path)
    python = [sys.executable, "-W", "ignore::DeprecationWarning"]  # which CPython 3.12 has for a fork beside threads
    arguments = host_command(HOST, tmp_path, script, handlers, thread, forked, python=python)
    with contextlib.ExitStack() as stack:
        pipe = subprocess.PIPE
        host = subprocess.Popen(arguments, env=host_environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        stack.callback(host.wait, PATIENCE)
        stack.callback(host.kill)
        daemon = stack.enter_context(Watched(int(daemon_up.line())))
        command = stack.enter_context(Watched(int(command_up.line())))
        assert host.stdin is not None
        assert host.stdout is not None
        host.stdin.write("go\n")
        host.stdin.flush()
        assert host.stdout.readline() == "True\n"
        assert host.stdout.readline() == "another\n"
        assert command.gone()
        assert daemon.gone()
        assert host.poll() is None, "the process itself goes on"
        _, errors = host.communicate("\n", PATIENCE)
        assert (host.returncode, errors) == (0, "")
