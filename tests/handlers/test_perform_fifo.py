"""Opening a FIFO waits for the other end: for the child alone, and not for longer than the run."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from pathlib import Path
from typing import Callable

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, NotifError, Sandbox
from sandlock.presets import PathAllowHandler
from tests.support.acts import performing
from tests.support.handlers import Do
from tests.support.processes import PATIENCE, Fifo, MakeFifo, open_fds
from tests.support.sandboxes import SYSTEM_PATHS, tool_sandbox


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return tool_sandbox(writable=[tmp_path], cwd=tmp_path, handler_threads=1)


def make(folder: Path, *names: str) -> None:
    for name in names:
        os.mkfifo(folder / name)


def shell(box: Sandbox, script: str, handler: Handler | None = None) -> bytes:
    """Run a script whose calls are performed."""
    handlers = performing() if handler is None else [("openat", handler)]
    result = box.run(["sh", "-c", script], handlers=handlers, timeout=60)
    assert (result.success, result.handler_errors, result.stderr) == (True, [], b""), result
    return result.stdout


def test_reader_first(box: Sandbox, tmp_path: Path) -> None:
    make(tmp_path, "fifo")
    assert shell(box, "cat fifo & ls /usr >/dev/null; echo through >fifo; wait") == b"through\n"


def test_writer_first(box: Sandbox, tmp_path: Path) -> None:
    make(tmp_path, "fifo")
    assert shell(box, "echo through >fifo & ls /usr >/dev/null; cat fifo; wait") == b"through\n"


@pytest.mark.parametrize("preset", [False, True], ids=["perform", "allow"])
def test_many_wait_with_one_thread_of_the_handlers(box: Sandbox, tmp_path: Path, preset: bool) -> None:
    names = [f"fifo{number}" for number in range(12)]
    make(tmp_path, *names)
    script = (
        f"for f in {' '.join(names)}; do cat $f >$f.out & done; for f in {' '.join(names)}; do echo $f >$f; done; wait"
    )
    allow = PathAllowHandler([f"{tmp_path}/*", "/dev/null", *(f"{path}/*" for path in SYSTEM_PATHS)])
    shell(box, script, allow if preset else None)
    assert [(tmp_path / f"{name}.out").read_text() for name in names] == [f"{name}\n" for name in names]


def test_an_open_fifo_is_blocking(box: Sandbox, tmp_path: Path) -> None:
    """Also the end that was opened without a wait."""
    make(tmp_path, "fifo")
    script = "exec 3<>fifo; exec 4>fifo; exec 5<fifo; for n in 3 4 5; do grep flags /proc/self/fdinfo/$n; done"
    box.fs_readable = [*box.fs_readable, "/proc"]
    # fdinfo is read by the kernel: grep's calls are not performed.
    result = box.run(["sh", "-c", script], handlers=[("openat", Do(perform_fifos))], check=True, timeout=60)
    flags = [int(line.split()[1], 8) for line in result.stdout.splitlines()]
    assert len(flags) == 3
    assert not any(flag & os.O_NONBLOCK for flag in flags)


def perform_fifos(ctx: HandlerCtx) -> NotifAction:
    path = ctx.read_path()
    return ctx.perform(path) if path == "fifo" else NotifAction.continue_()


class PerformAndTell(Do):
    """Has the opening of "fifo" performed, and releases the command when that waits."""

    def __init__(self, told: Fifo) -> None:
        super().__init__(self._perform)
        self._told = told

    def _perform(self, ctx: HandlerCtx) -> NotifAction:
        action = perform_fifos(ctx)
        if action == NotifAction.hold():
            self._told.release()
        return action


def test_the_waiting_call_is_held(box: Sandbox, tmp_path: Path, make_fifo: MakeFifo) -> None:
    """Until the other end is there it may also be answered as every held call."""
    make(tmp_path, "fifo")
    go = make_fifo("go")
    held: list[str | None] = []

    def answer(ctx: HandlerCtx) -> NotifAction:
        if ctx.read_path() == "answer":
            (waiting,) = box.held
            held.append(waiting.read_path())
            box.answer(waiting.id, NotifAction.errno(errno.EXDEV))
        return NotifAction.continue_()

    script = "cat fifo & read line <go; cat answer 2>/dev/null; wait"
    handlers = [("openat", PerformAndTell(go)), ("openat", Do(answer))]
    result = box.run(["sh", "-c", script], handlers=handlers, timeout=60)
    assert held == ["fifo"]
    assert result.stderr == b"cat: fifo: Invalid cross-device link\n"


@pytest.mark.parametrize("mode", [0o600, 0o000], ids=["open", "shut"])
@pytest.mark.parametrize("end", ["<", ">"], ids=["reader", "writer"])
def test_the_end_of_the_run_ends_the_wait(
    box: Sandbox, tmp_path: Path, make_fifo: MakeFifo, end: str, mode: int
) -> None:
    """Nothing is left of it, also when the child has taken its rights to the FIFO from the host."""
    make(tmp_path, "fifo")
    go = make_fifo("go")
    shell(box, "cat /etc/hostname")
    before = open_fds()
    threads = confined_threads()
    script = f"exec 3{end}fifo & read line <go; chmod {mode:o} fifo; exit 7"
    result = box.run(["sh", "-c", script], handlers=[("openat", PerformAndTell(go))], timeout=60)
    assert (result.exit_code, result.handler_errors) == (7, [])
    assert open_fds() == before
    eventually(lambda: confined_threads() <= threads)
    assert stat.S_IMODE((tmp_path / "fifo").stat().st_mode) == mode


def confined_threads() -> set[str]:
    """Return the threads of this process that gave up new privileges: the deputies.

    The Go runtime's first thread, should it have been one, is never ended, only parked for good.
    """
    found = set()
    for status in Path("/proc/self/task").glob("*/status"):
        with contextlib.suppress(OSError):  # it ends meanwhile
            if "\nNoNewPrivs:\t1\n" in status.read_text():
                found.add(status.parent.name)
    return found


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < PATIENCE


def test_a_waiting_process_is_killed(box: Sandbox, tmp_path: Path) -> None:
    """Its wait does not hold up the run, nor the process that opens the FIFO later.

    For some 20 ms it is not noticed that the first reader is dead, and what is written meanwhile may be lost on it.
    """
    make(tmp_path, "fifo")
    script = "{ cat fifo & kill -9 $!; wait; cat fifo & echo through >fifo; wait; } 2>/dev/null"

    def goes_through() -> bool:
        result = box.run(["sh", "-c", script], handlers=performing(), timeout=5)
        # The first reader may be dead before its call is performed.
        assert all(isinstance(failure.exception, NotifError) for failure in result.handler_errors)
        return result.success and result.stdout == b"through\n"

    assert any(goes_through() for _ in range(10))


def test_more_wait_than_may(box: Sandbox, tmp_path: Path, make_fifo: MakeFifo) -> None:
    """Beyond a limit the call fails, and other calls are performed still."""
    count, most = 40, 32
    make(tmp_path, *(f"fifo{number}" for number in range(count)))
    go = make_fifo("go")
    asked = []

    def perform(ctx: HandlerCtx) -> NotifAction:
        path = ctx.read_path()
        if path == "go":
            return NotifAction.continue_()
        asked.append(path)
        if len([path for path in asked if path and path.startswith("fifo")]) == count:
            go.release()
        return ctx.perform()

    numbers = " ".join(map(str, range(count)))
    script = f"for n in {numbers}; do (: <fifo$n) & done; read line <go; cat /etc/hostname"
    result = box.run(["sh", "-c", script], handlers=[("openat", Do(perform))], timeout=60)
    assert result.stdout == Path("/etc/hostname").read_bytes()
    assert result.stderr.count(b"Resource temporarily unavailable") <= count - most
