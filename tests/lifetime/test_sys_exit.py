"""sys.exit in the main thread, while it is in run() itself or another thread is: only daemons are not waited for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, MakeFifo, Watched, host_command, host_environment, run_host

HOST = """
    import sys, threading
    from pathlib import Path
    from sandlock import Handler, NotifAction
    from tests.support.processes import Fifo
    from tests.support.sandboxes import tool_sandbox

    folder, script, kind, handled = Path(sys.argv[1]), *sys.argv[2:]

    def decide():
        asked.set()
        if kind == "normal":
            threading.main_thread().join()  # it waits for this run by then
        return NotifAction.returns(0o77)

    class Sync(Handler):
        def handle(self, ctx):
            return decide()

    class Async(Handler):
        async def handle(self, ctx):
            return decide()

    def run():
        handlers = {"none": [], "sync": [("umask", Sync())], "async": [("umask", Async())]}[handled]
        result = tool_sandbox(writable=[folder]).run(["sh", "-c", script], handlers=handlers)
        if kind == "normal":  # a daemon may get here, because its command was killed, or not
            print(result.success, result.stdout, result.handler_errors)

    asked, up = threading.Event(), Fifo(folder / "up")
    threading.Thread(target=run, daemon=kind == "daemon").start()
    up.line()
    if handled != "none":
        asked.wait()
    sys.exit(7)
"""


@pytest.mark.parametrize("handled", ["none", "sync", "async"])
def test_another_thread_is_waited_for(python: str, tmp_path: Path, handled: str) -> None:
    """Its handlers decide until it is done, also after the main thread has come to its end."""
    call = "" if handled == "none" else "umask; "
    done = run_host(HOST, tmp_path, f"echo up >{tmp_path}/up; {call}echo end", "normal", handled, python=[python])
    told = b"end\n" if handled == "none" else b"0077\nend\n"
    assert (done.returncode, done.stdout, done.stderr) == (7, f"True {told!r} []\n", "")


@pytest.mark.parametrize("handled", ["none", "sync", "async"])
def test_a_daemon_is_not_waited_for(python: str, tmp_path: Path, make_fifo: MakeFifo, handled: str) -> None:
    command = make_fifo("command")
    script = f"trap '' TERM HUP INT; echo $$ >{command.path}; echo up >{tmp_path}/up; umask; exec sleep 1000"
    done = run_host(HOST, tmp_path, script, "daemon", handled, python=[python])
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    number = int(command.line())
    try:
        process = Watched(number)
    except ProcessLookupError:
        return
    with process:
        assert process.gone()


TERMINATED = """
    import signal, sys, threading
    from pathlib import Path
    from tests.support import busy
    from tests.support.sandboxes import tool_sandbox

    folder, script, handled = Path(sys.argv[1]), *sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))

    def tell():
        busy.asked.wait()
        (folder / "ready").write_text("asked\\n")

    threading.Thread(target=tell, daemon=True).start()
    handlers = [] if handled == "none" else busy.chain(handled, "umask")
    tool_sandbox(writable=[folder]).run(["sh", "-c", script], handlers=handlers)
"""


@pytest.mark.parametrize("handled", ["none", "sleeping", "awaiting"])
def test_in_a_signal_handler_of_the_main_thread(python: str, tmp_path: Path, make_fifo: MakeFifo, handled: str) -> None:
    """As a service does on SIGTERM, while its main thread is in run()."""
    up, ready = make_fifo("up"), make_fifo("ready")
    script = f"""
        trap '' TERM HUP INT
        setsid setsid sh -c 'echo $$ >{up.path}; exec sleep 1000 >/dev/null 2>&1 </dev/null' &
        umask; echo passed >{ready.path}; exec sleep 1000
    """
    with contextlib.ExitStack() as stack:
        command = host_command(TERMINATED, tmp_path, script, handled, python=[python])
        host = subprocess.Popen(command, env=host_environment(), stderr=subprocess.PIPE, text=True)
        stack.callback(host.wait)
        stack.callback(host.kill)
        daemon = stack.enter_context(Watched(int(up.line())))
        assert ready.line() == ("passed" if handled == "none" else "asked")
        os.kill(host.pid, signal.SIGTERM)
        _, errors = host.communicate(timeout=PATIENCE)
        assert (host.returncode, errors) == (7, "")
        assert daemon.gone(0)
