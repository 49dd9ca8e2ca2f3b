"""create, start, spawn and wait: a command of the sandbox's own, beside the host."""

from __future__ import annotations

import gc
import os
import subprocess
from pathlib import Path

import pytest

from sandlock import ExitReason, Sandbox
from tests.support.handlers import Answer
from tests.support.processes import MakeFifo, Watched
from tests.support.sandboxes import tool_sandbox


def test_spawn_and_wait(box: Sandbox) -> None:
    box.spawn(["sh", "-c", "cat; echo problem >&2; exit 4"], stdin=b"hello")
    result = box.wait()
    assert (result.exit_code, result.stdout, result.stderr) == (4, b"hello", b"problem\n")
    assert box.wait() is result
    assert (box.is_running, box.pid) == (False, None)


def test_output_that_nobody_waits_for_yet_does_not_stop_it(make_fifo: MakeFifo) -> None:
    done = make_fifo("done")
    box = tool_sandbox(["/dev/zero"], [done.path])
    box.spawn(["sh", "-c", f"head -c 1000000 /dev/zero; echo done >{done.path}"])
    assert done.line() == "done"
    assert box.wait().stdout == bytes(1000000)


def test_it_ends_by_itself(box: Sandbox) -> None:
    box.spawn(["cat"], stdin=b"")
    assert box.wait().success
    box.spawn(["echo", "again"])
    assert box.wait().stdout == b"again\n"


def test_create_knows_the_pid_before_anything_happens(tmp_path: Path) -> None:
    box = tool_sandbox(writable=[tmp_path])
    box.create(["sh", "-c", f"echo $$ >{tmp_path}/pid; exit 3"])
    pid = box.pid
    assert pid is not None
    assert box.is_running
    assert os.readlink(f"/proc/{pid}/exe") == os.readlink("/proc/self/exe")
    assert not (tmp_path / "pid").exists()
    box.start()
    assert box.wait().exit_code == 3
    assert (tmp_path / "pid").read_text() == f"{pid}\n"


def test_create_with_handlers(box: Sandbox) -> None:
    execs, umasks = Answer(), Answer()
    box.create(["sh", "-c", "umask"], handlers=[("execve", execs), ("umask", umasks)])
    assert (execs.calls, umasks.calls) == (0, 0)
    box.start()
    assert box.wait().success
    assert execs.calls == 1
    assert umasks.calls > 0


def test_create_and_kill(tmp_path: Path) -> None:
    box = tool_sandbox(writable=[tmp_path])
    box.create(["touch", tmp_path / "made"])
    assert box.pid is not None
    with Watched(box.pid) as command:
        box.kill()
        assert command.gone()
    assert not (tmp_path / "made").exists()


def test_create_and_forget() -> None:
    box = tool_sandbox()
    box.create(["true"])
    assert box.pid is not None
    with Watched(box.pid) as command:
        del box
        gc.collect()
        assert command.gone()


def test_kill(box: Sandbox) -> None:
    box.spawn(["sleep", "1000"])
    box.kill()
    result = box.wait()
    assert (result.reason, result.exit_code) == (ExitReason.KILLED, -1)


@pytest.mark.parametrize("verb", ["kill", "pause", "resume"])
def test_what_has_ended_by_itself_is_there_until_it_is_waited_for(box: Sandbox, verb: str) -> None:
    box.spawn(["true"])
    while box.is_running:
        pass
    getattr(box, verb)()
    assert box.wait().success
    with pytest.raises(RuntimeError, match="nothing runs in it"):
        getattr(box, verb)()


def test_the_wait_for_a_created_command_that_was_killed(box: Sandbox) -> None:
    box.create(["true"])
    box.kill()
    with pytest.raises(RuntimeError, match="no command waits there"):
        box.start()
    assert box.wait().reason == ExitReason.KILLED


def test_the_wait_has_a_limit(box: Sandbox) -> None:
    box.spawn(["sleep", "1000"])
    with pytest.raises(subprocess.TimeoutExpired):
        box.wait(timeout=0.01)
    assert box.is_running
    box.kill()
    box.wait()


def test_one_at_a_time(box: Sandbox) -> None:
    box.spawn(["sleep", "1000"])
    for start in (box.run, box.spawn, box.create, box.popen):
        with pytest.raises(RuntimeError, match="running a command already"):
            start(["true"])
    box.kill()
    box.wait()
    assert box.run(["true"]).success


@pytest.mark.parametrize("verb", ["kill", "pause", "resume", "start", "wait"])
def test_nothing_runs(verb: str) -> None:
    box = tool_sandbox()
    word = "wait for" if verb == "wait" else verb
    with pytest.raises(RuntimeError, match=f"cannot {word}|cannot start"):
        getattr(box, verb)()
    box.run(["true"])
    with pytest.raises(RuntimeError, match=f"cannot {word}|cannot start"):
        getattr(box, verb)()


def test_wait_before_start(box: Sandbox) -> None:
    box.create(["true"])
    with pytest.raises(RuntimeError, match="call start first"):
        box.wait()
    box.start()
    with pytest.raises(RuntimeError, match="call create first"):
        box.start()
    assert box.wait().success


def test_leaving_the_sandbox_kills(make_fifo: MakeFifo) -> None:
    up = make_fifo("up")
    with tool_sandbox(writable=[up.path]) as box:
        box.spawn(["sh", "-c", f"setsid setsid sh -c 'echo $$ >{up.path}; exec sleep 1000' & exec sleep 1000"])
        daemon = Watched(int(up.line()))
    with daemon:
        assert daemon.gone(0)
    assert not box.is_running


def test_not_found(box: Sandbox) -> None:
    box.spawn(["nosuchprogram"])
    result = box.wait()
    assert (result.exit_code, box.pid) == (127, None)
    assert b"nosuchprogram" in result.stderr
