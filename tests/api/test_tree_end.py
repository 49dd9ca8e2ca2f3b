"""The whole tree dies with its command, and with its host, however that one dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, MakeFifo, Watched, host_command, host_environment
from tests.support.sandboxes import tool_sandbox

# Leaves a process behind that has left its session twice, ignores signals, keeps nothing of its ancestors' open, and
# tells its number.
DAEMON = "trap '' TERM HUP INT; setsid setsid sh -c 'echo $$ >{up}; exec sleep 1000 >/dev/null 2>&1 </dev/null' &"

HOST = """
    import os, signal, sys, threading
    from pathlib import Path
    from tests.support.handlers import Answer
    from tests.support.processes import Fifo
    from tests.support.sandboxes import tool_sandbox

    folder, script, end, handlers = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "handlers"
    end_now = Fifo(folder / "end")

    def run():
        box = tool_sandbox(writable=[folder])
        box.run(["sh", "-c", script], handlers=[("openat", Answer())] if handlers else ())

    threading.Thread(target=run, daemon=True).start()
    end_now.line()
    if end == "exit":
        sys.exit(7)
    elif end == "_exit":
        os._exit(7)
    elif end == "exception":
        raise SystemError("on purpose")
    elif end == "abort":
        os.abort()
    elif end == "SIGTERM":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    elif end == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    signal.pause()
"""

ENDS = {
    "SIGKILL": -signal.SIGKILL,
    "SIGTERM": -signal.SIGTERM,
    "abort": -signal.SIGABRT,
    "segfault": -signal.SIGSEGV,
    "exit": 7,
    "_exit": 7,
    "exception": 1,
}


@pytest.mark.parametrize("handlers", ["handlers", "none"])
@pytest.mark.parametrize("end", ENDS)
def test_end_of_the_host(tmp_path: Path, make_fifo: MakeFifo, end: str, handlers: str) -> None:
    command_up, daemon_up = make_fifo("command"), make_fifo("daemon")
    script = DAEMON.format(up=daemon_up.path) + f" echo $$ >{command_up.path}; exec sleep 1000"
    arguments = host_command(HOST, tmp_path, script, end, handlers)
    with contextlib.ExitStack() as stack:
        host = subprocess.Popen(arguments, env=host_environment(), start_new_session=True, stderr=subprocess.DEVNULL)
        stack.callback(host.wait, PATIENCE)
        stack.callback(host.kill)
        daemon = stack.enter_context(Watched(int(daemon_up.line())))
        command = stack.enter_context(Watched(int(command_up.line())))
        if end == "SIGKILL":
            os.killpg(host.pid, signal.SIGKILL)
        else:
            (tmp_path / "end").write_text("\n")
        assert host.wait(PATIENCE) == ENDS[end]
        assert command.gone()
        assert daemon.gone()


def test_end_of_the_command(tmp_path: Path, make_fifo: MakeFifo) -> None:
    up, on = make_fifo("up"), make_fifo("on")
    box = tool_sandbox(writable=[tmp_path])
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(box.run, ["sh", "-c", DAEMON.format(up=up.path) + f" read line <{on.path}"])
        with Watched(int(up.line())) as daemon:
            assert not daemon.gone(0)
            on.release()
            assert run.result().success
            assert daemon.gone(0)
