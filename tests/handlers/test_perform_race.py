"""A second thread that turns a path to and fro between a file that is allowed and one that is not."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Callable, NamedTuple

import pytest

from sandlock import Handler, HandlerCtx, NotifAction
from sandlock._request import StrPath
from sandlock.presets import PathAllowHandler, PathDenyHandler
from tests.support.handlers import CONTINUE, Do
from tests.support.programs import Program
from tests.support.sandboxes import SYSTEM_PATHS, tool_sandbox

SYSCALLS = {"open": "openat", "remove": "unlinkat"}


class Counted(NamedTuple):
    """What became of the calls."""

    right: int
    wrong: int
    failed: int


Race = Callable[[str, str, int, Handler], Counted]


@pytest.fixture
def race(program: Program, tmp_path: Path) -> Race:
    """Run programs/race.c."""
    path = program("race")
    for digit in "01":
        (tmp_path / digit).mkdir()
        (tmp_path / digit / "f").write_text(digit)
        os.symlink(digit, tmp_path / f"to{digit}")

    def run(turning: str, call: str, tries: int, handler: Handler) -> Counted:
        box = tool_sandbox([path], [tmp_path])
        command: list[StrPath] = [path, turning, call, str(tries), tmp_path]
        result = box.run(command, handlers=[(SYSCALLS[call], handler)], timeout=100)
        assert (result.success, result.handler_errors) == (True, []), result
        counted = Counted(*map(int, result.stdout.split()))
        assert sum(counted) >= tries
        return counted

    return run


def refuses(path: str | None) -> bool:
    return path is not None and path.endswith("1/f")


def judge_and_continue(ctx: HandlerCtx) -> NotifAction:
    return NotifAction.errno(errno.EPERM) if refuses(ctx.read_path()) else CONTINUE


def judge_and_perform(ctx: HandlerCtx) -> NotifAction:
    path = ctx.read_path()
    assert path is not None
    return NotifAction.errno(errno.EPERM) if refuses(path) else ctx.perform(path)


def judge_what_is_found(ctx: HandlerCtx) -> NotifAction:
    return ctx.perform(judge=lambda name: NotifAction.errno(errno.EPERM) if refuses(name) else None)


@pytest.mark.parametrize("call", SYSCALLS)
def test_an_answer_of_continue_is_beaten(race: Race, call: str) -> None:
    """Each round has more tries than it takes on an idle machine; a busy one may need more rounds."""
    assert any(race("buffer", call, 2000, Do(judge_and_continue)).wrong for _ in range(20))


def assert_never_wrong(counted: Counted) -> None:
    assert counted.wrong == 0
    assert min(counted.right, counted.failed) >= 10, "the path did not change often enough to show anything"


@pytest.mark.parametrize("preset", [False, True], ids=["perform", "deny"])
def test_none_of_100000_opens_is_wrong(race: Race, tmp_path: Path, preset: bool) -> None:
    """The longest test of the file: each takes from 5 to 20 s."""
    handler = PathDenyHandler([f"{tmp_path}/1/*"]) if preset else Do(judge_and_perform)
    assert_never_wrong(race("buffer", "open", 100_000, handler))


def test_no_removal_is_wrong(race: Race) -> None:
    assert_never_wrong(race("buffer", "remove", 5000, Do(judge_and_perform)))


def test_a_judged_path_is_beaten_by_links(race: Race) -> None:
    """What a path leads to must be judged, not the path."""

    def resolve_and_perform(ctx: HandlerCtx) -> NotifAction:
        if refuses(ctx.resolve_path().target):
            return NotifAction.errno(errno.EPERM)
        return ctx.perform()

    assert any(race("link", "open", 2000, Do(resolve_and_perform)).wrong for _ in range(20))


@pytest.mark.parametrize("turning", ["buffer", "link"])
@pytest.mark.parametrize("call", SYSCALLS)
@pytest.mark.parametrize("handler", ["judge", "deny", "allow"])
def test_none_is_wrong_when_what_is_found_is_judged(
    race: Race, tmp_path: Path, handler: str, call: str, turning: str
) -> None:
    handlers = {
        "judge": Do(judge_what_is_found),
        "deny": PathDenyHandler([f"{tmp_path}/1/*"]),
        "allow": PathAllowHandler([f"{tmp_path}/0/*", *(f"{path}/*" for path in SYSTEM_PATHS)]),
    }
    assert_never_wrong(race(turning, call, 3000, handlers[handler]))
