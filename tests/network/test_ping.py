"""ICMP: ping sockets, judged by address; in a network namespace, where everybody may make them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

HOST = """
import fcntl, json, socket, struct, sys
sys.path[:0] = json.loads(sys.argv[1])
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
with socket.socket() as control:
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
with open("/proc/sys/net/ipv4/ping_group_range", "w") as group_range:
    group_range.write("0 0")
script = '''
import errno, json, socket, struct, sys
told = {}
def attempt(name, call, *arguments):
    try:
        told[name] = call(*arguments)
    except OSError as error:
        told[name] = errno.errorcode[error.errno]
def ping(family, host, how):
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as pings:
        pings.settimeout(5)
        request = struct.pack("!BBHHH", 8 if family == socket.AF_INET else 128, 0, 0, 0, 1) + b"hello"
        if how == "sendto":
            pings.sendto(request, (host, 0))
        elif how == "sendmsg":
            pings.sendmsg([request], [], 0, (host, 0))
        else:
            pings.connect((host, 0))
            pings.send(request)
        return pings.recv(100)[8:].decode()
for how in ("sendto", "sendmsg", "connect"):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
        attempt(f"{how} {host}", ping, family, host, how)
attempt("raw", socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
attempt("udp", socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
print(json.dumps(told))
'''
told = []
for rules in (["icmp://127.0.0.1"], ["icmp://*"], ["icmp://[::1]"], ["icmp://127.0.0.1", "icmp://[::1]"]):
    result = tool_sandbox(PYTHON_PATHS, net_allow=rules).run([sys.executable, "-Ic", script], timeout=30)
    assert result.success, result.stderr
    told.append(json.loads(result.stdout))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> Any:
    unshare = [str(shutil.which("unshare")), "--user", "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True, timeout=30).returncode != 0:
        pytest.skip("no network namespace can be made here: see unshare(1)")
    run = [*unshare, sys.executable, "-c", HOST, json.dumps(sys.path)]
    done = subprocess.run(run, capture_output=True, timeout=60, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


HOW = ["sendto", "sendmsg", "connect"]


@pytest.mark.parametrize("how", HOW)
def test_the_address_is_judged(told: Any, how: str) -> None:
    one = told[0]
    answers = (one[f"{how} 127.0.0.1"], one[f"{how} 127.0.0.2"], one[f"{how} ::1"])
    assert answers == ("hello", "EACCES", "EACCES")


@pytest.mark.parametrize("how", HOW)
def test_every_address(told: Any, how: str) -> None:
    """The kernel's alone."""
    every = told[1]
    assert (every[f"{how} 127.0.0.1"], every[f"{how} 127.0.0.2"]) == ("hello", "hello")


@pytest.mark.parametrize("how", HOW)
def test_ipv6(told: Any, how: str) -> None:
    answer = told[2][f"{how} ::1"]
    if told[1][f"{how} ::1"] != "hello":
        pytest.skip(f"without rules about addresses it is {told[1]} as well: the kernel has no IPv6")
    assert (answer, told[2][f"{how} 127.0.0.1"]) == ("hello", "EACCES")
    assert told[3][f"{how} ::1"] == told[3][f"{how} 127.0.0.1"] == "hello"


def test_nothing_but_pings(told: Any) -> None:
    for one in told:
        assert (one["raw"], one["udp"]) == ("EACCES", "EACCES")
