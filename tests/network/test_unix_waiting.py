"""Connections to a Unix socket whose server is behind with accepting: they wait as the kernel's do."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from sandlock import ExitReason, Sandbox
from sandlock.process import Process
from tests.support.processes import open_fds
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.unix_sockets import AF_UNIX, MakeUnixServer, unix_rule

PRELUDE = """
import errno, os, signal, socket, struct, sys, threading, time
def refused(stream):
    try:
        stream.connect(sys.argv[1])
    except OSError as error:
        return errno.errorcode[error.errno]
    return ""
def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
stream = socket.socket(socket.AF_UNIX)
"""


@pytest.fixture
def full(tmp_path: Path, make_unix_server: MakeUnixServer) -> socket.socket:
    """A server that takes no more connections until one is accepted."""
    server = make_unix_server(tmp_path / "s", backlog=0)
    with socket.socket(AF_UNIX) as client:
        client.connect(os.fspath(tmp_path / "s"))
    return server


def box(server: socket.socket) -> Sandbox:
    return tool_sandbox(PYTHON_PATHS, net_allow=[unix_rule(server.getsockname())])


def popen(server: socket.socket, script: str) -> Process:
    return box(server).popen([sys.executable, "-Ic", PRELUDE + script, server.getsockname()], stdout=-1)


def lines(process: Process, count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().decode().strip() for _ in range(count)]


def test_until_there_is_room(full: socket.socket) -> None:
    script = """
tell("going")
tell(refused(stream), os.get_blocking(stream.fileno()))
stream.sendall(b"x")
"""
    with popen(full, script) as process:
        assert lines(process, 1) == ["going"]
        full.setblocking(True)
        full.accept()[0].close()
        assert lines(process, 1) == ["True"]
        with full.accept()[0] as connection:
            assert connection.recv(1) == b"x"
        assert process.wait(30).success


def test_who_does_not_wait(full: socket.socket) -> None:
    """O_NONBLOCK, and SO_SNDTIMEO: EAGAIN, see unix(7) and socket(7)."""
    script = """
stream.setblocking(False)
tell(refused(stream), os.get_blocking(stream.fileno()))
stream.setblocking(True)
stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("qq", 0, 50_000))
tell(refused(stream), os.get_blocking(stream.fileno()))
"""
    with popen(full, script) as process:
        assert lines(process, 2) == ["EAGAIN False", "EAGAIN True"]
        assert process.wait(30).success


def test_a_signal(full: socket.socket) -> None:
    script = """
signal.signal(signal.SIGALRM, lambda *_: sys.exit("signal"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
refused(stream)
"""
    with popen(full, script) as process:
        assert process.wait(30).exit_code == 1


def test_a_server_that_ends(full: socket.socket) -> None:
    with popen(full, 'tell("going")\ntell(refused(stream))') as process:
        assert lines(process, 1) == ["going"]
        full.close()
        assert lines(process, 1) == ["ECONNREFUSED"]


def test_a_path_that_leads_elsewhere_meanwhile(
    full: socket.socket, tmp_path: Path, make_unix_server: MakeUnixServer
) -> None:
    """It is followed and judged anew each time, as the kernel follows it anew."""
    make_unix_server(tmp_path / "other")
    with popen(full, 'tell("going")\ntell(refused(stream))') as process:
        assert lines(process, 1) == ["going"]
        (tmp_path / "link").symlink_to("other")
        (tmp_path / "link").rename(tmp_path / "s")
        full.setblocking(True)
        full.accept()[0].close()
        assert lines(process, 1) == ["EACCES"]


def test_many_wait_and_others_go_on(full: socket.socket, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    make_unix_server(tmp_path / "free")
    script = """
for _ in range(50):
    threading.Thread(target=refused, args=(socket.socket(socket.AF_UNIX),), daemon=True).start()
for _ in range(50):
    socket.socket(socket.AF_UNIX).connect(os.path.dirname(sys.argv[1]) + "/free")
tell("done")
os._exit(0)
"""
    sandbox = tool_sandbox(PYTHON_PATHS, net_allow=[unix_rule(tmp_path)])
    result = sandbox.run([sys.executable, "-Ic", PRELUDE + script, tmp_path / "s"], timeout=30)
    assert (result.stdout, result.exit_code) == (b"done\n", 0)


def test_a_killed_child(full: socket.socket) -> None:
    box(full).run(["true"])
    before = open_fds()
    with popen(full, 'tell("going")\nrefused(stream)') as process:
        assert lines(process, 1) == ["going"]
        process.kill()
        assert process.wait().reason == ExitReason.KILLED
    assert open_fds() == before
