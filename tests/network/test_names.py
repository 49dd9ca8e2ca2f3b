"""Host names: resolved once, pinned, and shown to the command in an /etc/hosts of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandlock import Handler, HandlerCtx, NotifAction
from tests.support.acts import Back, Buffer, act
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import MakeServer, port_of, was_reached

RESOLVE = """
import json, socket, sys
told = {}
for name in sys.argv[2:]:
    try:
        told[name] = sorted({entry[4][0] for entry in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})
    except OSError as error:
        told[name] = type(error).__name__
if port := int(sys.argv[1]):
    socket.create_connection((sys.argv[2], port)).close()
print(json.dumps(told))
"""


def test_a_name_is_resolved_and_reached(make_server: MakeServer) -> None:
    """The command has neither DNS nor a readable /etc/hosts."""
    server = make_server("127.0.0.1")
    box = tool_sandbox(PYTHON_PATHS, fs_denied=["/etc/hosts"], net_allow=[f"localhost:{port_of(server)}"])
    command = [sys.executable, "-Ic", RESOLVE, str(port_of(server)), "localhost", "other.invalid"]
    result = box.run(command, timeout=30)
    assert result.success, result.stderr.decode()
    told = json.loads(result.stdout)
    assert "127.0.0.1" in told["localhost"]
    assert told["other.invalid"] == "gaierror"
    assert was_reached(server)


@pytest.mark.parametrize("call", ["open", "openat", "openat2"])
def test_every_way_to_open_it(acts: Path, call: str) -> None:
    box = tool_sandbox([acts], net_allow=["tcp://localhost:80"])

    def opening(path: str, flags: int = 0) -> tuple[object, ...]:
        if call == "open":
            return (call, path, flags, 0)
        if call == "openat":
            return (call, -100, path, flags, 0)
        return (call, -100, path, flags.to_bytes(8, sys.byteorder) + bytes(16), 24)

    calls = []
    for path in ("/etc/hosts", "/etc//./hosts"):
        calls += [opening(path), ("read", Back(1), Buffer(100), 100), ("write", Back(2), b"x", 1), ("close", Back(3))]
    try:
        done = act(box, acts, calls)
    except ValueError:
        pytest.skip("this machine has no open(2)")
    assert [a.error for a in done] == ["", "", "EBADF", ""] * 2
    for a in done[1::4]:
        assert b"localhost" in a.data[: a.result]


def test_other_files_are_the_kernels(acts: Path, tmp_path: Path) -> None:
    """So is the file when it is to be written."""
    (tmp_path / "hosts").write_text("mine")
    calls = [
        ("openat", -100, str(tmp_path / "hosts"), 0, 0),
        ("read", Back(1), Buffer(10), 10),
        ("openat", -100, "/etc/hosts", 1, 0),
        ("openat", -100, "/etc/hosts/none", 0, 0),
        ("openat", -100, 8, 0, 0),
        ("openat", -100, "/" + "x" * 5000, 0, 0),
    ]
    done = act(tool_sandbox([acts], [tmp_path], net_allow=["tcp://localhost:80"]), acts, calls)
    assert done[1].data[:4] == b"mine"
    assert [a.error for a in done[2:]] == ["EACCES", "ENOTDIR", "EFAULT", "ENAMETOOLONG"]


def test_handlers_are_not_asked(acts: Path) -> None:
    asked = []

    class Listen(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            asked.append(ctx.read_path())
            return NotifAction.continue_()

    calls = [("openat", -100, "/etc/hosts", 0, 0), ("openat", -100, "/etc/passwd", 0, 0)]
    box = tool_sandbox([acts], net_allow=["tcp://localhost:80"])
    done = act(box, acts, calls, handlers=[("openat", Listen())])
    assert [a.error for a in done] == ["", ""]
    assert "/etc/passwd" in asked
    assert "/etc/hosts" not in asked


HOST = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import socket
from sandlock import Sandbox
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
servers = [socket.create_server(("127.0.0.5", 0))]
port = servers[0].getsockname()[1]
for host in ("127.0.0.6", "127.0.0.7"):
    servers.append(socket.create_server((host, port)))
box = tool_sandbox(PYTHON_PATHS, net_allow=[f"tcp://pinned.example:{port}"])
script = '''
import json, socket, subprocess, sys
port = int(sys.argv[1])
told = {}
for host in ("pinned.example", "PINNED.example", "127.0.0.5", "127.0.0.6", "127.0.0.7"):
    try:
        with socket.create_connection((host, port)) as stream:
            told[host] = stream.getpeername()[0]
    except OSError as error:
        told[host] = error.strerror
told["all"] = sorted({entry[4][0] for entry in socket.getaddrinfo("pinned.example", port)})
print(json.dumps(told))
'''
result = box.run([sys.executable, "-Ic", script, str(port)], timeout=30)
print(result.stdout.decode() or result)
"""


def with_file(file: Path, place: str, script: str) -> str:
    """Run a script in a mount namespace in which a file is at another place, and return its output."""
    unshare = [str(shutil.which("unshare")), "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount --bind {file} {place}"
    if subprocess.run([*unshare, mount], capture_output=True, timeout=30).returncode != 0:
        pytest.skip("no mount namespace can be made here: see unshare(1)")
    run = [*unshare, f'{mount} && exec "$@"', "sh", sys.executable, "-c", script, json.dumps(sys.path)]
    done = subprocess.run(run, capture_output=True, timeout=60, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_name_without_an_address(tmp_path: Path) -> None:
    """No DNS server answers the host."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.9\n")
    script = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from sandlock import PolicyError
from tests.support.sandboxes import tool_sandbox
try:
    tool_sandbox(net_allow=["nobody.invalid:80"]).run(["true"])
except PolicyError as error:
    print(error)
"""
    told = with_file(resolv, "/etc/resolv.conf", script)
    assert told.startswith('net_allow: "nobody.invalid" cannot be resolved: ')
    assert "write an address" in told


def test_a_name_of_two_addresses(tmp_path: Path) -> None:
    """The host has its own /etc/hosts in a mount namespace, and pins what that says."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.5 pinned.example\n127.0.0.6 pinned.example\n127.0.0.7 other.example\n")
    denied = "Permission denied"
    told = json.loads(with_file(hosts, "/etc/hosts", HOST))
    assert told.pop("all") == ["127.0.0.5", "127.0.0.6"]
    assert told.pop("pinned.example") in ("127.0.0.5", "127.0.0.6")
    assert told.pop("PINNED.example") in ("127.0.0.5", "127.0.0.6")
    assert told == {"127.0.0.5": "127.0.0.5", "127.0.0.6": "127.0.0.6", "127.0.0.7": denied}


def test_denied_wins_over_a_name(make_server: MakeServer) -> None:
    server = make_server("127.0.0.1")
    box = tool_sandbox(PYTHON_PATHS, net_allow=["localhost:*"], net_deny=["127.0.0.1", "[::1]"])
    script = f"import socket; socket.create_connection(('localhost', {port_of(server)}))"
    assert b"PermissionError" in box.run([sys.executable, "-Ic", script], timeout=30).stderr
    with pytest.raises(BlockingIOError):
        server.accept()


def test_without_names_nothing_is_shown(acts: Path) -> None:
    calls = [("openat", -100, "/etc/hosts", 0, 0)]
    box = tool_sandbox([acts], fs_denied=["/etc/hosts"], net_allow=["tcp://127.0.0.1:80"])
    assert act(box, acts, calls)[0].error == "EACCES"
