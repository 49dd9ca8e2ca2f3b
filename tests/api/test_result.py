"""The result says how the command came to its end."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import pytest

from sandlock import ChildError, ExitReason, NotifAction, Result, Sandbox, SandlockError
from tests.support.handlers import Answer

ENDS = {
    "success": ("exit 0", ExitReason.EXITED, 0, -1),
    "failure": ("exit 1", ExitReason.EXITED, 1, -1),
    "highest status": ("exit 255", ExitReason.EXITED, 255, -1),
    "the shell's own 127": ("exit 127", ExitReason.EXITED, 127, -1),
    "status of a signal": ("exit 137", ExitReason.EXITED, 137, -1),
    "SIGTERM": ("kill -TERM $$", ExitReason.SIGNALED, -1, signal.SIGTERM),
    "SIGKILL of its own": ("kill -KILL $$", ExitReason.SIGNALED, -1, signal.SIGKILL),
    "SIGABRT": ("kill -ABRT $$", ExitReason.SIGNALED, -1, signal.SIGABRT),
    "SIGPIPE": ("kill -PIPE $$", ExitReason.SIGNALED, -1, signal.SIGPIPE),
    "a real-time signal": ("kill -40 $$", ExitReason.SIGNALED, -1, 40),
}


@pytest.mark.parametrize("end", ENDS)
def test_end(box: Sandbox, end: str) -> None:
    script, reason, exit_code, number = ENDS[end]
    result = box.run(["sh", "-c", script])
    assert result == Result(success=exit_code == 0, exit_code=exit_code, reason=reason, signal=number)


def test_the_death_of_a_child_is_not_the_commands(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "sh -c 'kill -KILL $$'; exit 3"])
    assert (result.reason, result.exit_code, result.signal) == (ExitReason.EXITED, 3, -1)


def test_killed_by_the_answer_of_a_handler(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "umask; echo survived"], handlers=[("umask", Answer(NotifAction.kill()))])
    assert (result.reason, result.exit_code, result.signal) == (ExitReason.KILLED, -1, signal.SIGKILL)
    assert not result.success
    assert result.stdout == b""


def test_check_passes_success(box: Sandbox) -> None:
    assert box.run(["true"], check=True).success


CHECKED = {
    "status": (["sh", "-c", "echo out; echo err >&2; exit 3"], "exited with status 3"),
    "signal": (["sh", "-c", "kill -TERM $$"], "died of SIGTERM"),
    "real-time signal": (["sh", "-c", "kill -40 $$"], "died of signal 40"),
    "not executable": (["/etc/passwd"], "was not executed: cannot execute /etc/passwd: permission denied"),
}


@pytest.mark.parametrize("end", CHECKED)
def test_check_raises(box: Sandbox, end: str) -> None:
    cmd, message = CHECKED[end]
    expected = box.run(cmd)
    with pytest.raises(ChildError) as caught:
        box.run(cmd, check=True)
    assert caught.value.cmd == cmd
    assert caught.value.result == expected
    assert message in str(caught.value)
    assert repr(cmd) in str(caught.value)
    assert isinstance(caught.value, SandlockError)


def test_check_raises_after_a_timeout(box: Sandbox) -> None:
    with pytest.raises(ChildError, match="killed when its time was over") as caught:
        box.run(["sleep", "1000"], timeout=0, check=True)
    assert caught.value.result.reason == ExitReason.TIMEOUT


def test_check_raises_after_an_answer_killed(box: Sandbox) -> None:
    with pytest.raises(ChildError, match="killed by sandlock"):
        box.run(["sh", "-c", "umask"], handlers=[("umask", Answer(NotifAction.kill()))], check=True)


def test_checked_command_of_bytes_and_paths(box: Sandbox) -> None:
    with pytest.raises(ChildError) as caught:
        box.run([b"false", Path("/tmp"), b"\xff"], check=True)
    assert caught.value.cmd == ["false", "/tmp", "\udcff"]


def test_failed_execve_of_the_sandbox_has_the_errno_of_a_handler(box: Sandbox) -> None:
    result = box.run(["true"], handlers=[("execve", Answer(NotifAction.errno(errno.EMFILE)))])
    assert result.exit_code == 127
    assert "too many open files" in str(result.error)
