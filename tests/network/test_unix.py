"""Unix sockets with a path: where a connection leads is judged, and it leads there."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from sandlock import Handler, HandlerCtx, NotifAction
from sandlock._request import StrPath
from sandlock.audit import audit
from tests.support.acts import Act, Back, act
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import AF_INET, DGRAM, STREAM, MakeServer, port_of, sockaddr, was_reached
from tests.support.unix_sockets import AF_UNIX, SEQPACKET, MakeUnixServer, unix_name, unix_rule

O_PATH = 0x200000
SO_PEERGROUPS = 59


def connect(acts: Path, *paths: StrPath, kind: int = STREAM, **fields: Any) -> list[str]:
    """Connect to each path, and return the errors."""
    calls: list[tuple[object, ...]] = []
    for path in paths:
        name = unix_name(path)
        calls += [("socket", AF_UNIX, kind, 0), ("connect", Back(1), name, len(name))]
    return errors(act(tool_sandbox([acts], **fields), acts, calls))[1::2]


def errors(done: list[Act]) -> list[str]:
    return [a.error for a in done]


@pytest.mark.parametrize("kind", [STREAM, SEQPACKET])
def test_a_socket_is_granted(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer, kind: int) -> None:
    granted, other = (make_unix_server(tmp_path / name, kind) for name in ("granted", "other"))
    paths = (tmp_path / "granted", tmp_path / "other", tmp_path / "none")
    rules = [unix_rule(tmp_path / "granted")]
    assert connect(acts, *paths, kind=kind, net_allow=rules) == ["", "EACCES", "ENOENT"]
    assert (was_reached(granted), was_reached(other)) == (True, False)


def test_a_folder_is_granted(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    paths = [tmp_path / name for name in ("run/s", "run/deep/er/s", "runner/s", "s")]
    servers = [make_unix_server(path) for path in paths]
    assert connect(acts, *paths, net_allow=[unix_rule(tmp_path / "run")]) == ["", "", "EACCES", "EACCES"]
    assert [was_reached(server) for server in servers] == [True, True, False, False]


def test_denied_wins(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    paths = [tmp_path / name for name in ("s", "one", "private/s", "secret/s")]
    servers = [make_unix_server(path) for path in paths]
    fields: dict[str, Any] = {
        "net_allow": [unix_rule(tmp_path)],
        "net_deny": [unix_rule(tmp_path / "private"), unix_rule(tmp_path / "one")],
        "fs_denied": [tmp_path / "secret"],
    }
    assert connect(acts, *paths, **fields) == ["", "EACCES", "EACCES", "EACCES"]
    assert [was_reached(server) for server in servers] == [True, False, False, False]


def test_denied_alone_grants_nothing(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    make_unix_server(tmp_path / "run" / "s")
    fields: dict[str, Any] = {"net_deny": [unix_rule(tmp_path / "run")]}
    assert connect(acts, tmp_path / "run" / "s", **fields) == ["EACCES"]
    assert errors(act(tool_sandbox([acts], **fields), acts, [("socket", AF_INET, STREAM, 0)])) == ["EACCES"]


def test_where_a_path_leads(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    """Links, parent folders and the working directory: the file counts, not the text."""
    granted, other = make_unix_server(tmp_path / "run" / "s"), make_unix_server(tmp_path / "other" / "s")
    (tmp_path / "run" / "out").symlink_to("../other/s")
    (tmp_path / "run" / "folder").symlink_to(tmp_path / "other")
    (tmp_path / "in").symlink_to("run")
    (tmp_path / "run" / "dangling").symlink_to("nowhere")
    (tmp_path / "run" / "loop").symlink_to("loop")
    cases: dict[StrPath, str] = {
        tmp_path / "in" / "s": "",
        "s": "",
        "./../in/s": "",
        tmp_path / "run" / "out": "EACCES",
        tmp_path / "run" / "folder" / "s": "EACCES",
        f"{tmp_path}/run/../other/s": "EACCES",
        "../other/s": "EACCES",
        "dangling": "ENOENT",
        "loop": "ELOOP",
        "s/": "ENOTDIR",
        "s/x": "ENOTDIR",
    }
    for path, error in cases.items():
        fields: dict[str, Any] = {"net_allow": [unix_rule(tmp_path / "in")], "cwd": tmp_path / "run"}
        assert (connect(acts, path, **fields), was_reached(granted)) == ([error], not error), path
    assert not was_reached(other)


def test_a_relative_rule(
    acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_unix_server(tmp_path / "run" / "s")
    monkeypatch.chdir(tmp_path)
    assert connect(acts, "run/s", tmp_path / "run" / "s", net_allow=["unix://run"]) == ["", ""]
    assert was_reached(server)


def test_magic_links(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    """A descriptor of the command's leads to its file; what leads through other processes is refused."""
    granted, other = make_unix_server(tmp_path / "run" / "s"), make_unix_server(tmp_path / "other" / "s")
    opened = [("openat", -100, os.fspath(tmp_path / folder / "s"), O_PATH) for folder in ("run", "other")]
    names = [unix_name(f"/proc/self/fd/{number}") for number in (3, 4)]
    names += [
        unix_name(f"/proc/{process}/{link}{path}")
        for process in ("self", os.getpid())
        for link, path in (("root", tmp_path / "run" / "s"), ("cwd", "/s"), (f"fd/{other.fileno()}", ""))
    ]
    calls = [
        *opened,
        *(call for name in names for call in (("socket", AF_UNIX, STREAM, 0), ("connect", Back(1), name, len(name)))),
    ]
    box = tool_sandbox([acts], net_allow=[unix_rule(tmp_path / "run")], cwd=tmp_path / "run")
    done = errors(act(box, acts, calls))
    assert (done[:2], done[3:6:2]) == (["", ""], ["", "EACCES"])
    assert "" not in done[7::2]
    assert (was_reached(granted), was_reached(granted), was_reached(other)) == (True, False, False)


