"""Protections that a kernel lacks are an error unless allowed; those that are disabled are not enforced."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandlock
from sandlock import PolicyError, Protection, Sandbox
from tests.support.kernels import run_on_abi
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

REFUSED = """
    import sandlock
    from tests.support.sandboxes import tool_sandbox
    try:
        tool_sandbox().run(["true"])
    except sandlock.ConfinementError as error:
        print(type(error).__name__, error)
"""

LACKS = {
    1: ("FS_REFER", "FS_TRUNCATE", "NET_TCP", "FS_IOCTL_DEV", "SIGNAL_SCOPE", "ABSTRACT_UNIX_SOCKET_SCOPE"),
    2: ("FS_TRUNCATE", "NET_TCP", "FS_IOCTL_DEV", "SIGNAL_SCOPE", "ABSTRACT_UNIX_SOCKET_SCOPE"),
    3: ("NET_TCP", "FS_IOCTL_DEV", "SIGNAL_SCOPE", "ABSTRACT_UNIX_SOCKET_SCOPE"),
    4: ("FS_IOCTL_DEV", "SIGNAL_SCOPE", "ABSTRACT_UNIX_SOCKET_SCOPE"),
    5: ("SIGNAL_SCOPE", "ABSTRACT_UNIX_SOCKET_SCOPE"),
}


@pytest.mark.parametrize("abi", LACKS)
def test_a_missing_protection_is_an_error(abi: int) -> None:
    done = run_on_abi(abi, REFUSED)
    assert done.stdout.startswith(f"ConfinementError this kernel has Landlock ABI {abi}, which is too old: "), done
    opt_out = ", ".join(f"Protection.{name}" for name in LACKS[abi])
    assert done.stdout.endswith(f"or accept it with allow_degraded=[{opt_out}]\n")


def test_no_landlock_is_an_error() -> None:
    done = run_on_abi(0, REFUSED)
    assert done.stdout.startswith("LandlockUnavailableError this kernel has no Landlock: run Linux 5.13 or newer"), done


ALLOWED = """
    import logging, sandlock, sys
    from tests.support.sandboxes import tool_sandbox
    logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
    missing = list(sandlock.check().missing)
    box = tool_sandbox(allow_degraded=list(sandlock.Protection))
    result = box.run(["echo", "works"])
    print(result.stdout, result.degraded == missing)
    box.allow_degraded = missing[1:]
    try:
        box.run(["true"])
    except sandlock.ConfinementError as error:
        print(missing[0].name in str(error), missing[1].name in str(error))
    box.disable = missing[:1]
    print(box.run(["true"]).degraded == missing[1:])
"""


def test_what_is_allowed_to_be_missing_is_told_and_logged() -> None:
    done = run_on_abi(3, ALLOWED)
    lacks = "this kernel lacks protections, and allow_degraded does without them"
    assert done.stdout.splitlines() == [
        f"sandlock WARNING {lacks}: NET_TCP, FS_IOCTL_DEV, SIGNAL_SCOPE, ABSTRACT_UNIX_SOCKET_SCOPE",
        "b'works\\n' True",
        "True False",
        f"sandlock WARNING {lacks}: FS_IOCTL_DEV, SIGNAL_SCOPE, ABSTRACT_UNIX_SOCKET_SCOPE",
        "True",
    ], done.stderr


def test_what_is_there_is_enforced_although_it_may_be_missing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    box = tool_sandbox(allow_degraded=list(Protection))
    result = box.run(["truncate", "--no-create", "--size=0", file])
    assert (result.exit_code, result.degraded) == (1, [])
    assert file.read_text() == "content"


CHECK = """
    import sandlock
    kernel = sandlock.check()
    print(kernel.landlock_abi, [protection.name for protection in kernel.missing])
    print(kernel)
