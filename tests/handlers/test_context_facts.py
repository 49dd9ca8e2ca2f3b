"""What a context tells about the process behind a call, and when it no longer does."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Callable, TypeVar

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, NotifError, Sandbox
from tests.support.acts import AT_FDCWD, Buffer, Call, act
from tests.support.handlers import CONTINUE, Do
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


@pytest.fixture
def box(acts: Path, tmp_path: Path) -> Sandbox:
    return tool_sandbox([acts], [tmp_path], cwd=tmp_path)


_T = TypeVar("_T")


def noting(facts: list[_T], fact: Callable[[HandlerCtx], _T]) -> Handler:
    """Return a handler that notes a fact at each call."""

    def note(ctx: HandlerCtx) -> NotifAction:
        facts.append(fact(ctx))
        return CONTINUE

    return Do(note)


def asked(box: Sandbox, acts: Path, *calls: Call, fact: Callable[[HandlerCtx], _T]) -> list[_T]:
    """Return a fact at each call of getppid."""
    facts: list[_T] = []
    act(box, acts, calls, handlers=[("getppid", noting(facts, fact))])
    return facts


def test_parent(box: Sandbox, acts: Path) -> None:
    script = f"echo $$; {acts} {number_of_getppid()}; :"
    parents: list[int] = []
    note = noting(parents, lambda ctx: ctx.ppid)
    result = box.run(["sh", "-c", script], handlers=[("getppid", note)], check=True)
    assert parents[-1] == int(result.stdout.split()[0])


def number_of_getppid() -> int:
    return 110 if os.uname().machine == "x86_64" else 173


def test_user(box: Sandbox, acts: Path) -> None:
    assert asked(box, acts, ("getppid",), fact=lambda ctx: ctx.uid) == [os.geteuid()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_effective_user(box: Sandbox, acts: Path) -> None:
    calls: list[Call] = [("setresuid", 1, 65534, 0), ("getppid",), ("setresuid", -1, 0, -1), ("getppid",)]
    assert asked(box, acts, *calls, fact=lambda ctx: ctx.uid) == [65534, 0]


def test_executable(box: Sandbox, acts: Path) -> None:
    assert asked(box, acts, ("getppid",), fact=lambda ctx: ctx.executable) == [str(acts)]


def test_command_line(box: Sandbox, acts: Path) -> None:
    (words,) = asked(box, acts, ("getppid", "a word", ""), fact=lambda ctx: ctx.cmdline)
    assert words == [str(acts), str(number_of_getppid()), "s:a word", "s:"]


def test_command_line_that_is_no_utf8(box: Sandbox, acts: Path) -> None:
    lines: list[list[str]] = []
    note = noting(lines, lambda ctx: ctx.cmdline)
    box.run([acts, str(number_of_getppid()), b"s:\xff\xfe"], handlers=[("getppid", note)], check=True)
    assert [os.fsencode(words[2]) for words in lines] == [b"s:\xff\xfe"]


def test_command_line_that_was_changed(box: Sandbox) -> None:
    """A program may write over it, and leave out the NUL at the end. Perl does."""
    lines: list[list[str]] = []
    note = noting(lines, lambda ctx: ctx.cmdline)
    result = box.run(["perl", "-e", "$0 = 'renamed'; umask"], handlers=[("umask", note)])
    if result.exit_code == 127:
        pytest.skip("perl is not on PATH")
    assert [words[0] for words in lines] == ["renamed"]


def test_working_directory(box: Sandbox, acts: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    calls: list[Call] = [("getppid",), ("chdir", "other"), ("getppid",)]
    seen = asked(box, acts, *calls, fact=lambda ctx: ctx.cwd)
    assert seen == [str(tmp_path), f"{tmp_path}/other"]


def test_a_program_that_was_removed(acts: Path, tmp_path: Path) -> None:
    program = tmp_path / "removed"
    program.write_bytes(acts.read_bytes())
    program.chmod(0o755)
    box = tool_sandbox(writable=[tmp_path])
    calls: list[Call] = [("unlinkat", AT_FDCWD, str(program), 0), ("getppid",)]
    assert asked(box, program, *calls, fact=lambda ctx: ctx.executable) == [f"{program} (deleted)"]


USES: dict[str, Callable[[HandlerCtx], object]] = {
    "ppid": lambda ctx: ctx.ppid,
    "uid": lambda ctx: ctx.uid,
    "executable": lambda ctx: ctx.executable,
    "cmdline": lambda ctx: ctx.cmdline,
    "cwd": lambda ctx: ctx.cwd,
    "resolve_path": lambda ctx: ctx.resolve_path(),
    "resolve_path of a given path": lambda ctx: ctx.resolve_path(1, "x"),
    "perform": lambda ctx: ctx.perform("x"),
    "open": lambda ctx: ctx.open("x"),
    "perform and judge": lambda ctx: ctx.perform("x", judge=lambda _: None),
}


class Keep(Handler):
    def __init__(self) -> None:
        self.kept: list[HandlerCtx] = []

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.kept.append(ctx)
        return NotifAction.errno(1)


@pytest.mark.parametrize("name", USES)
def test_after_the_answer(box: Sandbox, acts: Path, name: str) -> None:
    """The task is alive, and makes another call meanwhile."""
    keep, raised = Keep(), []

    def use(ctx: HandlerCtx) -> NotifAction:
        with pytest.raises(NotifError) as caught:
            USES[name](keep.kept[0])
        raised.append(str(caught.value))
        return CONTINUE

    calls: list[Call] = [("mkdirat", AT_FDCWD, "made", 0o700), ("getppid",)]
    act(box, acts, calls, handlers=[("mkdirat", keep), ("getppid", Do(use))])
    assert len(raised) == 1


@pytest.mark.parametrize("name", USES)
def test_after_the_run(box: Sandbox, acts: Path, name: str) -> None:
    keep = Keep()
    act(box, acts, [("mkdirat", AT_FDCWD, "made", 0o700)], handlers=[("mkdirat", keep)])
    with pytest.raises(NotifError):
        USES[name](keep.kept[0])


@pytest.mark.parametrize("name", USES)
def test_from_another_thread_while_the_task_waits(box: Sandbox, acts: Path, name: str) -> None:
    used: list[object] = []

    def use(ctx: HandlerCtx) -> NotifAction:
        thread = threading.Thread(target=lambda: used.append(USES[name](ctx)))
        thread.start()
        thread.join()
        return NotifAction.errno(1)

    act(box, acts, [("mkdirat", AT_FDCWD, "made", 0o700)], handlers=[("mkdirat", Do(use))])
    assert len(used) == 1


def test_a_context_that_was_held(box: Sandbox, acts: Path, tmp_path: Path) -> None:
    """It can be used until somebody answers, here from another thread, with what is performed as the answer."""
    done: list[bool] = []

    def later(ctx: HandlerCtx) -> None:
        while not box.held:
            pass
        done.append(box.answer(ctx, ctx.perform("performed")))

    threads: list[threading.Thread] = []

    def hold(ctx: HandlerCtx) -> NotifAction:
        threads.append(threading.Thread(target=later, args=(ctx,)))
        threads[0].start()
        return NotifAction.hold()

    calls: list[Call] = [("openat2", AT_FDCWD, "asked", b"\x41" + bytes(7) + b"\x80\x01" + bytes(14), 24)]
    (opened,) = act(box, acts, calls, handlers=[("openat2", Do(hold))])
    threads[0].join()
    assert (opened.error, done, (tmp_path / "performed").exists()) == ("", [True], True)


def test_the_fields_stay(box: Sandbox, acts: Path) -> None:
    keep = Keep()
    act(box, acts, [("readlinkat", AT_FDCWD, "x", Buffer(8), 8)], handlers=[("readlinkat", keep)])
    assert keep.kept[0].args[3] == 8
    assert "syscall=" in repr(keep.kept[0])
