"""ShortTransferHandler cuts reads and writes short, and waits as the kernel does."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandlock import HandlerCtx, NotifAction, Sandbox, StdioMode
from sandlock.presets import ShortTransferHandler
from tests.support.processes import PATIENCE, open_fds
from tests.support.sandboxes import PYTHON_PATHS

READS = ["read", "pread64", "recvfrom"]


class Announcing(ShortTransferHandler):
    """Says when it is asked."""

    def __init__(self) -> None:
        super().__init__(2, files=["pipe:*"])
        self.asked = threading.Event()

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        if ctx.args[0] & 0xFFFFFFFF == 0:
            self.asked.set()
        return await super().handle(ctx)


@pytest.fixture(autouse=True)
def _leaves_no_descriptor() -> Iterator[None]:
    before = open_fds()
    yield
    assert open_fds() <= before


def test_a_program_that_does_not_loop(box: Sandbox, tmp_path: Path) -> None:
    box.fs_readable = [*box.fs_readable, tmp_path]
    (tmp_path / "file").write_text("0123456789")
    dd = ["dd", f"if={tmp_path}/file", "bs=10", "count=2"]
    result = box.run(dd, handlers=[("read", ShortTransferHandler(4, first=1))], timeout=60)
    assert (result.stdout, result.handler_errors) == (b"01234567", [])
    assert b"0+2 records in\n" in result.stderr


def test_programs_that_loop(box: Sandbox) -> None:
    """They do what they do without it."""
    command = ["sh", "-c", "cat /etc/passwd | cat | tee /dev/null | wc; sort /etc/passwd | head -n 2"]
    bare = box.run(command, check=True, timeout=60).stdout
    cutting = ShortTransferHandler(7, files=["/etc/passwd", "pipe:*"])
    result = box.run(command, handlers=[(name, cutting) for name in (*READS, "write", "pwrite64")], timeout=60)
    assert (result.stdout, result.stderr, result.handler_errors) == (bare, b"", [])
    assert cutting.calls > 2 * os.path.getsize("/etc/passwd") / 7


def test_which_files(box: Sandbox) -> None:
    handlers = [("read", ShortTransferHandler(2, files=["/etc/host*"]))]
    result = box.run(["sh", "-c", "dd if=/etc/hostname; dd if=/etc/passwd"], handlers=handlers, timeout=60)
    counts = [line for line in result.stderr.splitlines() if line.endswith(b"records in")]
    assert counts[0] == b"0+%d records in" % -(-os.path.getsize("/etc/hostname") // 2)
    assert counts[1].startswith(b"%d+" % (os.path.getsize("/etc/passwd") // 512))


def test_which_are_cut(box: Sandbox) -> None:
    """The others are not."""
    command = ["sh", "-c", "for word in aaaa bbbb cccc; do echo $word >&2; done"]
    handler = ShortTransferHandler(2, first=2, count=1)
    result = box.run(command, handlers=[("write", handler)], timeout=60)
    assert result.stderr == b"aaaa\nbbbb\ncccc\n"  # a shell loops
    assert handler.calls == 4


def test_a_write_waits_for_room(box: Sandbox) -> None:
    box.fs_readable = [*box.fs_readable, "/dev/zero"]
    handlers = [("write", ShortTransferHandler(5000))]
    result = box.run(["sh", "-c", "head -c 300000 /dev/zero | cat | wc -c"], handlers=handlers, timeout=60)
    assert (result.stdout.strip(), result.handler_errors) == (b"300000", [])


def test_a_write_that_nobody_reads(box: Sandbox) -> None:
    """The writer gets SIGPIPE, and the host does not."""
    box.fs_readable = [*box.fs_readable, "/dev/zero"]
    script = "exec 3>&1; (trap %s PIPE; cat /dev/zero; echo $? >&3) | head -c 1 >/dev/null"
    handlers = [("write", ShortTransferHandler(1))]
    previous = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        killed = box.run(["sh", "-c", script % "-"], handlers=handlers, timeout=60)
        ignored = box.run(["sh", "-c", script % "''"], handlers=handlers, timeout=60)
    finally:
        signal.signal(signal.SIGPIPE, previous)
    assert killed.stdout == b"%d\n" % (128 + signal.SIGPIPE)
    assert (ignored.stdout, ignored.stderr) == (b"1\n", b"cat: write error: Broken pipe\n")


def test_a_read_waits(box: Sandbox) -> None:
    handler = Announcing()
    with box.popen(["cat"], stdin=StdioMode.PIPED, stdout=StdioMode.PIPED, handlers=[("read", handler)]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in (b"hello\n", b"world\n"):
            assert handler.asked.wait(PATIENCE)
            handler.asked.clear()
            process.stdin.write(text)
            process.stdin.flush()
            assert process.stdout.readline() == text
        process.stdin.close()
        assert process.wait(PATIENCE).success


def test_a_signal_ends_the_wait(box: Sandbox) -> None:
    script = "trap 'echo caught; exit 5' USR1; read line"
    handler = Announcing()
    with box.popen(["sh", "-c", script], stdin=StdioMode.PIPED, handlers=[("read", handler)]) as process:
        assert handler.asked.wait(PATIENCE)
        process.send_signal(signal.SIGUSR1)
        assert process.wait(PATIENCE).exit_code == 5


def test_a_signal_restarts_the_wait(box: Sandbox) -> None:
    """Python makes the call again, and the handler is asked again."""
    script = (
        "import os, signal\n"
        "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'caught\\n'))\n"
        "os.write(1, b'up\\n')\n"
        "print(os.read(0, 10))"
    )
    box.fs_readable = [*box.fs_readable, *PYTHON_PATHS]
    handler = Announcing()
    options: dict[str, Any] = {"stdin": StdioMode.PIPED, "stdout": StdioMode.PIPED, "handlers": [("read", handler)]}
    with box.popen([sys.executable, "-c", script], **options) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert handler.asked.wait(PATIENCE)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == b"caught\n"
        process.stdin.write(b"text")
        process.stdin.flush()
        assert process.stdout.readline() == b"b'te'\n"
        assert process.wait(PATIENCE).success


def test_a_child_that_is_killed_while_it_waits(box: Sandbox) -> None:
    handler = Announcing()
    with box.popen(["cat"], stdin=StdioMode.PIPED, handlers=[("read", handler)]) as process:
        assert handler.asked.wait(PATIENCE)
        process.kill()
        assert process.wait(PATIENCE).handler_errors == []


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, request.param)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("pair", [socket.SOCK_STREAM], indirect=True)
def test_a_socket(box: Sandbox, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.send(b"0123456789")
    ours.shutdown(socket.SHUT_WR)
    handlers = [("read", ShortTransferHandler(4))]
    dd = ["dd", "bs=10", "count=2"]
    assert box.run(dd, stdin=theirs, handlers=handlers, timeout=60).stdout == b"01234567"


@pytest.mark.parametrize("pair", [socket.SOCK_STREAM], indirect=True)
@pytest.mark.parametrize("how", ["not at all", "for a while"])
def test_a_socket_that_waits(box: Sandbox, pair: tuple[socket.socket, socket.socket], how: str) -> None:
    _, theirs = pair
    if how == "not at all":
        theirs.setblocking(False)
    else:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50_000))
    result = box.run(["cat"], stdin=theirs, handlers=[("read", ShortTransferHandler(4))], timeout=60)
    assert b"Resource temporarily unavailable" in result.stderr


@pytest.mark.parametrize("pair", [socket.SOCK_SEQPACKET], indirect=True)
def test_a_message_stays_whole(box: Sandbox, pair: tuple[socket.socket, socket.socket]) -> None:
    """What is left of it would be lost."""
    ours, theirs = pair
    ours.send(b"0123456789")
    ours.close()
    handler = ShortTransferHandler(4)
    result = box.run(["cat"], stdin=theirs, handlers=[("read", handler)], timeout=60)
    assert (result.stdout, result.handler_errors) == (b"0123456789", [])


def test_a_call_that_cannot_be_cut(box: Sandbox) -> None:
    result = box.run(["true"], handlers=[("openat", ShortTransferHandler())], timeout=60)
    assert "openat cannot be cut short; read, pread64, recvfrom, write, pwrite64 can be" in str(
        result.handler_errors[0].exception
    )


@pytest.mark.parametrize("options", [{"most": 0}, {"most": True}, {"first": 0}, {"count": -1}])
def test_wrong_arguments(options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{next(iter(options))} must be an int from 1 on"):
        ShortTransferHandler(**options)