"""


def test_check_on_an_older_kernel() -> None:
    done = run_on_abi(4, CHECK)
    facts, title, empty, head, *rows = done.stdout.splitlines()
    assert facts == "4 ['FS_IOCTL_DEV', 'SIGNAL_SCOPE', 'ABSTRACT_UNIX_SOCKET_SCOPE']"
    assert title == f"Linux {os.uname().release}, Landlock ABI 4"
    assert (empty, head.split()) == ("", ["since", "without", "it"])
    assert [row.split()[:2] for row in rows[:6]] == [
        ["FS_REFER", "yes"],
        ["FS_TRUNCATE", "yes"],
        ["NET_TCP", "yes"],
        ["FS_IOCTL_DEV", "NO"],
        ["SIGNAL_SCOPE", "NO"],
        ["ABSTRACT_UNIX_SOCKET_SCOPE", "NO"],
    ]
    # The host of this test is in a sandbox of ours, which has a listener and refuses namespaces.
    assert "user_notification           NO " in done.stdout
    assert "user_namespaces             NO " in done.stdout


def test_check_without_landlock() -> None:
    done = run_on_abi(0, CHECK)
    assert done.stdout.startswith("0 ['FS_REFER', "), done
    assert "this kernel has no Landlock: run Linux 5.13 or newer" in done.stdout


def test_check_here() -> None:
    kernel = sandlock.check()
    assert kernel is sandlock.check()
    assert kernel.landlock_abi == sandlock.landlock_abi_version()
    assert kernel.missing == ()
    assert [feature.name for feature in kernel.protections] == [protection.name for protection in Protection]
    assert kernel["user_notification"].available  # the tests of handlers run here
    assert kernel["child_memory"].available
    assert str(kernel) == repr(kernel)
    with pytest.raises(AttributeError):
        kernel.landlock_abi = 1  # type: ignore[misc]
    with pytest.raises(KeyError, match=r"nothing.* is nothing that is looked for; these are: FS_REFER, "):
        kernel["nothing"]


def python(box: Sandbox, code: str, *arguments: object) -> str:
    """Run code in the sandbox, and return the errno that it fails with, or "done"."""
    script = f"import sys, os, fcntl, socket\ntry:\n    {code}\n    print('done')\nexcept OSError as e: print(e.errno)"
    result = box.run([sys.executable, "-Sc", script, *map(str, arguments)], timeout=60)
    return result.stdout.decode().strip() or result.stderr.decode()


def both(protection: Protection, code: str, *arguments: object, **fields: object) -> tuple[str, str]:
    """Run code with a protection, and with the protection disabled."""
    box = tool_sandbox(PYTHON_PATHS)
    for name, value in fields.items():
        setattr(box, name, [*getattr(box, name), value])
    enforced = python(box, code, *arguments)
    box.disable = [protection]
    return enforced, python(box, code, *arguments)


EACCES, EPERM = "13", "1"


def test_disable_truncate(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    assert both(Protection.FS_TRUNCATE, "os.truncate(sys.argv[1], 3)", file) == (EACCES, "done")
    assert file.read_text() == "con"


def test_disable_ioctl() -> None:
    code = "fcntl.ioctl(open('/dev/urandom'), 0x80045200, bytes(4))"  # RNDGETENTCNT, see random(4)
    assert both(Protection.FS_IOCTL_DEV, code, fs_readable="/dev/urandom") == (EACCES, "done")


@pytest.fixture
def outsider() -> Iterator[int]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


def test_disable_signal_scope(outsider: int) -> None:
    assert both(Protection.SIGNAL_SCOPE, "os.kill(int(sys.argv[1]), 0)", outsider) == (EPERM, "done")


def test_disable_network_does_not_open_it() -> None:
    """The filter refuses what Landlock would have: each protects alone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = "socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
        assert both(Protection.NET_TCP, code, server.getsockname()[1]) == (EACCES, EACCES)


def test_disable_network_leaves_its_rules_to_the_supervisor() -> None:
    connect = "socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
    with socket.create_server(("127.0.0.1", 0)) as granted, socket.create_server(("127.0.0.1", 0)) as other:
        port = granted.getsockname()[1]
        for rule in (f"tcp://*:{port}", f"tcp://127.0.0.1:{port}"):
            assert both(Protection.NET_TCP, connect, port, net_allow=rule) == ("done", "done")
            assert both(Protection.NET_TCP, connect, other.getsockname()[1], net_allow=rule) == (EACCES, EACCES)


def test_disable_abstract_sockets_does_not_open_them() -> None:
    name = f"\0sandlock-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        code = "socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])"
        assert both(Protection.ABSTRACT_UNIX_SOCKET_SCOPE, code, name[1:]) == (EACCES, EACCES)


def test_refer_cannot_be_disabled() -> None:
    with pytest.raises(PolicyError, match=r'disable: "FS_REFER" cannot be disabled: .*put it in allow_degraded'):
        tool_sandbox(disable=[Protection.FS_REFER]).run(["true"])
