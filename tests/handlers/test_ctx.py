"""The context of a call: what the kernel says of it."""

from __future__ import annotations

import os
import platform
import threading
from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction, Sandbox
from tests.support.call import call
from tests.support.handlers import CONTINUE, Do
from tests.support.processes import MakeFifo, Watched
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

ARGS = (0, 1, 2**31, 2**32 + 1, 2**63, 2**64 - 1)


@pytest.fixture
def caller(program: Program) -> Path:
    return program("call")


@pytest.fixture
def call_box(caller: Path) -> Sandbox:
    return tool_sandbox([caller])


class Keep(Do):
    """Keeps the contexts, and their fields as they were meanwhile."""

    def __init__(self) -> None:
        super().__init__(self._keep)
        self.contexts: list[HandlerCtx] = []
        self.threads: set[threading.Thread] = set()

    def _keep(self, ctx: HandlerCtx) -> NotifAction:
        self.contexts.append(ctx)
        self.threads.add(threading.current_thread())
        return CONTINUE


def test_fields(call_box: Sandbox, caller: Path) -> None:
    keep = Keep()
    told = call(call_box, caller, "getppid", *ARGS, handlers=[("getppid", keep)])
    (ctx,) = keep.contexts
    assert ctx.pid == told.tid == told.pid
    assert ctx.syscall_nr == told.number
    assert ctx.args == ARGS
    assert ctx.flags == 0
    assert ctx.arch == AUDIT_ARCH[platform.machine()]
    assert 0 < ctx.instruction_pointer < 2**64
    assert 0 < ctx.id < 2**64
    for value in (ctx.id, ctx.pid, ctx.flags, ctx.syscall_nr, ctx.arch, ctx.instruction_pointer, *ctx.args):
        assert type(value) is int
    assert type(ctx.args) is tuple


def test_the_instruction_pointer_is_in_the_program(call_box: Sandbox, caller: Path) -> None:
    seen = []

    def find(ctx: HandlerCtx) -> NotifAction:
        for line in Path(f"/proc/{ctx.pid}/maps").read_text().splitlines():
            start, _, end = line.split()[0].partition("-")
            if int(start, 16) <= ctx.instruction_pointer < int(end, 16):
                seen.append(line)
        return CONTINUE

    call(call_box, caller, "getppid", handlers=[("getppid", Do(find))])
    assert len(seen) == 1
    assert "r-x" in seen[0]
    assert "libc" in seen[0]


def test_pid_is_the_thread(program: Program, make_fifo: MakeFifo) -> None:
    threads, fifo = program("threads"), make_fifo("fifo")
    keep = Keep()
    fifo.release()
    box = tool_sandbox([threads, fifo.path])
    box.run([threads, fifo.path], handlers=[("getpgid", keep), ("getsid", keep)], check=True)
    assert len({ctx.pid for ctx in keep.contexts}) == 2
    assert len({ctx.id for ctx in keep.contexts}) == 2


def test_handlers_run_on_threads_of_the_run(box: Sandbox) -> None:
    keep = Keep()
    box.run(["sh", "-c", "umask"], handlers=[("umask", keep)], check=True)
    assert threading.main_thread() not in keep.threads
    assert not any(thread.is_alive() for thread in keep.threads)


def test_ids_differ(box: Sandbox) -> None:
    keep = Keep()
    box.run(["sh", "-c", "for i in 1 2 3 4 5; do umask; done"], handlers=[("umask", keep)], check=True)
    assert len({ctx.id for ctx in keep.contexts}) == len(keep.contexts) >= 5


@pytest.mark.parametrize("name", ["id", "pid", "flags", "syscall_nr", "arch", "instruction_pointer", "args", "new"])
def test_frozen(box: Sandbox, name: str) -> None:
    def change(ctx: HandlerCtx) -> NotifAction:
        with pytest.raises(AttributeError):
            setattr(ctx, name, 1)
        with pytest.raises(AttributeError):
            delattr(ctx, name)
        return NotifAction.returns(0o123)

    result = box.run(["sh", "-c", "umask"], handlers=[("umask", Do(change))])
    assert (result.stdout, result.handler_errors) == (b"0123\n", [])


def test_fields_stay_after_the_answer(box: Sandbox) -> None:
    keep, meanwhile = Keep(), []

    def note(ctx: HandlerCtx) -> NotifAction:
        meanwhile.append((ctx.id, *ctx.args))
        return CONTINUE

    script = ["sh", "-c", "umask; umask 077; umask"]
    box.run(script, handlers=[("umask", Do(note)), ("umask", keep)], check=True)
    assert [(ctx.id, *ctx.args) for ctx in keep.contexts] == meanwhile
    assert 0o77 in {ctx.args[0] for ctx in keep.contexts}


def test_the_task_waits_for_the_answer(box: Sandbox) -> None:
    """What the handler finds out about the task by its number is the task's own, for it cannot end meanwhile."""
    found = []

    def look(ctx: HandlerCtx) -> NotifAction:
        with Watched(ctx.pid) as task:
            found.append((Path(f"/proc/{ctx.pid}/comm").read_text(), os.getpgid(ctx.pid), task.gone(0)))
        return CONTINUE

    result = box.run(["sh", "-c", "echo $$; umask >&2"], handlers=[("umask", Do(look))], check=True)
    assert set(found) == {("sh\n", int(result.stdout), False)}


def test_repr_tells_the_call(call_box: Sandbox, caller: Path) -> None:
    keep = Keep()
    told = call(call_box, caller, "getppid", 255, handlers=[("getppid", keep)])
    assert f"syscall={told.number} pid={told.pid} args=(0xff, 0x0" in repr(keep.contexts[0])
