"""sendmsg and sendmmsg, whose addresses, data and control messages are all behind pointers."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from pathlib import Path

import pytest

from sandlock import Result, Sandbox
from tests.support.processes import open_fds
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import MakeServer, has_ipv6, port_of, received, rule

PRELUDE = """
import array, ctypes, errno, os, signal, socket, struct, sys, threading, time
port = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]
class mmsghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(iovec)),
        ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("gap", ctypes.c_int), ("sent", ctypes.c_uint)]
def sockaddr(host, port):
    return struct.pack("=H", 2) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return ""
"""


def run(box: Sandbox, script: str, port: int = 0, **options: object) -> Result:
    result = box.run([sys.executable, "-Ic", PRELUDE + script, str(port)], timeout=60, **options)  # type: ignore[arg-type]
    assert result.success, result.stderr.decode()
    return result


def lines(result: Result) -> list[str]:
    return result.stdout.decode().splitlines()


def supervised(*rules: str, **fields: list[str]) -> Sandbox:
    """Return a sandbox in which messages are judged."""
    return tool_sandbox(PYTHON_PATHS, net_allow=["udp://192.0.2.1:9", *rules], **fields)


def test_gathered_data_and_addresses(make_receiver: MakeServer) -> None:
    granted = make_receiver("127.0.0.1")
    other = make_receiver("127.0.0.2", port_of(granted))
    script = """
packets = socket.socket(type=socket.SOCK_DGRAM)
print(packets.sendmsg([b"a", b"", b"bc"], [], 0, ("127.0.0.1", port)))
print(refused(packets.sendmsg, [b"x"], [], 0, ("127.0.0.2", port)))
print(refused(packets.sendmsg, [b"x"]))
packets.connect(("127.0.0.1", port))
print(packets.sendmsg([b"d"]))
print(refused(packets.sendmsg, [b"x"], [], 0, ("127.0.0.2", port)))
"""
    told = run(supervised(rule("127.0.0.1", port_of(granted))), script, port_of(granted))
    assert lines(told) == ["3", "EACCES", "EDESTADDRREQ", "1", "EACCES"]
    assert (received(granted), received(other)) == ([b"abc", b"d"], [])


def test_many_messages_end_at_the_first_that_is_denied(make_receiver: MakeServer) -> None:
    granted = make_receiver("127.0.0.1")
    other = make_receiver("127.0.0.2", port_of(granted))
    script = """
packets = socket.socket(type=socket.SOCK_DGRAM)
def send(*hosts):
    messages = (mmsghdr * len(hosts))()
    for number, host in enumerate(hosts):
        data = b"x" * (number + 1)
        messages[number].name, messages[number].namelen = sockaddr(host, port), 16
        messages[number].iov, messages[number].iovlen = ctypes.pointer(iovec(data, len(data))), 1
    ctypes.set_errno(0)
    print(libc.sendmmsg(packets.fileno(), messages, len(hosts), 0), ctypes.get_errno(), *(m.sent for m in messages))
send("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1")
send("127.0.0.2", "127.0.0.1")
send("127.0.0.1", "127.0.0.1")
"""
    told = run(supervised(rule("127.0.0.1", port_of(granted))), script, port_of(granted))
    assert lines(told) == ["2 0 1 2 0 0", f"-1 {errno.EACCES} 0 0", "2 0 1 2"]
    assert (received(granted), received(other)) == ([b"x", b"xx", b"x", b"xx"], [])


def test_control_messages(make_receiver: MakeServer) -> None:
    """Those are let through that lead nowhere else; source routes (IP_RETOPTS) do."""
    receiver = make_receiver("127.0.0.1")
    receiver.setsockopt(socket.SOL_IP, 12, 1)  # IP_RECVTTL
    receiver.setsockopt(socket.SOL_IP, 13, 1)  # IP_RECVTOS
    script = """
packets = socket.socket(type=socket.SOCK_DGRAM)
def send(level, kind, data):
    return refused(packets.sendmsg, [b"x"], [(level, kind, data)], 0, ("127.0.0.1", port))
