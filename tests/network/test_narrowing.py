"""policy_fn and the network: what was judged is what is done, and what was granted can be narrowed."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import pytest

from sandlock import ExitReason, PolicyContext, Result, SyscallEvent
from sandlock._peers import peer_of
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.sockets import MakeServer, port_of, received, sockaddr, was_reached
from tests.support.unix_sockets import MakeUnixServer, unix_rule

CONNECT = """if True:
    import errno, os, socket, sys
    def reach(host, port):
        try:
            socket.create_connection((host, int(port)), 5).close()
            return "reached"
        except OSError as error:
            return errno.errorcode[error.errno]
"""


def python(script: str, *arguments: object, policy_fn: Any, net_allow: list[str], **fields: Any) -> Result:
    box = tool_sandbox(PYTHON_PATHS, policy_fn=policy_fn, net_allow=net_allow, **fields)
    return box.run([sys.executable, "-c", CONNECT + script, *map(str, arguments)], timeout=60)


class OnMkdir:
    """Keeps the events, and restricts something when the command makes a folder that does not exist."""

    def __init__(self, restrict: Any) -> None:
        self._restrict = restrict
        self.events: list[SyscallEvent] = []

    def __call__(self, event: SyscallEvent, ctx: PolicyContext) -> Any:
        if event.category == "network":
            self.events.append(event)
        if event.syscall in ("mkdir", "mkdirat"):
            self._restrict(ctx, event)
            return errno.EEXIST
        return None


RESTRICT = """
    def restrict():
        try: os.mkdir("/restrict")
        except FileExistsError: pass
    restrict_and_tell = lambda: (restrict(), [reach(host, sys.argv[1]) for host in sys.argv[2:]])[1]
