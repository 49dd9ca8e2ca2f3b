"""A handler that takes its time holds up its own task, and nobody else."""

from __future__ import annotations

import errno
import os
import signal
import threading

import pytest

from sandlock import ExitReason, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.processes import PATIENCE, MakeFifo, Watched
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


class Meeting:
    """A slow handler that waits for a quick one. The program makes the quick call once the slow one is asked."""

    def __init__(self, make_fifo: MakeFifo) -> None:
        self.fifo = make_fifo("meeting")
        self._met = threading.Event()
        self.answers: list[bool] = []

    def slow(self, ctx: HandlerCtx) -> NotifAction:
        if not self.answers:
            self.fifo.release()
            self.answers.append(self._met.wait(PATIENCE))
        return CONTINUE

    def quick(self, ctx: HandlerCtx) -> NotifAction:
        self._met.set()
        return CONTINUE


def test_another_thread(program: Program, make_fifo: MakeFifo) -> None:
    threads, meeting = program("threads"), Meeting(make_fifo)
    box = tool_sandbox([threads, meeting.fifo.path])
    handlers = [("getpgid", Do(meeting.slow)), ("getsid", Do(meeting.quick))]
    box.run([threads, meeting.fifo.path], handlers=handlers, check=True)
    assert meeting.answers == [True]


def test_another_process(make_fifo: MakeFifo) -> None:
    meeting = Meeting(make_fifo)
    box = tool_sandbox([meeting.fifo.path])
    script = f"umask & read line <{meeting.fifo.path}; cd /; wait"
    box.run(["sh", "-c", script], handlers=[("umask", Do(meeting.slow)), ("chdir", Do(meeting.quick))], check=True)
    assert meeting.answers == [True]


def test_another_process_with_the_same_call(make_fifo: MakeFifo) -> None:
    """One handler object is asked by two threads at once."""
    meeting = Meeting(make_fifo)
    box = tool_sandbox([meeting.fifo.path])

    def handle(ctx: HandlerCtx) -> NotifAction:
        return meeting.quick(ctx) if ctx.read_path() == "/usr" else meeting.slow(ctx)

    script = f"(cd /) & read line <{meeting.fifo.path}; cd /usr; wait"
    box.run(["sh", "-c", script], handlers=[("chdir", Do(handle))], check=True)
    assert meeting.answers == [True]


def test_many_quick_calls_meanwhile(make_fifo: MakeFifo) -> None:
    meeting, quick = Meeting(make_fifo), Answer()
    box = tool_sandbox([meeting.fifo.path])
    turns = "for i in 1 2 3 4 5 6 7 8 9; do cd /; done"
    script = f"umask & read line <{meeting.fifo.path}; {turns}; kill -0 $!; wait"
    handlers = [("umask", Do(meeting.slow)), ("chdir", quick), ("kill", Do(meeting.quick))]
    box.run(["sh", "-c", script], handlers=handlers, check=True)
    assert quick.calls == 9
    assert meeting.answers == [True]


def test_the_task_dies_before_the_answer(box: Sandbox, make_fifo: MakeFifo) -> None:
    """The answer has nobody to go to; the context gives nothing of another process that may have its number."""
    go = make_fifo("go")
    box.fs_readable = [*box.fs_readable, go.path]
    seen: list[object] = []

    def outlive(ctx: HandlerCtx) -> NotifAction:
        with Watched(ctx.pid) as task:
            go.release()
            seen.append(task.gone())
        seen.extend((ctx.read(ctx.instruction_pointer, 1), ctx.write(ctx.instruction_pointer, b"x")))
        return NotifAction.errno(errno.EPERM)

    script = f"umask & read line <{go.path}; kill -KILL $!; wait $!; echo $?"
    result = box.run(["sh", "-c", script], handlers=[("umask", Do(outlive))])
    assert (result.success, result.stdout, result.handler_errors) == (True, b"137\n", [])
    assert seen == [True, None, False]


@pytest.mark.parametrize("action", [NotifAction.kill(), NotifAction.returns(1), CONTINUE], ids=repr)
def test_the_run_is_over_before_the_answer(box: Sandbox, action: NotifAction) -> None:
    def outlive(ctx: HandlerCtx) -> NotifAction:
        with Watched(ctx.pid) as task:
            task.gone()
        return action

    result = box.run(["sh", "-c", "umask"], timeout=0.5, handlers=[("umask", Do(outlive))])
    assert (result.reason, result.handler_errors) == (ExitReason.TIMEOUT, [])


def test_the_handler_kills_the_task_itself(box: Sandbox) -> None:
    def kill(ctx: HandlerCtx) -> NotifAction:
        os.kill(ctx.pid, signal.SIGTERM)
        return NotifAction.errno(errno.EPERM)

    result = box.run(["sh", "-c", "umask; sleep 1000"], handlers=[("umask", Do(kill))])
    assert (result.reason, result.signal) == (ExitReason.SIGNALED, signal.SIGTERM)
