"""run_interactive on a terminal: a shell inside has job control, and the host's terminal is as it was afterwards."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from sandlock import PolicyError, Sandbox
from tests.support.processes import PATIENCE, MakeFifo, run_host
from tests.support.terminals import Screen

INTERACTIVE = """
    import sys
    from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
    box = tool_sandbox([*PYTHON_PATHS, "/dev/zero", "/dev/pts", "/proc"])
    print("ready", flush=True)
    print("exit", box.run_interactive(sys.argv[1:]), flush=True)
"""

# Typed text is echoed: quotes inside words keep it from looking like the answer.
# It starts no process: one that is stopped between vfork and exec keeps its parent from being stopped.
JOB = """sh -c 'trap "echo resu""med" CONT; echo run""ning; while :; do read x; done'\n"""


@pytest.mark.parametrize("shell", [["sh", "-i"], ["bash", "--norc", "--noprofile", "-i"]], ids=["sh", "bash"])
def test_job_control(shell: list[str]) -> None:
    with Screen(INTERACTIVE, *shell) as screen:
        before = screen.settings()
        screen.expect("$ ")
        assert screen.settings() != before
        screen.type(JOB)
        screen.expect("running")
        screen.type("\x1a")  # Ctrl-Z
        screen.expect("Stopped")
        screen.type("fg\n")
        screen.expect("resumed")
        screen.type("\x03")  # Ctrl-C
        screen.expect("$ ")  # what is typed before is discarded
        screen.type("echo sta''tus $?\n")
        screen.expect("status 130")
        screen.type("exit 5\n")
        assert screen.end() == 0
        assert b"exit 5" in screen.seen
        assert screen.settings() == before
    assert b"job control turned off" not in screen.seen


def test_the_size_of_the_window() -> None:
    script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.01; done"
    with Screen(INTERACTIVE, "sh", "-c", script) as screen:
        screen.expect("24 80")
        for rows, columns in ((50, 132), (10, 20)):
            screen.resize(rows, columns)
            screen.expect(f"{rows} {columns}")
        screen.type("\x03")
        assert screen.end() == 0


def test_the_hosts_own_handler_of_the_size_is_called_and_comes_back() -> None:
    host = """
        import signal
        from tests.support.sandboxes import tool_sandbox
        def seen(number, frame):
            print("seen by the host", flush=True)
        signal.signal(signal.SIGWINCH, seen)
        tool_sandbox().run_interactive(["sh", "-c", "echo up; read line"])
        print(signal.getsignal(signal.SIGWINCH) is seen, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    """
    with Screen(host) as screen:
        screen.expect("up")
        screen.resize(30, 90)
        screen.expect("seen by the host")
        screen.type("\n")
        assert screen.end() == 0
        assert b"True True" in screen.seen


@pytest.mark.parametrize(
    ("key", "code"), [("\x03", -1), ("\x1c", -1), ("\x04", 0)], ids=["Ctrl-C", "Ctrl-\\", "Ctrl-D"]
)
def test_keys_are_the_commands(key: str, code: int) -> None:
    with Screen(INTERACTIVE, "sh", "-c", "echo up; exec cat") as screen:
        before = screen.settings()
        screen.expect("up")
        screen.type("\x1a")  # Ctrl-Z: nobody could wake it again, so the kernel does not stop it
        screen.type("line\n")
        screen.expect("line")
        screen.expect("line")
        screen.type(key)
        screen.expect(f"exit {code}")
        assert screen.end() == 0
        assert screen.settings() == before


def test_a_command_that_closes_its_terminal_lives_on(make_fifo: MakeFifo) -> None:
    fifo = make_fifo("on")
    host = """
        import sys
        from tests.support.sandboxes import tool_sandbox
        script = f"trap 'exit 6' HUP; echo up; exec 0<>{sys.argv[1]} >&- 2>&-; read line; exit 5"
        print("exit", tool_sandbox(writable=[sys.argv[1]]).run_interactive(["sh", "-c", script]))
    """
    with Screen(host, fifo.path) as screen:
        before = screen.settings()
        screen.expect("up")
        while screen.settings() != before:  # until the host has its terminal again
            time.sleep(0.01)
        fifo.release()
        screen.expect("exit 5")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
def test_signals_to_the_host_give_the_terminal_back(number: signal.Signals) -> None:
    with Screen(INTERACTIVE, "sh", "-c", "echo up; exec sleep 1000") as screen:
        before = screen.settings()
        screen.expect("up")
        assert screen.settings() != before
        screen.host.send_signal(number)
        assert screen.end() == -number
        assert screen.settings() == before


def test_a_host_that_was_stopped_goes_on() -> None:
    with Screen(INTERACTIVE, "sh", "-c", "echo up; read line; stty size; echo got $line") as screen:
        before = screen.settings()
        screen.expect("up")
        lent = screen.settings()
        screen.host.send_signal(signal.SIGSTOP)
        os.waitpid(screen.host.pid, os.WUNTRACED)
        screen.set(before)  # as a shell does
        screen.resize(30, 90)
        screen.host.send_signal(signal.SIGCONT)
        while screen.settings() != lent:
            time.sleep(0.01)
        screen.type("word\r")
        screen.expect("30 90")
        screen.expect("got word")
        assert screen.end() == 0
        assert lent != before == screen.settings()


def test_the_end_of_the_terminal_ends_the_command(tmp_path: Path) -> None:
    host = """
        import signal, sys
        from pathlib import Path
        from tests.support.sandboxes import tool_sandbox
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        code = tool_sandbox().run_interactive(["sh", "-c", "echo up; exec sleep 1000"])
        Path(sys.argv[1]).write_text(str(code))
    """
    told = tmp_path / "told"
    with Screen(host, told) as screen:
        screen.expect("up")
        screen.hang_up()
        assert screen.host.wait(PATIENCE) == 0
    assert told.read_text() == "-1"


def test_the_command_has_a_terminal_of_its_own_and_cannot_type() -> None:
    script = """if 1:
        import fcntl, os, termios
        print("same" if os.ttyname(0) == os.ttyname(1) == os.ttyname(2) == {own!r} else "another")
        print("leads", os.getsid(0) == os.getpid() == os.tcgetpgrp(0))
        try:
            fcntl.ioctl(0, termios.TIOCSTI, b"x")
        except OSError as error:
            print("refused", error.errno)
    """
    host = f"""
        import os, sys
        from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
        box = tool_sandbox([*PYTHON_PATHS, "/dev/pts", "/proc"])
        print("exit", box.run_interactive([sys.executable, "-c", {script!r}.replace("{{own!r}}", repr(os.ttyname(0)))]))
    """
    with Screen(host) as screen:
        assert screen.end() == 0
    assert re.findall(r"\w+ ?\w*", screen.seen.decode()) == ["another", "leads True", "refused 1", "exit 0"]


def test_much_output_and_input() -> None:
    script = (
        "stty raw -echo; head -c 300000 /dev/zero | tr '\\0' x; echo up; head -c 100000 | tr -d y | wc -c; echo end"
    )
    with Screen(INTERACTIVE, "sh", "-c", script) as screen:
        screen.expect("ready")
        assert screen.expect("up").strip() == "x" * 300000
        for _ in range(100):
            screen.type("y" * 999 + "z")
        assert int(screen.expect("end")) == 100


def test_what_is_no_terminal_is_inherited(tmp_path: Path) -> None:
    command = ["sh", "-c", "test -t 0 && ! test -t 1 && test -t 2 && echo out && echo err >&2"]
    with open(tmp_path / "out", "wb") as out, Screen(INTERACTIVE, *command, stdout=out) as screen:
        screen.expect("err")
        assert screen.end() == 0
    assert (tmp_path / "out").read_bytes() == b"ready\nout\nexit 0\n"


def test_without_a_terminal_it_inherits() -> None:
    host = """
        import sys
        from tests.support.sandboxes import tool_sandbox
        sys.exit(tool_sandbox().run_interactive(["sh", "-c", "cat; echo err >&2; exit 7"]))
    """
    done = run_host(host, input="hello\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "hello\n", "err\n")


def test_in_the_background() -> None:
    script = """
        import os, sys
        from tests.support.sandboxes import tool_sandbox
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            assert os.tcgetpgrp(0) == os.getppid()
            os._exit(tool_sandbox().run_interactive(["sh", "-c", "echo from the job; exit 5"]))
        print("status", os.waitpid(child, os.WUNTRACED)[1] >> 8, flush=True)
    """
    with Screen(script) as screen:
        screen.expect("from the job")
        screen.expect("status 5")
        assert screen.end() == 0


def test_in_another_thread() -> None:
    host = """
        import threading
        from tests.support.sandboxes import tool_sandbox
        box = tool_sandbox()
        thread = threading.Thread(target=lambda: print("exit", box.run_interactive(["sh", "-c", "read x; echo $x"])))
        thread.start()
        thread.join()
    """
    with Screen(host) as screen:
        before = screen.settings()
        screen.type("hello\n")
        screen.expect("exit 0")
        assert screen.end() == 0
        assert screen.settings() == before


def test_handlers() -> None:
    host = """
        from tests.support.handlers import Answer
        from tests.support.sandboxes import tool_sandbox
        handler = Answer()
        print("exit", tool_sandbox().run_interactive(["sh", "-c", "umask"], handlers=[("umask", handler)]))
        print("asked", handler.calls > 0)
    """
    with Screen(host) as screen:
        screen.expect("exit 0")
        screen.expect("asked True")


@pytest.mark.parametrize("command", ["nosuchprogram", "/etc/passwd"])
def test_not_executable(command: str) -> None:
    with Screen(INTERACTIVE, command) as screen:
        before = screen.settings()
        assert command in screen.expect("exit 127").partition("sandlock: ")[2]
        assert screen.settings() == before


def test_a_wrong_policy_leaves_the_terminal_alone() -> None:
    with pytest.raises(PolicyError):
        Sandbox(cwd="/nonexistent").run_interactive(["true"])


INTERRUPTED = """
    import gc, os, sys, termios, threading, warnings
    from sandlock import _terminal
    from tests.support.processes import children, open_fds
    from tests.support.sandboxes import tool_sandbox

    class Before:
        '''Raises before a line.'''

        def __init__(self, line):
            self.line, self.place = line, None

        def __call__(self, frame, event, argument):
            if event == "line" and frame.f_code.co_filename == _terminal.__file__:
                self.line -= 1
                if self.line == 0:
                    self.place = frame.f_lineno
                    raise KeyboardInterrupt
            return self

    def state():
        gc.collect()
        return open_fds(), {thread.name for thread in threading.enumerate()}, children(), termios.tcgetattr(0)

    warnings.simplefilter("ignore", ResourceWarning)  # what was being opened is closed when it is collected
    tool_sandbox().run_interactive(["true"])
    clean, line, before = state(), 0, None
    while before is None or before.place is not None:
        line += 1
        before = Before(line)
        sys.settrace(before)
        try:
            tool_sandbox().run_interactive(["true"])
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        if state() != clean:
            print(before.place, "leaves something", [now for now, was in zip(state(), clean) if now != was], flush=True)
            clean = state()
    print("lines", line > 50)
"""


def test_an_interrupt_before_every_line() -> None:
    with Screen(INTERRUPTED) as screen:
        assert screen.end() == 0
    assert screen.seen == b"lines True\r\n"