"""

HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


@pytest.fixture
def port(make_server: MakeServer) -> int:
    """A port at which servers listen at all of the hosts."""
    port = port_of(make_server(HOSTS[0]))
    for host in HOSTS[1:]:
        make_server(host, port)
    return port


def test_events(port: int, loopback: str, make_server: MakeServer) -> None:
    server = make_server(loopback)
    function = OnMkdir(None)
    script = """
    print(reach(sys.argv[1], sys.argv[2]))
    datagrams = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((sys.argv[1], 0))
    print(datagrams.getsockname()[1])
    for send in (datagrams.sendto, lambda data, to: datagrams.sendmsg([data], [], 0, to)):
        try: send(b"x", (sys.argv[1], int(sys.argv[2])))
        except OSError as error: print(error)
    datagrams.connect((sys.argv[1], int(sys.argv[2])))
    """
    address = f"[{loopback}]" if ":" in loopback else loopback
    result = python(script, loopback, port_of(server), policy_fn=function, net_allow=[f"{address}:*"],
                    net_allow_bind=["*"])  # fmt: skip
    assert result.stdout.startswith(b"reached\n"), result.stderr
    told = [(event.syscall, event.host, event.port) for event in function.events]
    peer = port_of(server)
    assert told == [
        ("connect", loopback, peer),
        ("bind", loopback, 0),
        ("sendto", loopback, peer),
        ("sendmsg", loopback, peer),
        ("connect", loopback, peer),
    ]
    assert was_reached(server)


def test_a_closed_network_makes_no_events() -> None:
    function = OnMkdir(None)
    result = python("print(reach('127.0.0.1', 1))", policy_fn=function, net_allow=[])
    assert result.stdout == b"EACCES\n"
    assert function.events == []


def test_verdicts(port: int) -> None:
    """Also where the kernel alone would enforce the policy."""

    def decide(event: SyscallEvent, ctx: PolicyContext) -> Any:
        return {"127.0.0.2": True, "127.0.0.3": errno.EHOSTUNREACH}.get(str(event.host))

    script = "print([reach(host, sys.argv[1]) for host in sys.argv[2:]])"
    result = python(script, port, *HOSTS, policy_fn=decide, net_allow=[f"tcp://*:{port}"])
    assert result.stdout == b"['reached', 'EPERM', 'EHOSTUNREACH']\n"


@pytest.mark.parametrize("how", ["connect", "sendto", "sendmsg", "sendmmsg"])
def test_a_second_thread_turns_the_address(
    program: Program, make_server: MakeServer, make_receiver: MakeServer, how: str
) -> None:
    """See programs/turncoat.c. The policy grants both addresses, the function one; and it sees the other often."""
    turncoat = program("turncoat")
    make = make_server if how == "connect" else make_receiver
    granted = make("127.0.0.1", 0, 4096)
    other = make("127.0.0.2", port_of(granted))
    denied = 0

    def decide(event: SyscallEvent, ctx: PolicyContext) -> bool:
        nonlocal denied
        refused = event.host == "127.0.0.2"
        denied += refused
        return refused

    box = tool_sandbox([turncoat], policy_fn=decide, net_allow=[f"127.0.0.0/8:{port_of(granted)}"])
    result = box.run([turncoat, how, "600", str(port_of(granted))], timeout=60)
    assert (result.success, result.handler_errors) == (True, [])
    succeeded, failed = map(int, result.stdout.split())
    assert min(succeeded, failed, denied) > 0, "the address did not change often enough to show anything"
    assert not (was_reached(other) if how == "connect" else received(other))


@pytest.mark.parametrize(
    ("ips", "expected"),
    [
        (["127.0.0.1"], [b"reached", b"EACCES", b"EACCES"]),
        (["127.0.0.2/31", "192.0.2.1"], [b"EACCES", b"reached", b"reached"]),
        (["::ffff:127.0.0.3"], [b"EACCES", b"EACCES", b"reached"]),
        ([], [b"EACCES"] * 3),
        (["0.0.0.0/0", "::/0"], [b"reached"] * 3),
    ],
)
def test_restrict_network(port: int, ips: list[str], expected: list[bytes]) -> None:
    function = OnMkdir(lambda ctx, event: ctx.restrict_network(ips))
    script = RESTRICT + "    print(reach(*sys.argv[2:0:-1])); print(*restrict_and_tell())"
    result = python(script, port, *HOSTS, policy_fn=function, net_allow=[f"127.0.0.0/8:{port}"])
    assert result.stdout.split() == [b"reached", *expected], result.stderr


def test_unix_sockets(tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    """They have no host, and are none of the addresses that a restriction leaves or adds."""
    path = tmp_path / "run" / "s"
    make_unix_server(path)

    def restrict(ctx: PolicyContext, event: SyscallEvent) -> None:
        ctx.restrict_network(["127.0.0.1", "0.0.0.0/0", "::/0"])
        ctx.grant_network(["127.0.0.2"])

    function = OnMkdir(restrict)
    script = (
        RESTRICT
        + """
    def try_it(call, path):
        try: call(path)
        except OSError as error: return errno.errorcode[error.errno]
        return "reached"
    def unix(kind=socket.SOCK_STREAM): return socket.socket(socket.AF_UNIX, kind)
    print(try_it(unix().connect, sys.argv[1]))
    restrict()
    print(try_it(unix().connect, sys.argv[1]), try_it(lambda to: unix(socket.SOCK_DGRAM).sendto(b"x", to), sys.argv[1]))
    """
    )
    result = python(script, path, policy_fn=function, net_allow=[unix_rule(path.parent)])
    assert result.stdout.split() == [b"reached", b"EACCES", b"EACCES"], result.stderr
    assert [(event.syscall, event.host, event.port) for event in function.events] == [("connect", None, 0)]


def test_the_function_refuses_a_unix_socket(tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    server = make_unix_server(tmp_path / "s")
    script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    box = tool_sandbox(
        PYTHON_PATHS, policy_fn=lambda event, ctx: event.category == "network", net_allow=[unix_rule(tmp_path)]
    )
    result = box.run([sys.executable, "-Ic", script, tmp_path / "s"], timeout=60)
    assert b"PermissionError: [Errno 1]" in result.stderr
    assert not was_reached(server)


def test_grant_network_never_goes_beyond_the_policy(port: int) -> None:
    def restrict(ctx: PolicyContext, event: SyscallEvent) -> None:
        ctx.restrict_network([])
        ctx.grant_network(["127.0.0.1", "127.0.0.3"])

    script = RESTRICT + "    print(*restrict_and_tell())"
    allowed = [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]
    result = python(script, port, *HOSTS, policy_fn=OnMkdir(restrict), net_allow=allowed)
    assert result.stdout.split() == [b"reached", b"EACCES", b"EACCES"]


def test_what_is_refused_makes_no_events(port: int) -> None:
    function = OnMkdir(lambda ctx, event: ctx.restrict_network(["127.0.0.1"]))
    script = RESTRICT + "    print(*restrict_and_tell())"
    python(script, port, *HOSTS, policy_fn=function, net_allow=[f"127.0.0.0/8:{port}"])
    assert [event.host for event in function.events] == ["127.0.0.1"]


def test_restrict_pid_network(port: int) -> None:
    """A child is restricted, with its own children and orphans; its parent is not."""
    script = (
        RESTRICT
        + """
    def child():
        restrict()
        print("child", reach(sys.argv[2], sys.argv[1]), flush=True)
        if os.fork() == 0:
            print("grandchild", reach(sys.argv[2], sys.argv[1]), flush=True)
            reader, writer = os.pipe()
            middle = os.fork()
            if middle == 0:
                middle = os.getpid()
                if os.fork() == 0:
                    os.close(reader)
                    while os.getppid() == middle: pass
                    print("orphan", reach(sys.argv[2], sys.argv[1]), flush=True)
                os._exit(0)
            os.close(writer)
            os.waitpid(middle, 0)
            os.read(reader, 1)
            os._exit(0)
        os.wait()
        os._exit(0)
    if os.fork() == 0: child()
    os.wait()
    print("parent", reach(sys.argv[2], sys.argv[1]))
    """
    )
    function = OnMkdir(lambda ctx, event: ctx.restrict_pid_network(event.pid, ["192.0.2.1"]))
    result = python(script, port, HOSTS[0], policy_fn=function, net_allow=[f"127.0.0.0/8:{port}"])
    assert sorted(result.stdout.splitlines()) == [
        b"child EACCES",
        b"grandchild EACCES",
        b"orphan EACCES",
        b"parent reached",
    ], result.stderr


def test_restrict_pid_network_and_an_ancestor_that_adopts(port: int) -> None:
    """With a subreaper above it, an orphan of the restricted process would be a child of one that is not restricted."""
    script = (
        RESTRICT
        + """
    import ctypes
    PR_SET_CHILD_SUBREAPER = 36
    libc = ctypes.CDLL(None, use_errno=True)
    print(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), ctypes.get_errno() == errno.EPERM, flush=True)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        restrict()
        middle = os.getpid()
        if os.fork() == 0:
            while os.getppid() == middle: pass
            os.write(writer, reach(sys.argv[2], sys.argv[1]).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    print(os.read(reader, 10))
    """
    )
    function = OnMkdir(lambda ctx, event: ctx.restrict_pid_network(event.pid, ["192.0.2.1"]))
    result = python(script, port, HOSTS[0], policy_fn=function, net_allow=[f"127.0.0.0/8:{port}"])
    assert result.stdout.splitlines() == [b"-1 True", b"b'EACCES'"], result.stderr


def test_restrict_max_processes() -> None:
    function = OnMkdir(lambda ctx, event: ctx.restrict_max_processes(3))
    script = (
        RESTRICT
        + """
    restrict()
    made = 0
    try:
        while True:
            if os.fork() == 0:
                import time
                time.sleep(1000)
            made += 1
    except BlockingIOError:
        print(made)
    """
    )
    result = python(script, policy_fn=function, net_allow=[])
    assert result.stdout == b"2\n"


def test_restrict_max_memory() -> None:
    function = OnMkdir(lambda ctx, event: ctx.restrict_max_memory(200 << 20))
    script = (
        RESTRICT
        + """
    before = bytearray(64 << 20)
    restrict()
    print("restricted", flush=True)
    more = [bytearray(b"x" * (16 << 20)) for _ in range(100)]
    print("too much")
    """
    )
    result = python(script, policy_fn=function, net_allow=[])
    assert (result.stdout, result.reason) == (b"restricted\n", ExitReason.KILLED)


def test_higher_limits_change_nothing() -> None:
    def restrict(ctx: PolicyContext, event: SyscallEvent) -> None:
        ctx.restrict_max_processes(1000)
        ctx.restrict_max_memory(1 << 60)

    script = (
        RESTRICT
        + """
    restrict()
    try: print(os.fork())
    except BlockingIOError: print("refused")
    """
    )
    result = python(script, policy_fn=OnMkdir(restrict), net_allow=[], max_processes=1, max_memory="1G")
    assert result.stdout == b"refused\n"


@pytest.mark.parametrize(
    ("raw", "peer"),
    [
        (b"", (None, 0)),
        (b"\2", (None, 0)),
        (sockaddr("192.0.2.1", 80)[:7], (None, 0)),
        (sockaddr("192.0.2.1", 80), ("192.0.2.1", 80)),
        (sockaddr("192.0.2.1", 80) + bytes(100), ("192.0.2.1", 80)),
        (sockaddr("2001:db8::1", 80)[:23], (None, 0)),
        (sockaddr("2001:db8::1", 80), ("2001:db8::1", 80)),
        (sockaddr("::ffff:192.0.2.1", 80), ("192.0.2.1", 80)),
        (b"\1\0/run/socket", (None, 0)),
        (b"\xff" * 128, (None, 0)),
    ],
)
def test_addresses_in_memory(raw: bytes, peer: tuple[str | None, int]) -> None:
    assert peer_of(raw) == peer


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda ctx: ctx.restrict_network("127.0.0.1"), TypeError, "list"),
        (lambda ctx: ctx.restrict_network(["localhost"]), ValueError, "localhost"),
        (lambda ctx: ctx.grant_network([3]), TypeError, "3"),
        (lambda ctx: ctx.restrict_pid_network("x", []), TypeError, "pid.*'x'"),
        (lambda ctx: ctx.restrict_pid_network(0, []), ValueError, "pid.*0"),
        (lambda ctx: ctx.restrict_max_memory(-1), ValueError, "bytes.*-1"),
        (lambda ctx: ctx.restrict_max_processes(1.5), TypeError, "n .*1.5"),
    ],
)
def test_wrong_arguments(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(PolicyContext())


def test_a_context_that_outlives_its_command() -> None:
    contexts: list[PolicyContext] = []
    tool_sandbox(policy_fn=lambda event, ctx: contexts.append(ctx)).run(["true"], check=True)
    contexts[0].restrict_network([])
    contexts[0].restrict_max_processes(1)
    contexts[0].deny_path("/")