def test_addresses(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    """As the kernel reads them, see unix(7): a path ends at a NUL byte or with the address."""
    longest = tmp_path / ("x" * (107 - len(os.fsencode(tmp_path)) - 1))
    servers = [make_unix_server(tmp_path / "s"), make_unix_server(longest)]
    make_unix_server(tmp_path / "datagrams", DGRAM)
    make_unix_server(tmp_path / "gone").close()
    (tmp_path / "file").touch()
    short, long, abstract = unix_name(tmp_path / "s"), unix_name(longest), unix_name(b"\0sandlock-none")
    names = [
        (short[:-1], "", None),
        (short + b"more", "", None),
        (long[:-1], "", None),
        (long, "", None),
        (long + b"\0", "EINVAL", None),  # one byte too long, although it is a NUL byte
        (short, "EINVAL", 2),
        (short, "EINVAL", 1),
        (short, "EINVAL", 0),
        (short, "EINVAL", -1),
        (short, "EINVAL", 200),
        (short, "ECONNREFUSED", len(short) - 2),  # the folder
        (AF_INET.to_bytes(2, "little") + short[2:], "EINVAL", None),
        (bytes(16), "EINVAL", None),
        (abstract, "EACCES", None),
        (unix_name(b""), "EACCES", None),  # the abstract name of no bytes
        (unix_name(tmp_path / "datagrams"), "EPROTOTYPE", None),
        (unix_name(tmp_path / "gone"), "ECONNREFUSED", None),
        (unix_name(tmp_path / "file"), "ECONNREFUSED", None),
        (unix_name(tmp_path), "ECONNREFUSED", None),
    ]
    calls: list[tuple[object, ...]] = []
    for name, _, size in names:
        calls += [("socket", AF_UNIX, STREAM, 0), ("connect", Back(1), name, len(name) if size is None else size)]
    calls += [("socket", AF_UNIX, STREAM, 0), ("connect", Back(1), 8, 20), ("connect", Back(2), short, len(short))]
    calls += [("connect", Back(3), short, len(short))]
    done = errors(act(tool_sandbox([acts], net_allow=[unix_rule(tmp_path)]), acts, calls))
    assert done[1 : 2 * len(names) : 2] == [error for _, error, _ in names]
    assert done[-3:] == ["EFAULT", "", "EISCONN"]
    assert [was_reached(server) for server in servers] == [True, True]


def test_ip_stays_closed(acts: Path, tmp_path: Path) -> None:
    kinds = [(AF_INET, STREAM), (AF_INET, DGRAM), (16, 3), (AF_UNIX, 3), (AF_UNIX, DGRAM), (AF_UNIX, SEQPACKET)]
    calls = [("socket", *kind, 0) for kind in kinds] + [("socketpair", *kind, 0, bytes(8)) for kind in kinds[3:]]
    for fields in ({}, {"net_deny": ["192.0.2.1"]}):
        done = act(tool_sandbox([acts], net_allow=[unix_rule(tmp_path)], **fields), acts, calls)
        assert errors(done) == ["EACCES"] * 4 + ["", ""] + ["EACCES", "", ""]


def test_beside_tcp(acts: Path, tmp_path: Path, make_server: MakeServer, make_unix_server: MakeUnixServer) -> None:
    granted, other = make_server("127.0.0.1"), make_server("127.0.0.1")
    local = make_unix_server(tmp_path / "s")
    calls: list[tuple[object, ...]] = []
    for family, name in (
        (AF_INET, sockaddr("127.0.0.1", port_of(granted))),
        (AF_INET, sockaddr("127.0.0.1", port_of(other))),
        (AF_INET, unix_name(tmp_path / "s")),
        (AF_UNIX, sockaddr("127.0.0.1", port_of(granted))),
        (AF_UNIX, unix_name(tmp_path / "s")),
    ):
        calls += [("socket", family, STREAM, 0), ("connect", Back(1), name, len(name))]
    calls += [("socket", AF_INET, STREAM, 0), ("listen", Back(1), 1)]
    box = tool_sandbox([acts], net_allow=[unix_rule(tmp_path), f"tcp://*:{port_of(granted)}"])
    done = errors(act(box, acts, calls))
    assert done[1::2] == ["", "EACCES", "EAFNOSUPPORT", "EINVAL", "", "EACCES"]
    assert (was_reached(granted), was_reached(other), was_reached(local)) == (True, False, True)


@pytest.mark.parametrize("how", ["buffer", "link"])
@pytest.mark.parametrize("call", ["connect", "bind"])
def test_swapped_between_check_and_use(
    program: Program, tmp_path: Path, make_unix_server: MakeUnixServer, how: str, call: str
) -> None:
    """A second thread rewrites the address, or exchanges links on the way: see programs/race.c."""
    race = program("race")
    for digit in "01":
        (tmp_path / digit).mkdir()
        (tmp_path / f"to{digit}").symlink_to(digit)
        if call == "connect":
            server = make_unix_server(tmp_path / digit / "f", backlog=4096)
    box = tool_sandbox([race], [tmp_path], net_allow=[unix_rule(tmp_path / "0")])
    right, wrong, failed = map(int, box.run([race, how, call, "1000", tmp_path], timeout=60).stdout.split())
    assert min(right, failed) >= 10, "it did not change often enough to show anything"
    assert wrong == 0
    if call == "connect":
        assert not was_reached(server)


class Counts(Handler):
    def __init__(self) -> None:
        self.asked = 0

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.asked += 1
        return NotifAction.continue_()


def test_handlers_beside_it(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    """They are asked about what is granted, and what they continue is judged and performed."""
    granted, other = make_unix_server(tmp_path / "granted"), make_unix_server(tmp_path / "other")
    counts = Counts()
    calls: list[tuple[object, ...]] = []
    for name in (unix_name(tmp_path / "granted"), unix_name(tmp_path / "other"), unix_name(b"\0x")):
        calls += [("socket", AF_UNIX, STREAM, 0), ("connect", Back(1), name, len(name))]
    box = tool_sandbox([acts], net_allow=[unix_rule(tmp_path / "granted")])
    done = act(box, acts, calls, handlers=[("connect", counts)])
    assert (errors(done)[1::2], counts.asked) == (["", "EACCES", "EACCES"], 1)
    assert (was_reached(granted), was_reached(other)) == (True, False)


def test_what_a_handler_writes(acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    granted, other = make_unix_server(tmp_path / "granted"), make_unix_server(tmp_path / "another")

    class Rewrites(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            ctx.write(ctx.args[1], unix_name(tmp_path / "another"))
            return NotifAction.continue_()

    name = unix_name(tmp_path / "granted")
    box = tool_sandbox([acts], net_allow=[unix_rule(tmp_path / "granted")])
    calls = [("socket", AF_UNIX, STREAM, 0), ("connect", Back(1), name, len(name))]
    assert errors(act(box, acts, calls, handlers=[("connect", Rewrites())])) == ["", "EACCES"]
    assert not was_reached(granted)
    assert not was_reached(other)


def test_an_audit_shows_it(tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    server = make_unix_server(tmp_path / "s")
    script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    box = tool_sandbox(PYTHON_PATHS, net_allow=[unix_rule(tmp_path)])
    record = audit([sys.executable, "-Ic", script, tmp_path / "s"], box)
    assert record.connected(f"unix:{tmp_path}/s")
    assert was_reached(server)


def test_who_the_peer_sees(make_unix_server: MakeUnixServer) -> None:
    """SO_PEERCRED: the user and group of the command, whatever it has become; and the process of the supervisor."""
    script = """if True:
        import os, socket, sys
        if os.getuid() == 0:
            os.setgroups([7])
            os.setresgid(0, 65533, 0)
            os.setresuid(0, 65534, 0)
        socket.socket(socket.AF_UNIX).connect(sys.argv[1])
        print(os.geteuid(), os.getegid())
    """
    with tempfile.TemporaryDirectory() as name:  # pytest's are for one user
        folder = Path(name)
        folder.chmod(0o755)
        server = make_unix_server(folder / "s")
        box = tool_sandbox(PYTHON_PATHS, net_allow=[unix_rule(folder / "s")])
        told = box.run([sys.executable, "-Ic", script, folder / "s"], timeout=60)
        assert told.success, told.stderr
        with server.accept()[0] as connection:
            seen = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            groups = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 400)
    assert seen == (os.getpid(), *map(int, told.stdout.split()))
    if os.getuid() == 0:
        assert groups == struct.pack("=I", 7)


def test_descriptors_for_the_peer(tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    """What is granted is the peer, with all that can be done with one: SCM_RIGHTS works both ways."""
    server = make_unix_server(tmp_path / "s")
    server.setblocking(True)
    script = """if True:
        import os, socket, sys
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(sys.argv[1])
        reader, writer = os.pipe()
        socket.send_fds(stream, [b"x"], [writer])
        print(os.read(reader, 10))
    """
    box = tool_sandbox(PYTHON_PATHS, net_allow=[unix_rule(tmp_path / "s")])
    with box.popen([sys.executable, "-Ic", script, tmp_path / "s"], stdout=-1) as process:
        connection = server.accept()[0]
        with connection:
            _, (writer,), _, _ = socket.recv_fds(connection, 1, 1)
            os.write(writer, b"hello")
            os.close(writer)
            assert process.stdout is not None
            assert process.stdout.read() == b"b'hello'\n"
        assert process.wait(30).success


def test_a_socket_that_is_moved_into_a_granted_folder(
    acts: Path, tmp_path: Path, make_unix_server: MakeUnixServer
) -> None:
    """The place counts, at the time of the call; so does a server that has made its socket anew."""
    make_unix_server(tmp_path / "other" / "s")
    old = make_unix_server(tmp_path / "run" / "s")
    box = tool_sandbox([acts], [tmp_path], net_allow=[unix_rule(tmp_path / "run")])
    moved = unix_name(tmp_path / "run" / "moved")
    calls = [
        ("renameat2", -100, os.fspath(tmp_path / "other" / "s"), -100, os.fspath(tmp_path / "run" / "moved"), 0),
        ("socket", AF_UNIX, STREAM, 0),
        ("connect", Back(1), moved, len(moved)),
    ]
    assert errors(act(box, acts, calls)) == ["", "", ""]
    old.close()
    (tmp_path / "run" / "s").unlink()
    again = make_unix_server(tmp_path / "run" / "s")
    assert connect(acts, tmp_path / "run" / "s", net_allow=[unix_rule(tmp_path / "run")]) == [""]
    assert was_reached(again)
    shutil.rmtree(tmp_path / "other")
