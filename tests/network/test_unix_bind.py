"""Unix sockets that a command makes: where it may, with the name that it gives them."""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.acts import Act, Back, Buffer, act
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import STREAM
from tests.support.unix_sockets import AF_UNIX, unix_name, unix_rule


def bind(acts: Path, *names: bytes, writable: Path, **fields: Any) -> list[str]:
    """Bind a socket to each name, and return the errors."""
    calls: list[tuple[object, ...]] = []
    for name in names:
        calls += [("socket", AF_UNIX, STREAM, 0), ("bind", Back(1), name, len(name))]
    return errors(act(tool_sandbox([acts], [writable], **fields), acts, calls)[1::2])


def errors(done: list[Act]) -> list[str]:
    return [a.error for a in done]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("work/run/private", "work/run/deep", "work/other", "run"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_where(acts: Path, tree: Path) -> None:
    """Where both net_allow and fs_writable have the folder."""
    granted = [unix_rule(tree / "work" / "run"), unix_rule(tree / "run")]
    names = [unix_name(tree / name) for name in ("work/run/s", "work/run/deep/s", "work/other/s", "work/s", "run/s")]
    done = bind(acts, *names, writable=tree / "work", net_allow=granted)
    assert done == ["", "", "EACCES", "EACCES", "EACCES"]
    found = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_socket())
    assert found == ["work/run/deep/s", "work/run/s"]


@pytest.mark.parametrize("field", ["fs_denied", "net_deny"])
def test_denied(acts: Path, tree: Path, field: str) -> None:
    """Not there, and not beside it."""
    run = tree / "work" / "run"
    fields: dict[str, Any] = {"net_allow": [unix_rule(run)], "fs_denied": [run / "private"]}
    if field == "net_deny":
        fields["net_deny"] = [unix_rule(run / "private")]
    names = [unix_name(run / name) for name in ("private/s", "s", "deep/s")]
    assert bind(acts, *names, writable=tree / "work", **fields) == ["EACCES", "EACCES", ""]


def test_the_rule_of_a_socket_is_for_connecting(acts: Path, tree: Path) -> None:
    path = tree / "work" / "run" / "s"
    with socket.socket(AF_UNIX) as server:
        server.bind(os.fspath(path))
        box = tool_sandbox([acts], [tree / "work"], net_allow=[unix_rule(path)])
        name = unix_name(path)
        calls = [
            ("unlinkat", -100, os.fspath(path), 0),
            ("socket", AF_UNIX, STREAM, 0),
            ("bind", Back(1), name, len(name)),
        ]
        assert errors(act(box, acts, calls)) == ["", "", "EACCES"]


def test_names(acts: Path, tree: Path) -> None:
    """The kernel's errors; and a name is kept as it was given, byte by byte."""
    run = tree / "work" / "run"
    (run / "file").touch()
    (run / "link").symlink_to("elsewhere")
    (run / "out").symlink_to("../other")
    box = tool_sandbox([acts], [tree / "work"], net_allow=[unix_rule(run)], cwd=run)
    for name, error in {
        unix_name("s"): "",
        unix_name("./deep/../t")[:-1]: "",
        unix_name("s") + b"behind": "EADDRINUSE",
        unix_name("file"): "EADDRINUSE",
        unix_name("link"): "EADDRINUSE",
        unix_name("file/s"): "ENOTDIR",
        unix_name("none/s"): "ENOENT",
        unix_name("slash/"): "ENOENT",
        unix_name("."): "EADDRINUSE",
        unix_name("out/s"): "EACCES",
        unix_name("/proc/self/cwd/u"): "ELOOP",
        unix_name("/proc/self/root" + os.fspath(run / "u")): "ELOOP",
        unix_name(b"\0abstract"): "EACCES",
        unix_name(b""): "EACCES",
        unix_name("x" * 120): "EINVAL",
        b"\2\0" + unix_name("s")[2:]: "EINVAL",
        b"\1": "EINVAL",
    }.items():
        size = struct.pack("=I", 128)
        calls = [
            ("socket", AF_UNIX, STREAM, 0),
            ("bind", Back(1), name, len(name)),
            ("bind", Back(2), unix_name("again"), len(unix_name("again"))),
            ("getsockname", Back(3), Buffer(128), size),
        ]
        done = act(box, acts, calls)
        kept = name.split(b"\0")[1] if error == "" else b""
        assert (done[1].error, done[3].data[2:].rstrip(b"\0")) == (error, kept or b"again"), name
        assert done[2].error == ("EINVAL" if error == "" else ""), name
        (run / "again").unlink(missing_ok=True)


def test_a_name_that_the_kernel_picks(acts: Path, tree: Path) -> None:
    calls = [("socket", AF_UNIX, STREAM, 0), ("bind", Back(1), b"\1\0", 2)]
    box = tool_sandbox([acts], [tree / "work"], net_allow=[unix_rule(tree)])
    assert errors(act(box, acts, calls)) == ["", ""]


def test_the_file(acts: Path, tree: Path) -> None:
    """It is made with the umask of the command."""
    run = tree / "work" / "run"
    names = [unix_name(run / name) for name in ("s", "t")]
    calls: list[tuple[object, ...]] = []
    for mask, name in zip((0o077, 0o001), names):
        calls += [("umask", mask), ("socket", AF_UNIX, STREAM, 0), ("bind", Back(1), name, len(name))]
    assert errors(act(tool_sandbox([acts], [tree / "work"], net_allow=[unix_rule(run)]), acts, calls)) == [""] * 6
    made = [(run / name).stat() for name in ("s", "t")]
    assert [(status.st_mode & 0o777, status.st_uid) for status in made] == [(0o700, os.getuid()), (0o776, os.getuid())]


@pytest.mark.parametrize("rules", [[], ["tcp://127.0.0.1:9"]], ids=["alone", "beside TCP"])
def test_a_server(tree: Path, rules: list[str]) -> None:
    """The command's own clients reach it, and those outside: it is a file like any other."""
    path = tree / "work" / "run" / "s"
    script = """if True:
        import os, socket, sys
        server = socket.socket(socket.AF_UNIX)
        server.bind(sys.argv[1])
        server.listen()
        if os.fork() == 0:
            client = socket.socket(socket.AF_UNIX)
            client.connect(server.getsockname())
            client.sendall(b"inside")
            os._exit(0)
        print(server.accept()[0].recv(10), flush=True)
        os.wait()
        connection = server.accept()[0]
        print(connection.recv(10), connection.getpeername() == "")
    """
    box = tool_sandbox(PYTHON_PATHS, [tree / "work"], net_allow=[unix_rule(path.parent), *rules])
    with box.popen([sys.executable, "-Ic", script, path], stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"b'inside'\n"
        with socket.socket(AF_UNIX) as client:
            client.connect(os.fspath(path))
            assert client.getpeername() == os.fspath(path)
            pid, uid, gid = struct.unpack("=iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            client.sendall(b"outside")
            assert process.stdout.read() == b"b'outside' True\n"
        assert (pid, uid, gid) == (os.getpid() if rules else process.pid, os.getuid(), os.getgid())
        assert process.wait(30).success
