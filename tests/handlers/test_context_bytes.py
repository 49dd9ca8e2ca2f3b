"""Strings and paths as bytes, and at the edges of what is mapped."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Callable

import pytest

from sandlock import Handler, HandlerCtx, NotifAction
from sandlock._syscalls import path_arguments
from sandlock.presets import PathAllowHandler, PathDenyHandler
from tests.handlers.test_paths import FIRST, NONE, SECOND, TWO
from tests.support.acts import Call, Text, act, known
from tests.support.handlers import CONTINUE, Do
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

# What the arguments of programs/memory.c point to.
TERMINATED, OPEN_ENDED, CROSSING, CONSTANT, BUFFER, LARGE = range(6)

STRINGS: dict[str, tuple[Callable[[HandlerCtx], object], bytes | None]] = {
    "a string": (lambda ctx: ctx.read_cstr_bytes(ctx.args[CONSTANT], 4096), b"constant"),
    "of exactly the length": (lambda ctx: ctx.read_cstr_bytes(ctx.args[CONSTANT], 8), b"constant"),
    "longer than that": (lambda ctx: ctx.read_cstr_bytes(ctx.args[CONSTANT], 7), None),
    "at the end of a page": (lambda ctx: ctx.read_cstr_bytes(ctx.args[TERMINATED], 4096), b"edge"),
    "without an end": (lambda ctx: ctx.read_cstr_bytes(ctx.args[OPEN_ENDED], 4096), None),
    "across pages": (lambda ctx: ctx.read_cstr_bytes(ctx.args[CROSSING], 5000), b"x" * 5000),
    "empty": (lambda ctx: ctx.read_cstr_bytes(ctx.args[CONSTANT] + 8, 10), b""),
    "at NULL": (lambda ctx: ctx.read_cstr_bytes(0, 4096), None),
    "beyond any address": (lambda ctx: ctx.read_cstr_bytes(2**64, 4096), None),
    "an argument": (lambda ctx: ctx.read_path_bytes(CONSTANT), b"constant"),
    "an argument at the end of a page": (lambda ctx: ctx.read_path_bytes(TERMINATED), b"edge"),
    "an argument without an end": (lambda ctx: ctx.read_path_bytes(OPEN_ENDED), None),
    "an argument that is longer": (lambda ctx: ctx.read_path_bytes(CONSTANT, 7), None),
    "an argument of more than a path's length": (lambda ctx: ctx.read_path_bytes(CROSSING), None),
}


@pytest.mark.parametrize("case", STRINGS)
def test_strings(program: Program, case: str) -> None:
    function, expected = STRINGS[case]
    path, got = program("memory"), []

    def read(ctx: HandlerCtx) -> NotifAction:
        got.append(function(ctx))
        return CONTINUE

    tool_sandbox([path]).run([path], handlers=[("getppid", Do(read))], check=True, timeout=60)
    assert got == [expected]


WORDS = [b"w0\xff", b"w1\xfe", b"w2\x80", b"w3", b"w4", b"w5"]


def paths_of(program: Program, name: str, read: Callable[[HandlerCtx], object]) -> object:
    """Return what a handler reads at a call whose six arguments are WORDS."""
    acts, got = program("acts"), []

    def handle(ctx: HandlerCtx) -> NotifAction:
        if ctx.read_cstr_bytes(ctx.args[0], 3) != WORDS[0]:
            return CONTINUE  # a call of libc's
        try:
            got.append(read(ctx))
        except ValueError as error:
            got.append(str(error))
        return NotifAction.returns(0)

    call: Call = (name, *map(Text, WORDS))
    act(tool_sandbox([acts]), acts, [call], handlers=[(name, Do(handle))])
    (value,) = got
    return value


@pytest.mark.parametrize("name", [*FIRST, *SECOND, "fchmodat2", *TWO, *NONE])
def test_path_of_every_call(program: Program, name: str) -> None:
    if not known(name):
        pytest.skip(f"this machine has no {name}")
    value = paths_of(program, name, lambda ctx: ctx.read_path_bytes())
    if name in TWO:
        assert "takes two paths" in str(value)
    elif name in NONE:
        assert "not known to take a path" in str(value)
    else:
        assert value == (WORDS[0] if name in FIRST else WORDS[1])


PLACES = {
    "rename": (0, 1), "renameat": (1, 3), "renameat2": (1, 3), "link": (0, 1), "linkat": (1, 3), "symlink": (0, 1),
    "symlinkat": (0, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", TWO)
def test_both_paths_of_a_call(program: Program, name: str) -> None:
    if not known(name):
        pytest.skip(f"this machine has no {name}")
    first, second = PLACES[name]
    value = paths_of(program, name, lambda ctx: [ctx.read_path_bytes(first), ctx.read_path_bytes(second)])
    assert value == [WORDS[first], WORDS[second]]
    arguments = paths_of(program, name, lambda ctx: [argument for _, argument in path_arguments(ctx.syscall_nr)])
    assert arguments == [first, second]


ERRORS = [0, errno.EFAULT, 0, 0, errno.ENAMETOOLONG, errno.EFAULT, errno.EFAULT, errno.EFAULT, errno.EFAULT]
UNREADABLE = [position for position, error in enumerate(ERRORS) if error]


def edges(program: Program, folder: Path, handler: Handler | None) -> list[int]:
    """Return the errors of programs/edge.c."""
    path = program("edge")
    box = tool_sandbox([path], [folder], cwd=folder)
    handlers = [] if handler is None else [("mkdirat", handler)]
    result = box.run([path], handlers=handlers, check=True, timeout=60)
    assert result.handler_errors == []
    return list(map(int, result.stdout.split()))


def test_paths_at_the_edge(program: Program, tmp_path: Path) -> None:
    """A path that the kernel can read is performed, and one that it cannot read fails with the same errno."""
    for name, handler in {
        "kernel": None,
        "perform": Do(lambda ctx: ctx.perform()),
        "deny": PathDenyHandler(["/nonexistent/*"]),
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        assert edges(program, folder, handler) == ERRORS, name
        assert sorted(os.listdir(folder)) == ["crossing", "edge", "p"]


def test_an_allow_list_refuses_what_it_cannot_read(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "allow"
    folder.mkdir()
    got = edges(program, folder, PathAllowHandler([f"{folder}/*"]))
    assert [got[position] for position in UNREADABLE[:-1]] == [errno.EACCES] * (len(UNREADABLE) - 1)
    assert got[UNREADABLE[-1]] == errno.EFAULT  # null is no path
    assert sorted(os.listdir(folder)) == ["crossing", "edge", "p"]


def test_writing_to_what_may_only_be_read(program: Program) -> None:
    path, got = program("memory"), []

    def write(ctx: HandlerCtx) -> NotifAction:
        got.append(ctx.write(ctx.args[CONSTANT], b"X"))
        got.append(ctx.write(ctx.args[BUFFER], b"after\0"))
        got.append(ctx.write(ctx.args[OPEN_ENDED], b"open!"))
        return CONTINUE

    result = tool_sandbox([path]).run([path], handlers=[("getppid", Do(write))], check=True, timeout=60)
    assert (got, result.stdout) == ([False, True, False], b"after\nconstant\n")
