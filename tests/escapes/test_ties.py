"""Nothing that a process can say about its parents and children keeps it alive beyond its command or its host."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

import pytest

from tests.support.processes import PATIENCE, MakeFifo, Watched, host_command, host_environment

# Each tells its number and waits for ever. The first is the command: it forgets that it dies with its parent, and makes
# an orphan, which does not know that at all, and a child that adopts a daemon.
LOOSE = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE = 1, 36, 4

def stay():
    for number in range(1, 65):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_IGN)
    with open(sys.argv[1], "w") as up:
        up.write(f"{os.getpid()}\\n")
    while True:
        signal.pause()

libc.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)
libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        stay()
    os._exit(0)
if os.fork() == 0:
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            stay()
        os._exit(0)
    stay()
if sys.argv[2] == "stay":
    stay()
open(sys.argv[3]).read(1)
"""

HOST = """
    import sys
    from sandlock import Protection
    from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
    up, on, script, end, *disabled = sys.argv[1:]
    box = tool_sandbox(PYTHON_PATHS, [up, on], disable=[Protection[name] for name in disabled])
    print(box.run([sys.executable, "-Ic", script, up, end, on]).exit_code, flush=True)
    sys.stdin.read(1)
"""


@pytest.mark.parametrize("disabled", [(), ("SIGNAL_SCOPE",)], ids=["contained", "listed"])
@pytest.mark.parametrize("end", ["host", "command"])
def test_who_cut_its_ties_ends(make_fifo: MakeFifo, end: str, disabled: tuple[str, ...]) -> None:
    """With Landlock's signal scope one signal reaches the tree; without it, whoever the reaper has adopted is found."""
    up, on = make_fifo("up"), make_fifo("on")
    arguments = [up.path, on.path, LOOSE, "stay" if end == "host" else "go", *disabled]
    command = host_command(HOST, *arguments, python=[sys.executable])
    with contextlib.ExitStack() as stack:
        host = subprocess.Popen(command, env=host_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        stack.enter_context(host)
        stack.callback(host.kill)
        count = 4 if end == "host" else 3
        tree = [stack.enter_context(Watched(int(up.line()))) for _ in range(count)]
        assert not any(process.gone(0) for process in tree)
        if end == "host":
            host.kill()
            assert host.wait(PATIENCE) == -signal.SIGKILL
        else:
            on.release()
            assert host.stdout is not None
            assert host.stdout.readline() == b"0\n"
        assert all(process.gone() for process in tree)
