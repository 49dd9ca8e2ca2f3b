"""The fixtures sandlock and sandlock_audit, in this very session."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import PolicyError, Sandbox
from sandlock.pytest_plugin import Auditor
from tests.pytest_plugin.conftest import Session

Make = Callable[..., Sandbox]


def test_the_interpreter_works(sandlock: Make) -> None:
    result = sandlock().run([sys.executable, "-c", "import email, ssl; print(6 * 7)"], check=True)
    assert result.stdout == b"42\n"


def test_only_tmp_path_can_be_written(sandlock: Make, tmp_path: Path) -> None:
    other = tmp_path.parent / "other"
    result = sandlock().run(["sh", "-c", f"echo 1 > here; echo 1 > {other}"])
    assert (tmp_path / "here").exists()
    assert not other.exists()
    assert not result.success


def test_the_policy_is_added(sandlock: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    sandlock(fs_writable=[other]).run(["sh", "-c", f"echo 1 > {other}/file; echo 1 > here"], check=True)


def test_no_network(sandlock: Make) -> None:
    code = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    assert b"PermissionError" in sandlock().run([sys.executable, "-c", code]).stderr


def test_a_wrong_policy(sandlock: Make) -> None:
    with pytest.raises(PolicyError):
        sandlock(max_open_files=-1).run(["true"])


def test_what_still_runs_is_killed_after_the_test(session: Session, tmp_path: Path) -> None:
    done = session(
        """
        def test_first(sandlock):
            box = sandlock()
            box.spawn(["sleep", "1000"])
            global pid
            pid = box.pid

        def test_second():
            import os
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            raise AssertionError("it still runs")
        """
    )
    done.assert_outcomes(passed=2)


def test_what_is_touched_is_recorded(sandlock_audit: Auditor, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("abc")
    audit = sandlock_audit.run(["cat", "input"], check=True)
    assert audit.result is not None
    assert audit.result.stdout == b"abc"
    assert audit.opened(tmp_path / "input")
    assert str(tmp_path / "input") in audit.paths
    assert audit.count("openat") >= 2
    assert any(os.path.basename(program) == "cat" for program in audit.programs)
    assert not audit.opened("/etc/shadow")


def test_an_audit_says_what_it_has_instead(sandlock_audit: Auditor, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("abc")
    audit = sandlock_audit.run(["cat", "input"])
    told = repr(audit.opened(tmp_path / "inputs"))
    assert told.startswith(f"not opened {tmp_path}/inputs (nearest of ")
    assert f"{tmp_path}/input" in told
    with pytest.raises(ValueError, match=r"'getpid' is not recorded; these are: .*openat"):
        audit.count("getpid")


def test_peers_are_recorded(sandlock_audit: Auditor) -> None:
    code = "import socket\nfor f, a in ((2, '127.0.0.1'), (10, '::1')): socket.socket(f).connect_ex((a, 9))"
    command: Any = [sys.executable, "-c", code]
    audit = sandlock_audit.run(command, net_allow=["tcp://*:*"])
    assert audit.peers == ["127.0.0.1:9", "[::1]:9"]
    assert audit.connected("[::1]:9")
    assert not audit.connected("127.0.0.1:10")


def test_without_a_network_peers_are_denied_unseen(sandlock_audit: Auditor) -> None:
    code = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    assert sandlock_audit.run([sys.executable, "-c", code]).peers == []
