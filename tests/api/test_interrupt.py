"""Signals of the host during a run: Python's handlers run, and what they raise ends the run without survivors."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, MakeFifo, Watched, host_command, host_environment, run_host

INTERRUPTED = """
    import signal, sys
    from pathlib import Path
    from tests.support.handlers import Answer
    from tests.support.sandboxes import tool_sandbox

    class Alarm(Exception):
        pass

    def alarm(number, frame):
        raise Alarm

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGUSR1, alarm)
    folder, with_handlers = Path(sys.argv[1]), sys.argv[2] == "handlers"
    box = tool_sandbox(writable=[folder])
    daemon = f"trap '' TERM HUP INT; setsid setsid sh -c 'echo $$ >{folder}/up; exec sleep 1000' & exec sleep 1000"
    try:
        box.run(["sh", "-c", daemon], handlers=[("umask", Answer())] if with_handlers else ())
    except BaseException as error:
        print(type(error).__name__)
    print(box.run(["echo", "again"]).stdout)
"""


@pytest.mark.parametrize("handlers", ["handlers", "none"])
@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGUSR1, "Alarm")])
def test_exception(tmp_path: Path, make_fifo: MakeFifo, number: signal.Signals, error: str, handlers: str) -> None:
    up = make_fifo("up")
    command = host_command(INTERRUPTED, tmp_path, handlers)
    with contextlib.ExitStack() as stack:
        host = subprocess.Popen(command, env=host_environment(), stdout=subprocess.PIPE, text=True)
        stack.callback(host.wait)
        stack.callback(host.kill)
        daemon = stack.enter_context(Watched(int(up.line())))
        os.kill(host.pid, number)
        output, _ = host.communicate(timeout=PATIENCE)
        assert daemon.gone(0)
    assert output.splitlines() == [error, "b'again\\n'"]


ELSEWHERE = """
    import signal, sys, threading
    from pathlib import Path
    from tests.support.processes import Fifo
    from tests.support.sandboxes import tool_sandbox

    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(sys.argv[1])
    up = Fifo(folder / "up")

    def interrupt():
        up.line()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    box, command = tool_sandbox(writable=[folder]), ["sh", "-c", f"echo up >{up.path}; exec sleep 1000"]
    try:
        if sys.argv[2] == "run":
            box.run(command)
        elif sys.argv[2] == "popen":
            with box.popen(command) as process:
                process.wait()
        elif sys.argv[2] == "pipeline":
            (box.cmd(command) | box.cmd(["cat"])).run()
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("way", ["run", "popen", "pipeline"])
def test_a_signal_that_another_thread_gets(tmp_path: Path, way: str) -> None:
    """It does not wake the main thread, where Python handles it. The same goes for one that comes too early."""
    done = run_host(ELSEWHERE, tmp_path, way)
    assert done.stdout == "interrupted\n", done.stderr


UNDISTURBED = """
    import signal, sys
    from pathlib import Path
    from tests.support.processes import Fifo
    from tests.support.sandboxes import tool_sandbox

    folder = Path(sys.argv[1])
    on = Fifo(folder / "on")
    ticks = []

    def tick(number, frame):
        ticks.append(number)
        if len(ticks) == 20:
            signal.setitimer(signal.ITIMER_REAL, 0)
            on.release()

    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    result = tool_sandbox(writable=[folder]).run(["sh", "-c", f"read line <{on.path}; echo end"])
    print(result.success, result.stdout, len(ticks) >= 20)  # one more may have been on its way
"""


def test_handlers_that_raise_nothing(tmp_path: Path) -> None:
    done = run_host(UNDISTURBED, tmp_path)
    assert done.stdout == "True b'end\\n' True\n", done.stderr


CHILDREN = """
    import os, signal, sys
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path
    from tests.support.processes import Fifo
    from tests.support.sandboxes import tool_sandbox

    folder = Path(sys.argv[1])
    seen = []
    if sys.argv[2] == "ignored":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGCHLD, lambda number, frame: seen.append(number))
    up, on = Fifo(folder / "up"), Fifo(folder / "on")
    with ThreadPoolExecutor(1) as pool:
        script = f"echo up >{up.path}; read line <{on.path}; exit 3"
        run = pool.submit(tool_sandbox(writable=[folder]).run, ["sh", "-c", script])
        up.line()
        try:
            print(os.waitpid(-1, os.WNOHANG))
        except ChildProcessError:
            print("no children")
        on.release()
        print(run.result().exit_code, seen)
"""


@pytest.mark.parametrize("sigchld", ["ignored", "handled"])
def test_waiting_for_children_and_sigchld_are_the_hosts_own(tmp_path: Path, sigchld: str) -> None:
    done = run_host(CHILDREN, tmp_path, sigchld)
    assert done.stdout.splitlines() == ["no children", "3 []"], done.stderr


DISPOSITIONS = """
    import os, signal, sys
    from tests.support.sandboxes import tool_sandbox

    numbers = [signal.Signals[name] for name in sys.argv[1:]]
    seen = []
    for number in numbers:
        signal.signal(number, lambda number, frame: seen.append(number))
    tool_sandbox().run(["true"], check=True)
    seen.clear()
    for number in numbers:
        os.kill(os.getpid(), number)
    print(seen == numbers, signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN)
"""


@pytest.mark.parametrize(
    "names",
    [
        ["SIGUSR1", "SIGUSR2", "SIGPROF", "SIGVTALRM", "SIGALRM", "SIGWINCH", "SIGHUP", "SIGTERM", "SIGCHLD", "SIGIO"],
        pytest.param(
            ["SIGURG"],
            marks=pytest.mark.xfail(
                strict=True, reason="the Go runtime takes SIGURG for its preemption and does not hand it on"
            ),
        ),
    ],
    ids=["most", "SIGURG"],
)
def test_handlers_from_before_the_first_use_survive_it(names: list[str]) -> None:
    done = run_host(DISPOSITIONS, *names)
    assert done.stdout == "True True\n", done.stderr


FAULT = """
    import ctypes, faulthandler, sys
    from tests.support.sandboxes import tool_sandbox
    if sys.argv[1] == "before":
        faulthandler.enable()
    tool_sandbox().run(["true"], check=True)
    if sys.argv[1] == "after":
        faulthandler.enable()
    ctypes.string_at(0)
"""


@pytest.mark.parametrize("enabled", ["before", "after"])
def test_faulthandler_still_prints(enabled: str) -> None:
    done = run_host(FAULT, enabled)
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert re.search(r'File "<string>", line \d+ in <module>', done.stderr)
