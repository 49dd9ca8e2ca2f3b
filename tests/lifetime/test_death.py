"""A handler that ends the host: nothing of the sandboxed tree survives, whatever it has done to stay."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, MakeFifo, Watched, host_command, host_environment

HOST = """
    import ctypes, faulthandler, os, signal, sys
    from pathlib import Path
    from sandlock import Handler
    from tests.support.sandboxes import tool_sandbox

    folder, script, end, kind = Path(sys.argv[1]), *sys.argv[2:]
    ends = {
        "_exit": lambda: os._exit(7),
        "segfault": lambda: ctypes.string_at(0),
        "abort": os.abort,
        "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    }
    if end == "segfault with faulthandler":
        faulthandler.enable()
    else:
        faulthandler.disable()  # it is enabled in development mode

    class Sync(Handler):
        def handle(self, ctx):
            ends[end.partition(" ")[0]]()

    class Async(Handler):
        async def handle(self, ctx):
            ends[end.partition(" ")[0]]()

    handler = Async() if kind == "async" else Sync()
    tool_sandbox(writable=[folder]).run(["sh", "-c", script], handlers=[("umask", handler)])
"""

# A daemon that has left its session twice, ignores signals and keeps nothing of its ancestors' open.
SCRIPT = """
    trap '' TERM HUP INT
    setsid setsid sh -c 'echo $$ >{up}; exec sleep 1000 >/dev/null 2>&1 </dev/null' &
    echo $$ >{command}; read line <{go}; umask; exec sleep 1000
"""

ENDS = {
    "_exit": 7,
    "segfault": -signal.SIGSEGV,
    "segfault with faulthandler": -signal.SIGSEGV,
    "abort": -signal.SIGABRT,
    "SIGKILL": -signal.SIGKILL,
}


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("end", ENDS)
def test_in_a_handler(python: str, tmp_path: Path, make_fifo: MakeFifo, end: str, kind: str) -> None:
    up, command_up, go = make_fifo("up"), make_fifo("command"), make_fifo("go")
    script = SCRIPT.format(up=up.path, command=command_up.path, go=go.path)
    arguments = host_command(HOST, tmp_path, script, end, kind, python=[python])
    with contextlib.ExitStack() as stack:
        host = subprocess.Popen(arguments, env=host_environment(), stderr=subprocess.PIPE, text=True)
        stack.callback(host.wait, PATIENCE)
        stack.callback(host.kill)
        daemon = stack.enter_context(Watched(int(up.line())))
        command = stack.enter_context(Watched(int(command_up.line())))
        go.release()
        _, errors = host.communicate(timeout=PATIENCE)
        assert host.returncode == ENDS[end], errors
        assert command.gone()
        assert daemon.gone()
    assert ("Fatal Python error: Segmentation fault" in errors) == (end == "segfault with faulthandler")
