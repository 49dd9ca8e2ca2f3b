"""Calls that wait for their peer: they end as the kernel's do, and hold up nobody else."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandlock import ExitReason, Sandbox
from tests.support.processes import PATIENCE, open_fds
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import MakeServer, was_reached

FULL = 0
"""A backlog that holds one connection; those that come after it wait."""

PRELUDE = """
import ctypes, os, signal, socket, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
port = int(sys.argv[1])
name = struct.pack("=H", 2) + struct.pack("!H", port) + socket.inet_aton("127.0.0.1") + bytes(8)
def connect(stream):
    ctypes.set_errno(0)
    return libc.connect(stream.fileno(), name, len(name)), ctypes.get_errno()
def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


@pytest.fixture
def full(make_server: MakeServer) -> Iterator[socket.socket]:
    """A server that takes no more connections until one is accepted."""
    server = make_server("127.0.0.1", backlog=FULL)
    with contextlib.ExitStack() as waiting:
        for _ in range(2):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(server.getsockname())
        yield server


def box() -> Sandbox:
    return tool_sandbox(PYTHON_PATHS, net_allow=["tcp://127.0.0.0/8:*"])


def command(server: socket.socket, script: str) -> list[str]:
    return [sys.executable, "-Ic", PRELUDE + script, str(server.getsockname()[1])]


def accept_all(server: socket.socket) -> None:
    """Accept whoever comes, until the server is shut down."""
    server.setblocking(True)
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


def run(server: socket.socket, script: str, at_line: str | None = None) -> list[str]:
    """Run a script, and accept from when it has told ``at_line``; return what it tells."""
    told: list[str] = []
    accepting = threading.Thread(target=accept_all, args=(server,))
    with box().popen(command(server, script), stdout=-1) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line.decode().strip())
            if told[-1] == at_line:
                accepting.start()
        watchdog.cancel()
        assert process.wait().success
    if accepting.ident is not None:
        server.shutdown(socket.SHUT_RDWR)
        accepting.join()
    return told


def test_until_it_is_accepted(full: socket.socket) -> None:
    script = """
stream = socket.socket()
tell("going")
tell(*connect(stream))
tell(stream.getpeername()[1] == port, os.get_blocking(stream.fileno()))
"""
    assert run(full, script, "going") == ["going", "0 0", "True True"]


def test_the_limit_of_the_socket(full: socket.socket) -> None:
    """SO_SNDTIMEO, which is EINPROGRESS, see socket(7)."""
    script = """
stream = socket.socket()
stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("qq", 0, 50_000))
tell(*connect(stream))
tell(*connect(stream))
"""
    assert run(full, script) == [f"-1 {errno.EINPROGRESS}", f"-1 {errno.EALREADY}"]


@pytest.mark.parametrize("target", ["process", "thread"])
def test_a_signal(full: socket.socket, target: str) -> None:
    script = f"""
signal.signal(signal.SIGALRM, lambda *_: tell("signal"))
stream = socket.socket()
main = threading.get_ident()
if {target == "thread"}:
    threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGALRM)).start()
else:
    signal.setitimer(signal.ITIMER_REAL, 0.1)
tell(*connect(stream))
"""
    assert sorted(run(full, script)) == [f"-1 {errno.EINTR}", "signal"]


def test_a_signal_that_restarts(full: socket.socket) -> None:
    """SA_RESTART: the call goes on after the signal's handler, which writes the number 10, a line's end."""
    script = """
assert signal.SIGUSR1 == 10
os.set_blocking(1, False)
signal.set_wakeup_fd(1)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, False)
if os.fork() == 0:
    time.sleep(0.1)
    os.kill(os.getppid(), signal.SIGUSR1)
    os._exit(0)
tell(*connect(socket.socket()))
"""
    assert run(full, script, "") == ["", "0 0"]


def test_signals_that_another_thread_takes(full: socket.socket) -> None:
    script = """
signal.signal(signal.SIGALRM, lambda *_: None)
result = []
thread = threading.Thread(target=lambda: result.extend(connect(socket.socket())))
thread.start()
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
for _ in range(100):
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
tell("taken")
thread.join()
tell(*result)
"""
    assert run(full, script, "taken") == ["taken", "0 0"]


def test_a_signal_that_no_other_thread_takes(full: socket.socket) -> None:
    """One for the process, which the others block: SA_RESTART works as well."""
    script = """
assert signal.SIGUSR1 == 10
os.set_blocking(1, False)
signal.set_wakeup_fd(1)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, False)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
if os.fork() == 0:
    time.sleep(0.1)
    os.kill(os.getppid(), signal.SIGUSR1)
    os._exit(0)
tell(*connect(socket.socket()))
os._exit(0)
"""
    assert run(full, script, "") == ["", "0 0"]


def test_an_ignored_and_a_blocked_signal_change_nothing(full: socket.socket) -> None:
    script = """
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
def send():
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR2)
    time.sleep(0.1)  # some looks at the signals
    tell("sent")
threading.Timer(0.05, send).start()
tell(*connect(socket.socket()))
"""
    assert run(full, script, "sent") == ["sent", "0 0"]


def test_stopped_and_continued(full: socket.socket) -> None:
    """SIGSTOP takes effect while a call waits, and the call goes on afterwards."""
    with box().popen(command(full, "tell('going')\ntell(*connect(socket.socket()))"), stdout=-1) as process:
        assert process.stdout is not None
        assert process.pid is not None
        assert process.stdout.readline() == b"going\n"
        stat = Path(f"/proc/{process.pid}/stat")
        os.kill(process.pid, signal.SIGSTOP)
        end = time.monotonic() + PATIENCE
        while stat.read_text().rsplit(")", 1)[1].split()[0] != "T":
            assert time.monotonic() < end, "SIGSTOP had no effect"
            threading.Event().wait(0.001)
        os.kill(process.pid, signal.SIGCONT)
        accepting = threading.Thread(target=accept_all, args=(full,))
        accepting.start()
        assert process.stdout.readline() == b"0 0\n"
        full.shutdown(socket.SHUT_RDWR)
        accepting.join()


def test_many_wait_and_others_go_on(full: socket.socket, make_server: MakeServer) -> None:
    free = make_server("127.0.0.2", full.getsockname()[1])
    script = """
def wait():
    connect(socket.socket())
for _ in range(100):
    threading.Thread(target=wait, daemon=True).start()
for _ in range(50):
    socket.create_connection(("127.0.0.2", port)).close()
tell("done")
os._exit(0)
"""
    result = box().run(command(full, script), timeout=30)
    assert (result.stdout, result.exit_code) == (b"done\n", 0)
    assert was_reached(free)


def test_a_killed_child(full: socket.socket) -> None:
    """A run that ends while a call waits leaves no descriptor and no thread behind."""
    sandbox = box()
    sandbox.run(["true"])
    before = open_fds()
    with sandbox.popen(command(full, "tell('going')\nconnect(socket.socket())"), stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"going\n"
        process.kill()
        assert process.wait().reason == ExitReason.KILLED
    assert open_fds() == before
