"""Datagrams between Unix sockets, which take an address each time."""

from __future__ import annotations

import os
import socket
import struct
import sys
import tempfile
from pathlib import Path

import pytest

from sandlock import Result, Sandbox
from tests.support.processes import open_fds
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import DGRAM, received
from tests.support.unix_sockets import MakeUnixServer, unix_rule

PRELUDE = """
import ctypes, errno, os, signal, socket, struct, sys, threading, time
folder = sys.argv[1]
granted, other = folder + "/granted/s", folder + "/another/s"
libc = ctypes.CDLL(None, use_errno=True)
packets = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]
class mmsghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(iovec)),
        ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("gap", ctypes.c_int), ("sent", ctypes.c_uint)]
def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return ""
"""


@pytest.fixture
def sockets(tmp_path: Path, make_unix_server: MakeUnixServer) -> tuple[socket.socket, socket.socket]:
    """A socket that is granted, and one that is not."""
    granted, other = (make_unix_server(tmp_path / name / "s", DGRAM) for name in ("granted", "another"))
    (tmp_path / "granted" / "out").symlink_to("../another/s")
    return granted, other


def box(folder: Path) -> Sandbox:
    (folder / "granted").mkdir(exist_ok=True)
    return tool_sandbox(PYTHON_PATHS, [folder / "granted"], net_allow=[unix_rule(folder / "granted")])


def run(folder: Path, script: str) -> Result:
    result = box(folder).run([sys.executable, "-Ic", PRELUDE + script, folder], timeout=60)
    assert result.success, result.stderr.decode()
    return result


def test_every_way_to_send(tmp_path: Path, sockets: tuple[socket.socket, socket.socket]) -> None:
    script = """
for send in (packets.sendto, lambda data, to: packets.sendmsg([data], [], 0, to)):
    paths = granted, other, folder + "/granted/out", folder + "/none", "\\0abstract"
    print(*(refused(send, b"x", path) for path in paths), sep=",")
print(refused(packets.sendto, b"x", granted + "/"), refused(packets.send, b"x"))
peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
print(refused(peer.connect, other), refused(peer.connect, granted))
print(refused(peer.send, b"y"), refused(peer.sendto, b"x", other))
print(libc.connect(peer.fileno(), bytes(16), 16), refused(peer.send, b"y"))  # AF_UNSPEC dissolves
names = [ctypes.create_string_buffer(b"\\1\\0" + os.fsencode(to)) for to in (granted, granted, other, granted)]
messages = (mmsghdr * 4)()
for message, name in zip(messages, names):
    message.name, message.namelen = ctypes.addressof(name), len(name)
    message.iov, message.iovlen = ctypes.pointer(iovec(b"z", 1)), 1
print(libc.sendmmsg(packets.fileno(), messages, 4, 0), [message.sent for message in messages])
"""
    told = run(tmp_path, script).stdout.decode().splitlines()
    assert told == [
        ",EACCES,EACCES,ENOENT,EACCES",
        ",EACCES,EACCES,ENOENT,EACCES",
        "ENOTDIR ENOTCONN",
        "EACCES ",
        " EACCES",
        "0 ENOTCONN",
        "2 [1, 1, 0, 0]",
    ]
    granted, other = sockets
    assert (received(granted), received(other)) == ([b"x", b"x", b"y", b"z", b"z"], [])


