"""Commands that try to have the host sleep, or keep its descriptors, by what they do to a socket during a call."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import ExitReason, Sandbox
from sandlock.presets import ShortTransferHandler
from sandlock.process import Process
from tests.support.processes import PATIENCE, open_fds
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import MakeServer, port_of
from tests.support.unix_sockets import MakeUnixServer, unix_rule

PRELUDE = """
import array, os, socket, struct, sys, threading
def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def fill(stream):
    stream.setblocking(False)
    try:
        while True:
            stream.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    stream.setblocking(True)
"""


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


@contextlib.contextmanager
def without_help_of(server: socket.socket) -> Iterator[None]:
    """Check that what is done ends without the server, whose end would end every wait for it."""
    helped = threading.Event()

    def help_out() -> None:
        helped.set()
        server.close()

    timer = threading.Timer(PATIENCE / 3, help_out)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    assert not helped.is_set(), "it waited for the server"


def popen(box: Sandbox, script: str, *arguments: object, **options: Any) -> Process:
    words = [sys.executable, "-Ic", PRELUDE + script, *map(str, arguments)]
    return box.popen(words, stdin=-1, stdout=-1, **options)


def sockets() -> int:
    """Return how many sockets this process has open."""
    found = 0
    for fd in open_fds():
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    return found


def line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def go_on(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_second_thread_turns_the_mode(
    program: Program, tmp_path: Path, make_server: MakeServer, make_unix_server: MakeUnixServer, kind: str
) -> None:
    """See programs/modes.c: the host looked when the socket was non-blocking, and connects when it is not."""
    if kind == "unix":
        server = make_unix_server(tmp_path / "s", backlog=0)
        where, rule = str(tmp_path / "s"), unix_rule(tmp_path / "s")
    else:
        server = make_server("127.0.0.1", backlog=0)
        where, rule = str(port_of(server)), f"tcp://127.0.0.1:{port_of(server)}"
    modes = program("modes")
    with contextlib.ExitStack() as waiting:
        for _ in range(2):  # the backlog is full
            client = waiting.enter_context(socket.socket(server.family))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(server.getsockname())
        with without_help_of(server):
            result = tool_sandbox([modes], net_allow=[rule]).run([modes, kind, where, "20000"], timeout=5)
    assert result.success or result.reason == ExitReason.TIMEOUT, result


FULL = """
stream = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
fill(stream)
stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
"""


@pytest.mark.parametrize("call", ["sendto", "recvfrom"])
def test_a_socket_that_lingers(make_server: MakeServer, call: str) -> None:
    """The host's duplicate is the last descriptor of a connection that waits for its peer at the end (SO_LINGER)."""
    server = make_server("127.0.0.1")
    script = """
much = bytes(1 << 24)  # for there may be room for a little again
wait = {"sendto": lambda: stream.sendto(much, ("127.0.0.1", int(sys.argv[1]))), "recvfrom": lambda: stream.recv(9)}
threading.Thread(target=wait[sys.argv[2]], daemon=True).start()
sys.stdin.readline()
os.close(stream.fileno())
os._exit(0)
"""
    rules = [f"tcp://127.0.0.1:{port_of(server)}", "udp://192.0.2.1:9"]
    box = tool_sandbox(PYTHON_PATHS, net_allow=rules)
    handlers = [("recvfrom", ShortTransferHandler())] if call == "recvfrom" else []
    with popen(box, FULL + 'tell("full")\n' + script, port_of(server), call, handlers=handlers) as process:
        before = sockets()
        assert line(process) == "full"
        assert eventually(lambda: sockets() > before), "the host has no duplicate"
        go_on(process)
        with without_help_of(server):
            assert process.wait(PATIENCE).success


def test_descriptors_of_messages_that_wait() -> None:
    """SCM_RIGHTS: the host holds none of them while there is no room for the message."""
    script = """
pairs = [socket.socketpair() for _ in range(8)]
def send(stream):
    stream.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 253))])
for ours, theirs in pairs:
    fill(ours)
    threading.Thread(target=send, args=(ours,), daemon=True).start()
tell("sending")
sys.stdin.readline()
for ours, theirs in pairs:
    fds = []
    while not fds:
        _, fds, _, _ = socket.recv_fds(theirs, 1 << 20, 253)
    tell(len(fds))
    for fd in fds:
        os.close(fd)
"""
    box = tool_sandbox(PYTHON_PATHS, net_allow=["udp://192.0.2.1:9"])
    with popen(box, script) as process:
        before = open_fds()
        assert line(process) == "sending"
        assert eventually(lambda: 8 <= len(open_fds() - before) < 253), len(open_fds() - before)
        go_on(process)
        assert [line(process) for _ in range(8)] == ["253"] * 8
        assert process.wait(PATIENCE).success
