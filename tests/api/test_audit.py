"""What an audit records: sandlock.audit."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from sandlock import SandboxError
from sandlock._peers import peer_text
from sandlock.audit import Audit, Call, _recorded, audit
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import sockaddr

_SOCKETS = """
import ctypes, socket
host = "127.0.0.1"
with socket.socket() as server, socket.socket() as client:
    server.bind((host, 0))
    server.listen()
    client.connect(server.getsockname())
    client.sendall(b"to the peer of the connection")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a:
    a.sendto(b"x", (host, 9001))
    a.sendmsg([b"x"], (), 0, (host, 9002))
    a.connect((host, 9003))
    class Message(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char_p), ("length", ctypes.c_uint32), ("none", ctypes.c_size_t * 6)]
    messages = (Message * 2)()
    for message, port in zip(messages, (9004, 9005)):
        message.name = bytes([2, 0, *port.to_bytes(2, "big"), 127, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1])
        message.length = 16
    assert ctypes.CDLL(None).sendmmsg(a.fileno(), messages, 2, 0) == 2
"""


def _in_python(script: str, **fields: Any) -> Audit:
    box = tool_sandbox(PYTHON_PATHS, **fields)
    return audit([sys.executable, "-c", script], box, check=True)


def test_peers_and_ports() -> None:
    record = _in_python(_SOCKETS, net_allow=["*:*"], net_allow_bind=["*"])
    calls = [call for call in record.calls if call.protocol is not None]
    server = calls[1].peer
    assert [(call.syscall, call.protocol, call.peer, call.bound) for call in calls] == [
        ("bind", "tcp", None, "127.0.0.1:0"),
        ("connect", "tcp", server, None),
        ("sendto", "udp", "127.0.0.1:9001", None),
        ("sendmsg", "udp", "127.0.0.1:9002", None),
        ("connect", "udp", "127.0.0.1:9003", None),
        ("sendmmsg", "udp", "127.0.0.1:9004", None),
        ("sendmmsg", "udp", "127.0.0.1:9005", None),
    ]
    assert (record.bound, len(record.peers)) == (["127.0.0.1:0"], 6)


def test_what_the_policy_denies_is_not_asked_about() -> None:
    script = "import socket; s, _ = socket.socketpair(); print(s.connect_ex('/none'))"
    record = _in_python(script, extra_deny_syscalls=["mkdir"])
    assert (record.count("connect"), record.peers) == (0, [])


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    record = audit(["sh", "-c", "mkdir new; : > old; cat < none"], tool_sandbox(writable=[tmp_path], cwd=tmp_path))
    seen = {call.paths[0]: call for call in record.calls if call.paths and call.paths[0].startswith(str(tmp_path))}
    facts = {Path(path).name: (call.found, call.writes) for path, call in seen.items()}
    assert (facts["new"], facts["old"], facts["none"]) == (((False,), True), ((True,), True), ((False,), False))
    assert record.changed == [str(tmp_path / "new"), str(tmp_path / "old")]


def test_programs_and_times() -> None:
    record = audit(["sh", "-c", "env A=1 true 'b c'"], tool_sandbox())
    programs = [call for call in record.calls if call.argv]
    assert [call.argv for call in programs] == [
        ("sh", "-c", "env A=1 true 'b c'"),
        ("env", "A=1", "true", "b c"),
        *[("true", "b c")] * (len(programs) - 2),  # env(1) tries the folders of PATH
    ]
    times = [call.at for call in record.calls]
    assert times[0] > 0
    assert max(times) <= record.seconds


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", None),
        (sockaddr("192.0.2.1", 80), "192.0.2.1:80"),
        (sockaddr("2001:db8::1", 80), "[2001:db8::1]:80"),
        (sockaddr("::ffff:192.0.2.1", 80), "192.0.2.1:80"),
        (b"\1\0/run/socket\0rubbish", "unix:/run/socket"),
        (b"\1\0\0name", "unix:@name"),
        (b"\0\0" + bytes(14), "family 0"),
    ],
)
def test_addresses_as_text(raw: bytes, text: str | None) -> None:
    assert peer_text(raw) == text


def test_a_call_as_text() -> None:
    assert str(Call("bind", 1, bound="127.0.0.1:0")) == "bind 127.0.0.1:0"
    assert str(Call("openat", 1, ("/a",))) == "openat /a"


_FLOOD = """
import os
for number in range(3000):
    os.access("/none/" + "x" * 200 + str(number), os.F_OK)
try:
    open("/none/last")
except OSError:
    pass
"""


def test_an_audit_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after it is counted, and not taken for what never came."""
    monkeypatch.setattr("sandlock.audit._MOST", 1 << 20)
    record = _in_python(_FLOOD)
    names = [name for name in ("access", "faccessat", "faccessat2") if name in _recorded()]
    looks = sum(map(record.count, names))
    assert looks >= 3000
    assert sum(call.size() for call in record.calls) <= 1 << 20
    assert record.more_calls > 500
    assert looks > sum(call.syscall in names for call in record.calls)
    assert f" and {record.more_calls} that were not kept: " in repr(record)
    assert f" and {record.more_calls:,} that were not kept, " in record._repr_html_()
    assert record.executed(record.programs[0])
    with pytest.raises(SandboxError, match="cannot tell whether /none/last was opened: "):
        record.opened("/none/last")
    assert not record.executed("/none")  # no program came after it


def test_a_call_takes_no_more_than_is_counted() -> None:
    tracemalloc.start()
    try:
        record, began = Audit(), tracemalloc.get_traced_memory()[0]
        for number in range(2000):
            record.add(Call("openat", 10**6 + number, (f"/file/{number}",), (number > 0,), at=number / 7))
        assert tracemalloc.get_traced_memory()[0] - began <= record._size
    finally:
        tracemalloc.stop()