def test_pairs_and_answers(tmp_path: Path, sockets: tuple[socket.socket, socket.socket]) -> None:
    """Who is bound to a path can be answered; a pair sends to its peer, and to what is granted."""
    script = """
packets.bind(folder + "/granted/client")
packets.sendto(b"question", granted)
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
ours.send(b"pair")
print(theirs.recv(10), refused(ours.sendto, b"x", other), refused(ours.sendto, b"x", granted), flush=True)
print(packets.recvfrom(10))
"""
    granted, other = sockets
    granted.setblocking(True)
    with box(tmp_path).popen([sys.executable, "-Ic", PRELUDE + script, tmp_path], stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"b'pair' EACCES \n"
        data, client = granted.recvfrom(100)
        assert (data, granted.recv(100)) == (b"question", b"x")
        granted.sendto(b"answer", client)
        assert process.stdout.read() == f"(b'answer', '{tmp_path}/granted/s')\n".encode()
        assert process.wait(30).success
    assert received(other) == []


def test_a_receiver_that_is_full(tmp_path: Path, sockets: tuple[socket.socket, socket.socket]) -> None:
    """A sender waits for room, as long as its socket says."""
    script = """
packets.settimeout(0)
while not (error := refused(packets.sendto, b"x", granted)):
    pass
print(error)
packets.settimeout(None)
print(refused(packets.sendto, b"x", socket.MSG_DONTWAIT, granted))
packets.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("qq", 0, 50_000))
print(refused(packets.sendto, b"x", granted))
packets.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bytes(16))
print("full", flush=True)
packets.sendto(b"last", granted)
print("sent")
"""
    granted, _ = sockets
    with box(tmp_path).popen([sys.executable, "-Ic", PRELUDE + script, tmp_path], stdout=-1) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(4)] == [b"EAGAIN\n"] * 3 + [b"full\n"]
        granted.settimeout(30)
        while granted.recv(10) != b"last":
            pass
        assert process.stdout.read() == b"sent\n"
        assert process.wait(30).success


def test_memory_that_changes(tmp_path: Path, sockets: tuple[socket.socket, socket.socket]) -> None:
    """A second thread turns the pointer to the address to and fro."""
    script = """
sys.setswitchinterval(1e-6)
names = [ctypes.create_string_buffer(b"\\1\\0" + os.fsencode(to)) for to in (granted, other)]
addresses = [ctypes.addressof(name) for name in names]
message = mmsghdr()
message.name, message.namelen = addresses[0], len(names[0])
message.iov, message.iovlen = ctypes.pointer(iovec(b"x", 1)), 1
over = False
def turn():
    while not over:
        for address in addresses:
            message.name = address
thread = threading.Thread(target=turn)
thread.start()
done = [0, 0]
while sum(done) < 400 or not all(done) and sum(done) < 40000:
    done[libc.sendmsg(packets.fileno(), ctypes.byref(message), socket.MSG_DONTWAIT) == 1] += 1
over = True
thread.join()
print(*done)
"""
    granted, other = sockets
    failed, succeeded = map(int, run(tmp_path, script).stdout.split())
    assert min(failed, succeeded) > 0, "it did not change often enough to show anything"
    assert received(granted)
    assert received(other) == []


def test_who_has_sent_it(make_unix_server: MakeUnixServer) -> None:
    """SO_PASSCRED shows the user of the sender, whatever it has become, and as its process the supervisor."""
    script = """
if os.getuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
packets.sendto(b"x", granted)
packets.connect(granted)
packets.sendmsg([b"y"])
print(os.getpid(), os.getuid(), os.getgid())
"""
    with tempfile.TemporaryDirectory() as name:  # pytest's are for one user
        folder = Path(name)
        folder.chmod(0o755)
        granted = make_unix_server(folder / "granted" / "s", DGRAM)
        granted.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        pid, uid, gid = map(int, run(folder, script).stdout.split())
        for text in (b"x", b"y"):
            data, [(_, _, control)], _, _ = granted.recvmsg(10, 100)
            seen = struct.unpack("=iII", control)
            assert (data, seen[1:], seen[0] in (pid, os.getpid())) == (text, (uid, gid), True)


def test_nothing_is_left_open(tmp_path: Path, sockets: tuple[socket.socket, socket.socket]) -> None:
    script = """
for _ in range(20):
    assert refused(packets.sendto, b"x", other) == "EACCES"
    assert refused(packets.sendto, b"x", folder) == "EACCES"
    assert refused(packets.sendto, b"x", socket.MSG_DONTWAIT, granted) in ("", "EAGAIN")
    assert refused(packets.bind, other + "2") == "EACCES"
    assert refused(socket.socket(socket.AF_UNIX).connect, granted) == "EPROTOTYPE"
packets.bind(folder + "/granted/client")
"""
    run(tmp_path, "")
    before = open_fds()
    run(tmp_path, script)
    assert open_fds() == before
