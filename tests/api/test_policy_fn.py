"""policy_fn: a function that decides about calls, and restricts what may be done from then on."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sandlock import ExceptionPolicy, ExitReason, PolicyContext, Result, Sandbox, SyscallEvent
from tests.support.handlers import Answer
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


class Recorder:
    """A policy function that keeps the events, and does what the test says for some."""

    def __init__(self, **verdicts: Any) -> None:
        self.verdicts = verdicts
        self.events: list[SyscallEvent] = []

    def __call__(self, event: SyscallEvent, ctx: PolicyContext) -> Any:
        self.events.append(event)
        return self.verdicts.get(event.syscall)

    def of(self, syscall: str) -> list[SyscallEvent]:
        return [event for event in self.events if event.syscall == syscall]


def denying(*paths: str | os.PathLike[str]) -> Any:
    """Return a policy function that denies paths as soon as the first program is executed."""

    def decide(event: SyscallEvent, ctx: PolicyContext) -> None:
        if event.syscall == "execve":
            for path in paths:
                ctx.deny_path(path)

    return decide


def sh(script: str, *arguments: object, box: Sandbox) -> Result:
    return box.run(["sh", "-c", script, "sh", *map(str, arguments)])


def test_events() -> None:
    recorder = Recorder()
    result = sh("cat /etc/hostname; exit 3", box=tool_sandbox(policy_fn=recorder))
    assert result.exit_code == 3
    shell, cat = recorder.of("execve")
    assert shell.argv == ("sh", "-c", "cat /etc/hostname; exit 3", "sh")
    assert cat.argv == ("cat", "/etc/hostname")
    assert cat.argv_contains("hostname")
    assert not cat.argv_contains("exit")
    assert cat.parent_pid == shell.pid != cat.pid
    counted = Counter(event.category for event in recorder.events)
    assert set(counted) == {"file", "process", "memory"}
    assert {event.host for event in recorder.events} == {None}
    assert not any(event.denied for event in recorder.events)
    opened = {event.pid for event in recorder.of("openat")}
    assert opened == {shell.pid, cat.pid}
    assert all(event.argv is None for event in recorder.of("openat"))


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (None, b"made\n"),
        (False, b"made\n"),
        ("audit", b"made\n"),
        (True, b"Operation not permitted"),
        (28, b"No space"),
    ],
)
def test_verdicts(verdict: object, expected: bytes, tmp_path: Path) -> None:
    box = tool_sandbox(writable=[tmp_path], policy_fn=Recorder(mkdir=verdict, mkdirat=verdict))
    result = sh('mkdir "$1" && echo made', tmp_path / "new", box=box)
    assert expected in result.stdout + result.stderr
    assert (tmp_path / "new").exists() == (expected == b"made\n")


def test_audit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="sandlock.audit"):
        tool_sandbox(policy_fn=Recorder(execve="audit")).run(["true"], check=True)
    (record,) = caplog.records
    assert "execve" in record.getMessage()
    assert "true" in record.getMessage()


@pytest.mark.parametrize("verdict", [None, False, 0])
def test_verdicts_that_allow(verdict: object) -> None:
    assert tool_sandbox(policy_fn=Recorder(execve=verdict)).run(["echo", "x"]).stdout == b"x\n"


@pytest.mark.parametrize("verdict", ["deny", 1.5, 0.0, b"audit", [], -1, 5000])
def test_wrong_verdicts_are_errors(verdict: object) -> None:
    result = tool_sandbox(policy_fn=Recorder(execve=verdict)).run(["true"])
    assert result.reason is ExitReason.KILLED
    (failure,) = result.handler_errors
    assert isinstance(failure.exception, (TypeError, ValueError))


def test_exceptions_answer_as_the_sandbox_says() -> None:
    def decide(event: SyscallEvent, ctx: PolicyContext) -> None:
        if event.syscall in ("mkdir", "mkdirat"):
            raise LookupError(event.syscall)

    box = tool_sandbox(policy_fn=decide)
    assert sh("mkdir /tmp/x", box=box).reason is ExitReason.KILLED
    box.on_exception = ExceptionPolicy.DENY_EIO
    result = sh("mkdir /tmp/x", box=box)
    assert b"Input/output error" in result.stderr
    assert [type(failure.exception) for failure in result.handler_errors] == [LookupError]


def test_processes_are_denied() -> None:
    recorder = Recorder(clone=errno.EAGAIN, fork=errno.EAGAIN, vfork=errno.EAGAIN)
    result = sh("echo one; cat /etc/hostname; echo two", box=tool_sandbox(policy_fn=recorder))
    assert result.stdout == b"one\n"


def test_calls_that_the_policy_denies_make_no_events() -> None:
    recorder = Recorder()
    box = tool_sandbox(policy_fn=recorder, extra_deny_syscalls=["vfork", "clone", "fork"])
    assert sh("echo one; cat /etc/hostname", box=box).stdout == b"one\n"
    assert not recorder.of("clone")
    assert recorder.of("execve")


def test_denied_paths(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("open", "secret", "folder/secret"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("secret")
    box = tool_sandbox(writable=[tmp_path], cwd=tmp_path, policy_fn=denying(tmp_path / "secret", tmp_path / "folder"))
    for script in (
        "cat secret",
        "cat link",
        "cat ./folder/../secret",
        "cat folder/secret",
        "ls folder",
        "echo x > secret",
        "echo x > folder/new",
        "rm secret",
        "mv secret other",
        "mv open secret",
        "ln secret other",
        "chmod 777 secret",
        "touch secret",
        "mkdir folder/new",
        "rmdir folder",
        "mv ../" + tmp_path.name + " ../moved",
        "exec ./secret",
    ):
        result = sh(script, box=box)
        assert not result.success, script
        assert b"Permission denied" in result.stderr, (script, result.stderr)
    assert sh("cat open; ls; ln -s secret new; stat -c %n secret", box=box).success
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_denied_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    assert tool_sandbox([tmp_path]).run([program]).stdout == b"ran\n"
    result = sh('"$1"', program, box=tool_sandbox([tmp_path], policy_fn=denying(program)))
    assert (result.stdout, result.exit_code) == (b"", 126)


def test_events_say_what_is_denied(tmp_path: Path) -> None:
    seen: list[SyscallEvent] = []

    def decide(event: SyscallEvent, ctx: PolicyContext) -> bool:
        ctx.deny_path(tmp_path)
        seen.append(event)
        return False  # does not allow what is denied

    result = sh('cat "$1"', tmp_path / "file", box=tool_sandbox([tmp_path], policy_fn=decide))
    assert b"Permission denied" in result.stderr
    assert [event.category for event in seen if event.denied] == ["file"]


def test_allowed_paths_are_those_that_were_denied(tmp_path: Path) -> None:
    for folder in ("granted/a", "granted/b", "other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").write_text(folder)

    def decide(event: SyscallEvent, ctx: PolicyContext) -> None:
        ctx.deny_path(tmp_path / "granted")
        ctx.allow_path(tmp_path / "granted/b")
        ctx.allow_path(tmp_path / "other")

    box = tool_sandbox([tmp_path / "granted"], cwd=tmp_path, policy_fn=decide)
    assert sh("cat granted/a/file", box=box).stdout == b""
    assert sh("cat granted/b/file", box=box).stdout == b"granted/b"
    assert sh("cat other/file", box=box).stdout == b""


def test_denied_and_allowed_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    contexts: list[PolicyContext] = []

    def decide(event: SyscallEvent, ctx: PolicyContext) -> None:
        contexts.append(ctx)
        if event.argv == ("true",):
            ctx.deny_path(tmp_path / "file")
        if event.argv == ("false",):
            ctx.allow_path(tmp_path)

    result = sh('cat "$1"; true; /bin/true; env true; cat "$1"; env false; cat "$1"', tmp_path / "file",
                box=tool_sandbox([tmp_path], policy_fn=decide))  # fmt: skip
    assert result.stdout == b"texttext"
    assert len(set(map(id, contexts))) == 1
    with pytest.raises(TypeError):
        contexts[0].deny_path(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("turning", ["buffer", "link"])
@pytest.mark.parametrize("call", ["open", "remove"])
def test_a_second_thread_turns_the_path(program: Program, tmp_path: Path, turning: str, call: str) -> None:
    """See programs/race.c: what is used is what was judged."""
    path = program("race")
    for digit in "01":
        (tmp_path / digit).mkdir()
        (tmp_path / digit / "f").write_text(digit)
        (tmp_path / f"to{digit}").symlink_to(digit)
    box = tool_sandbox([path], [tmp_path], policy_fn=denying(tmp_path / "1"))
    result = box.run([path, turning, call, "2000", tmp_path], timeout=100)
    assert (result.success, result.handler_errors) == (True, [])
    right, wrong, failed = map(int, result.stdout.split())
    assert wrong == 0
    assert min(right, failed) >= 10, "the path did not change often enough to show anything"


def test_a_second_thread_turns_the_program(program: Program, tmp_path: Path) -> None:
    """See programs/imposter.c: the kernel reads the path of an execve again, and no denied program comes to run."""
    imposter = program("imposter")
    for digit, tool in enumerate(("true", "false")):
        (tmp_path / str(digit)).mkdir()
        shutil.copy(f"/bin/{tool}", tmp_path / str(digit) / "run")
    box = tool_sandbox([imposter, tmp_path], policy_fn=denying(tmp_path / "1"))
    ran, ran_denied, failed, killed = 0, 0, 0, 0
    for _ in range(20):  # until it was slipped in
        result = box.run([imposter, "300", tmp_path], timeout=100)
        assert (result.success, result.handler_errors) == (True, [])
        counts = map(int, result.stdout.split())
        ran, ran_denied, failed, killed = map(sum, zip(counts, (ran, ran_denied, failed, killed)))
        if killed:
            break
    assert ran_denied == 0
    assert min(ran, failed, killed) > 0, (ran, failed, killed)


def test_handlers_are_asked_after_it(tmp_path: Path) -> None:
    handler = Answer()
    (tmp_path / "secret").write_text("secret")
    box = tool_sandbox([tmp_path], policy_fn=denying(tmp_path / "secret"))
    result = box.run(["cat", tmp_path / "secret"], handlers=[("openat", handler)])
    assert result.exit_code == 1
    assert handler.calls  # for what was not denied


def test_other_ways_to_run() -> None:
    recorder = Recorder(execve=True)
    box = tool_sandbox(policy_fn=recorder)
    with box.popen(["true"]) as process:
        assert process.wait().exit_code == 127
    box.spawn(["true"])
    assert box.wait().exit_code == 127
    assert len(recorder.of("execve")) == 2


async def _asynchronous(event: SyscallEvent, ctx: PolicyContext) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [(3, "3"), ("decide", "'decide'"), (lambda event: None, "two arguments"), (_asynchronous, "asynchronous")],
)
def test_wrong_functions(function: Any, words: str, tmp_path: Path) -> None:
    box = tool_sandbox(writable=[tmp_path], policy_fn=function)
    with pytest.raises(TypeError, match=f"policy_fn.*{words}"):
        box.run(["touch", tmp_path / "started"])
    assert not (tmp_path / "started").exists()


def test_what_is_no_address() -> None:
    with pytest.raises(ValueError, match="restrict_network: 'foo' is no address; write text such as "):
        PolicyContext().restrict_network(["foo"])