IP_TTL, IP_TOS, IP_PKTINFO, IP_RETOPTS = 2, 1, 8, 7
print(send(socket.SOL_IP, IP_TTL, struct.pack("i", 77)), send(socket.SOL_IP, IP_TOS, struct.pack("i", 16)))
print(send(socket.SOL_IP, IP_PKTINFO, struct.pack("=i4s4s", 0, socket.inet_aton("127.0.0.1"), bytes(4))))
print(send(socket.SOL_IP, IP_RETOPTS, bytes([131, 7, 4, 127, 0, 0, 2, 0])))
print(send(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("=iii", os.getpid(), os.getuid(), os.getgid())))
print(send(socket.SOL_SOCKET, 36, bytes(4)))  # SO_MARK
both = [(socket.SOL_IP, IP_TTL, struct.pack("i", 78)), (socket.SOL_IP, IP_TOS, struct.pack("i", 8))]
packets.sendmsg([b"both"], both, 0, ("127.0.0.1", port))
"""
    told = run(supervised(rule("127.0.0.1", port_of(receiver))), script, port_of(receiver))
    assert lines(told) == [" ", "", "EPERM", "EPERM", "EPERM"]
    seen: dict[bytes, list[tuple[int, int]]] = {}
    for _ in range(4):
        data, control, _, _ = receiver.recvmsg(100, 100)
        values = {kind: int.from_bytes(value, sys.byteorder) for _, kind, value in control}
        seen.setdefault(data, []).append((values[2], values[1]))
    assert seen[b"both"] == [(78, 8)]
    assert {ttl for ttl, _ in seen[b"x"]} >= {77}
    assert {tos for _, tos in seen[b"x"]} >= {16}


@pytest.mark.skipif(not has_ipv6(), reason="::1 cannot be bound: see net.ipv6.conf.lo.disable_ipv6")
def test_a_route_in_a_flow_label() -> None:
    script = """
packets = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
print(refused(packets.setsockopt, socket.IPPROTO_IPV6, 32, bytes(32)))
"""
    assert lines(run(supervised(), script)) == ["EPERM"]


def test_descriptors_between_processes() -> None:
    """SCM_RIGHTS: what arrives is the same open file, and nothing of it stays with the host."""
    script = """
ours, theirs = socket.socketpair()
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(reader)
    socket.send_fds(ours, [b"two"], [writer, writer])
    os.write(writer, b"first ")
    os._exit(0)
data, received, _, _ = socket.recv_fds(theirs, 10, 5)
os.wait()
os.close(writer)
for number, fd in enumerate(received):
    os.write(fd, b"%d " % number)
    os.close(fd)
print(data, os.read(reader, 100), os.read(reader, 1))
print(refused(socket.send_fds, ours, [b"x"], [99]))
print(refused(socket.send_fds, ours, [b"x"], [0] * 254))
"""
    told = run(supervised(), script)
    assert lines(told) == ["b'two' b'first 0 1 ' b''", "EBADF", "EINVAL"]


def test_multiprocessing() -> None:
    """It passes descriptors and large objects, over sockets of a pair and pipes."""
    script = """
ours, theirs = socket.socketpair()
def echo():
    while data := theirs.recv(1 << 16):
        theirs.sendmsg([data])
threading.Thread(target=echo, daemon=True).start()
data = os.urandom(1 << 20)
def write():
    print(ours.sendmsg([data[:1000], data[1000:]]))
threading.Thread(target=write).start()
back = b""
while len(back) < len(data):
    back += ours.recv(1 << 16)
print(back == data)
"""
    assert sorted(lines(run(supervised(), script))) == ["1048576", "True"]


def test_a_large_stream(make_server: MakeServer) -> None:
    """sendmsg on a connection waits until all is sent, and SO_SNDTIMEO cuts it short."""
    server = make_server("127.0.0.1")
    script = """
stream = socket.create_connection(("127.0.0.1", port))
stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("qq", 0, 100_000))
data = bytes(50_000_000)
sent = stream.sendmsg([data])
def until_refused(*arguments):
    while not (error := refused(stream.sendmsg, *arguments)):  # the window may still grow
        pass
    return error
print(0 < sent < len(data), until_refused([data]))
stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bytes(16))
stream.setblocking(False)
print(until_refused([data]))
stream.setblocking(True)
print(until_refused([data], [], socket.MSG_DONTWAIT))
sys.stdout.flush()
print(stream.sendmsg([data]) == len(data), flush=True)
"""
    with supervised("tcp://127.0.0.1:*").popen(
        [sys.executable, "-Ic", PRELUDE + script, str(port_of(server))], stdout=-1, stderr=-1
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True EAGAIN\n"
        assert process.stdout.readline() == b"EAGAIN\n"
        assert process.stdout.readline() == b"EAGAIN\n"
        server.setblocking(True)
        connection = server.accept()[0]
        total = 0
        while data := connection.recv(1 << 20):
            total += len(data)
        connection.close()
        assert total > 50_000_000
        assert process.stdout.readline() == b"True\n"
        assert process.wait(30).success


def test_nobody_reads(make_server: MakeServer) -> None:
    """SIGPIPE and EPIPE, unless MSG_NOSIGNAL is set."""
    script = """
signal.signal(signal.SIGPIPE, lambda *_: print("SIGPIPE"))
for flags in (0, socket.MSG_NOSIGNAL):
    ours, theirs = socket.socketpair()
    theirs.close()
    print(refused(ours.sendmsg, [b"x"], [], flags))
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
ours, theirs = socket.socketpair()
theirs.close()
sys.stdout.flush()
ours.sendmsg([b"x"])
print("alive")
"""
    box = supervised()
    result = box.run([sys.executable, "-Ic", PRELUDE + script, "0"], timeout=60)
    assert (result.stdout, result.signal) == (b"SIGPIPE\nEPIPE\nEPIPE\n", 13)


def test_the_address_of_a_stream_is_not_looked_at(make_server: MakeServer) -> None:
    """TCP ignores it; fast open is the one that would not, and it is refused."""
    server = make_server("127.0.0.1")
    other = make_server("127.0.0.2", port_of(server))
    script = """
