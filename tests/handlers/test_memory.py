"""Reading and writing the memory of the task that waits for the answer."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Callable

import pytest

from sandlock import HandlerCtx, NotifAction, Result
from tests.support.handlers import CONTINUE, Do
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

# What the arguments of programs/memory.c point to.
TERMINATED, OPEN_ENDED, CROSSING, CONSTANT, BUFFER, LARGE = range(6)

KIB100 = 100 << 10

See = Callable[[Callable[[HandlerCtx], object]], Result]


@pytest.fixture
def see(program: Program) -> See:
    """Run programs/memory.c with a function as the handler of its call."""
    path = program("memory")

    def run(function: Callable[[HandlerCtx], object]) -> Result:
        def handle(ctx: HandlerCtx) -> NotifAction:
            function(ctx)
            return CONTINUE

        return tool_sandbox([path]).run([path], handlers=[("getppid", Do(handle))], timeout=60)

    return run


@pytest.fixture
def tell(see: See) -> Callable[[Callable[[HandlerCtx], object]], object]:
    """Return what a function of the context returns."""

    def run(function: Callable[[HandlerCtx], object]) -> object:
        returned: list[object] = []
        result = see(lambda ctx: returned.append(function(ctx)))
        assert (result.success, result.handler_errors) == (True, [])
        (value,) = returned
        return value

    return run


Tell = Callable[[Callable[[HandlerCtx], object]], object]


READS: dict[str, tuple[Callable[[HandlerCtx], object], object]] = {
    "some bytes": (lambda ctx: ctx.read(ctx.args[CONSTANT], 8), b"constant"),
    "NULs as well": (lambda ctx: ctx.read(ctx.args[CONSTANT] + 4, 8), b"tant\0\0\0\0"),
    "up to the end of the page": (lambda ctx: ctx.read(ctx.args[OPEN_ENDED], 4), b"open"),
    "beyond the end of the page": (lambda ctx: ctx.read(ctx.args[OPEN_ENDED], 5), None),
    "across pages": (lambda ctx: ctx.read(ctx.args[CROSSING], 5000), b"x" * 5000),
    "more than a frame holds": (lambda ctx: ctx.read(ctx.args[LARGE], KIB100 + 1), b"y" * KIB100 + b"\0"),
    "nothing": (lambda ctx: ctx.read(ctx.args[CONSTANT], 0), b""),
    "a negative length": (lambda ctx: ctx.read(ctx.args[CONSTANT], -1), None),
    "at NULL": (lambda ctx: ctx.read(0, 1), None),
    "at the end of the address space": (lambda ctx: ctx.read(2**64 - 1, 1), None),
    "across the end of the address space": (lambda ctx: ctx.read(2**64 - 4, 8), None),
    "at a negative address": (lambda ctx: ctx.read(-1, 1), None),
    "beyond any address": (lambda ctx: ctx.read(2**64, 1), None),
    "far beyond any address": (lambda ctx: ctx.read(2**100, 1), None),
    "far too much": (lambda ctx: ctx.read(ctx.args[CONSTANT], 2**40), None),
}


@pytest.mark.parametrize("case", READS)
def test_read(tell: Tell, case: str) -> None:
    function, expected = READS[case]
    assert tell(function) == expected


STRINGS: dict[str, tuple[Callable[[HandlerCtx], object], object]] = {
    "to its NUL": (lambda ctx: ctx.read_cstr(ctx.args[CONSTANT], 4096), "constant"),
    "of exactly the length": (lambda ctx: ctx.read_cstr(ctx.args[CONSTANT], 8), "constant"),
    "longer than that": (lambda ctx: ctx.read_cstr(ctx.args[CONSTANT], 7), None),
    "at the end of a page": (lambda ctx: ctx.read_cstr(ctx.args[TERMINATED], 4096), "edge"),
    "of exactly the length at the end of a page": (lambda ctx: ctx.read_cstr(ctx.args[TERMINATED], 4), "edge"),
    "without an end": (lambda ctx: ctx.read_cstr(ctx.args[OPEN_ENDED], 4096), None),
    "without an end in the length": (lambda ctx: ctx.read_cstr(ctx.args[OPEN_ENDED], 3), None),
    "across pages": (lambda ctx: ctx.read_cstr(ctx.args[CROSSING], 5000), "x" * 5000),
    "across pages and too long": (lambda ctx: ctx.read_cstr(ctx.args[CROSSING], 4096), None),
    "empty": (lambda ctx: ctx.read_cstr(ctx.args[CONSTANT] + 8, 4096), ""),
    "empty, of length 0": (lambda ctx: ctx.read_cstr(ctx.args[CONSTANT] + 8, 0), ""),
    "not empty, of length 0": (lambda ctx: ctx.read_cstr(ctx.args[CONSTANT], 0), None),
    "of negative length": (lambda ctx: ctx.read_cstr(ctx.args[CONSTANT], -1), None),
    "longer than a frame": (lambda ctx: ctx.read_cstr(ctx.args[LARGE], KIB100), "y" * KIB100),
    "longer than a frame, and too long": (lambda ctx: ctx.read_cstr(ctx.args[LARGE], KIB100 - 1), None),
    "at NULL": (lambda ctx: ctx.read_cstr(0, 4096), None),
    "at a negative address": (lambda ctx: ctx.read_cstr(-1, 4096), None),
    "beyond any address": (lambda ctx: ctx.read_cstr(2**64, 4096), None),
    "an argument": (lambda ctx: ctx.read_path(CONSTANT), "constant"),
    "an argument of exactly the length": (lambda ctx: ctx.read_path(arg=CONSTANT, max_len=8), "constant"),
    "an argument that is longer": (lambda ctx: ctx.read_path(CONSTANT, 7), None),
    "an argument of more than a path's length": (lambda ctx: ctx.read_path(CROSSING), None),
}


@pytest.mark.parametrize("case", STRINGS)
def test_read_string(tell: Tell, case: str) -> None:
    function, expected = STRINGS[case]
    assert tell(function) == expected


WRITES: dict[str, tuple[Callable[[HandlerCtx], object], bool, bytes]] = {
    "some bytes": (lambda ctx: ctx.write(ctx.args[BUFFER], b"after\0"), True, b"after"),
    "over a part": (lambda ctx: ctx.write(ctx.args[BUFFER] + 2, b"XX"), True, b"beXXre"),
    "up to the end of the page": (lambda ctx: ctx.write(ctx.args[BUFFER], b"z" * 63 + b"\0"), True, b"z" * 63),
    "beyond the end of the page": (lambda ctx: ctx.write(ctx.args[BUFFER] + 60, b"12345678"), False, b"before"),
    "nothing": (lambda ctx: ctx.write(ctx.args[BUFFER], b""), True, b"before"),
    "over what may only be read": (lambda ctx: ctx.write(ctx.args[CONSTANT], b"X"), False, b"before"),
    "at NULL": (lambda ctx: ctx.write(0, b"X"), False, b"before"),
    "at a negative address": (lambda ctx: ctx.write(-1, b"X"), False, b"before"),
    "beyond any address": (lambda ctx: ctx.write(2**64, b"X"), False, b"before"),
}


@pytest.mark.parametrize("case", WRITES)
def test_write(see: See, case: str) -> None:
    function, expected, content = WRITES[case]
    returned: list[object] = []
    result = see(lambda ctx: returned.append(function(ctx)))
    assert (returned, result.handler_errors) == ([expected], [])
    assert result.stdout.splitlines()[1] == b"constant"
    assert result.stdout.splitlines()[0].startswith(content)


def test_write_more_than_a_frame_holds(tell: Tell) -> None:
    data = bytes(range(1, 201)) * 500

    def function(ctx: HandlerCtx) -> object:
        return ctx.write(ctx.args[LARGE], data), ctx.read(ctx.args[LARGE], len(data)) == data

    assert tell(function) == (True, True)


def test_from_another_thread_while_the_task_waits(tell: Tell) -> None:
    def function(ctx: HandlerCtx) -> object:
        got = []
        thread = threading.Thread(target=lambda: got.append(ctx.read_cstr(ctx.args[CONSTANT], 4096)))
        thread.start()
        thread.join()
        return got

    assert tell(function) == ["constant"]


AFTER: dict[str, Callable[[HandlerCtx], object]] = {
    "read": lambda ctx: ctx.read(ctx.args[CONSTANT], 1) is None,
    "read nothing": lambda ctx: ctx.read(ctx.args[CONSTANT], 0) is None,
    "read_cstr": lambda ctx: ctx.read_cstr(ctx.args[CONSTANT], 4096) is None,
    "read_path": lambda ctx: ctx.read_path(CONSTANT) is None,
    "write": lambda ctx: ctx.write(ctx.args[BUFFER], b"X") is False,
    "write nothing": lambda ctx: ctx.write(ctx.args[BUFFER], b"") is False,
}


@pytest.mark.parametrize("case", AFTER)
def test_after_the_run(see: See, case: str) -> None:
    kept: list[HandlerCtx] = []
    see(kept.append)
    assert AFTER[case](kept[0])


@pytest.mark.parametrize("case", AFTER)
def test_after_the_answer(program: Program, case: str) -> None:
    """The task is alive, and waits for another answer meanwhile."""
    path = program("memory")
    kept: list[HandlerCtx] = []
    seen: list[object] = []

    def keep(ctx: HandlerCtx) -> NotifAction:
        kept.append(ctx)
        return CONTINUE

    def check(ctx: HandlerCtx) -> NotifAction:
        seen.extend(AFTER[case](old) for old in kept)
        return CONTINUE

    handlers = [("getppid", Do(keep)), ("write", Do(check))]
    assert tool_sandbox([path]).run([path], handlers=handlers, check=True).stdout == b"before\nconstant\n"
    assert seen
    assert all(seen)


def test_strings_that_are_no_utf8(tmp_path: Path) -> None:
    seen = []

    def note(ctx: HandlerCtx) -> NotifAction:
        seen.append(ctx.read_path())
        return CONTINUE

    tool_sandbox().run(["cat", b"/nonexistent/\xff\xfe"], handlers=[("openat", Do(note))])
    assert "/nonexistent/\udcff\udcfe" in seen