stream = socket.create_connection(("127.0.0.1", port))
print(stream.sendto(b"x", ("127.0.0.2", port)), stream.sendmsg([b"y"], [], 0, ("127.0.0.2", port)))
fresh = socket.socket()
print(refused(fresh.sendto, b"x", socket.MSG_FASTOPEN, ("127.0.0.1", port)))
print(refused(fresh.sendmsg, [b"x"], [], socket.MSG_FASTOPEN, ("127.0.0.1", port)))
"""
    told = run(supervised("tcp://127.0.0.1:*"), script, port_of(server))
    assert lines(told) == ["1 1", "ENOTSUP", "ENOTSUP"]  # the same number as EOPNOTSUPP
    assert server.accept()[0].recv(10) == b"xy"
    with pytest.raises(BlockingIOError):
        other.accept()


def test_a_socket_that_was_received(tmp_path: Path, make_receiver: MakeServer) -> None:
    """A socket that the host hands over later is judged by the same rules."""
    receiver = make_receiver("127.0.0.1")
    script = """
pair = socket.socket(fileno=0)
_, (number,), _, _ = socket.recv_fds(pair, 1, 1)
packets = socket.socket(fileno=number)
print(refused(packets.sendto, b"x", ("127.0.0.1", port)))
"""
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(type=socket.SOCK_DGRAM) as packets:
        socket.send_fds(ours, [b"x"], [packets.fileno()])
        told = run(supervised(), script, port_of(receiver), stdin=theirs)
    assert lines(told) == ["EACCES"]
    assert received(receiver) == []


def test_nothing_is_left_open() -> None:
    """Neither of the sockets nor of the descriptors that were passed, whether that succeeded or not."""
    script = """
ours, theirs = socket.socketpair()
packets = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(20):
    socket.send_fds(ours, [b"x"], [0, 1])
    for fd in socket.recv_fds(theirs, 1, 2)[1]:
        os.close(fd)
    assert refused(socket.send_fds, ours, [b"x"], [0, 1, 99]) == "EBADF"
    assert refused(packets.sendmsg, [b"x"], [(1, 36, bytes(4))], 0, ("192.0.2.1", 9)) == "EPERM"
    assert refused(packets.sendto, b"x", ("192.0.2.2", 9)) == "EACCES"
    assert refused(packets.connect, ("192.0.2.2", 9)) == "EACCES"
"""
    box = supervised()
    run(box, "")
    before = open_fds()
    run(box, script)
    assert open_fds() == before


def test_many_large_messages_at_once() -> None:
    """They take turns, in the order of each; data go through unharmed."""
    script = """
import hashlib
def pump(seed):
    ours, theirs = socket.socketpair()
    data = bytes(range(seed, seed + 200)) * 100_000
    there = hashlib.sha256()
    def read():
        while some := theirs.recv(1 << 20):
            there.update(some)
    reading = threading.Thread(target=read)
    reading.start()
    sent = ours.sendmsg([data])
    ours.close()
    reading.join()
    tell.append(sent == len(data) and there.digest() == hashlib.sha256(data).digest())
tell = []
threads = [threading.Thread(target=pump, args=(seed,)) for seed in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(tell)
"""
    assert lines(run(supervised(), script)) == ["[True, True, True, True]"]


def test_who_has_sent_a_message() -> None:
    """The peer of a Unix socket sees the user of the sender, not of the supervisor: see SO_PASSCRED in unix(7)."""
    script = """
pair = socket.socket(fileno=0)
if os.getuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
pair.sendmsg([b"x"])
reader, writer = os.pipe()
socket.send_fds(pair, [b"y"], [reader])
print(os.getpid(), os.getuid(), os.getgid())
"""
    status = Path("/proc/self/status").read_text()
    may_name_others = int(status.split("CapEff:")[1].split()[0], 16) >> 21 & 1  # CAP_SYS_ADMIN
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        told = run(supervised(), script, stdin=theirs)
        pid, uid, gid = map(int, told.stdout.split())
        for text in (b"x", b"y"):
            data, control, _, _ = ours.recvmsg(1, 200)
            seen = {kind: value for _, kind, value in control}
            sender = struct.unpack("=iII", seen[socket.SCM_CREDENTIALS])
            assert (data, sender[1:]) == (text, (uid, gid))
            assert sender[0] == (pid if may_name_others else os.getpid())
            if text == b"y":
                os.close(struct.unpack("=i", seen[socket.SCM_RIGHTS])[0])
