"""A timeout ends the whole tree and says so; a run that is faster does not notice it."""

from __future__ import annotations

import math

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE
from tests.support.processes import MakeFifo, Watched


def test_over(box: Sandbox) -> None:
    result = box.run(["sleep", "1000"], timeout=0.05)
    assert (result.success, result.reason, result.exit_code) == (False, ExitReason.TIMEOUT, -1)


def test_at_once(box: Sandbox) -> None:
    assert box.run(["sleep", "1000"], timeout=0).reason == ExitReason.TIMEOUT


@pytest.mark.parametrize("timeout", [60, 60.0, 10**6, 1e12, 1e300])
def test_not_over(box: Sandbox, timeout: float) -> None:
    result = box.run(["echo", "hello"], timeout=timeout)
    assert (result.reason, result.stdout) == (ExitReason.EXITED, b"hello\n")


class WatchCallers(Handler):
    """Opens a pidfd of each process that makes the call."""

    def __init__(self) -> None:
        self.watched: list[Watched] = []

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.watched.append(Watched(ctx.pid))
        return CONTINUE


def test_the_whole_tree_is_gone_and_its_output_is_kept(box: Sandbox, make_fifo: MakeFifo) -> None:
    never = make_fifo("never").path
    box.fs_readable = [*box.fs_readable, never]
    daemon = f"echo up; umask >&2; read line <{never}"
    watch = WatchCallers()
    command = ["sh", "-c", f"trap '' TERM HUP INT; setsid setsid sh -c '{daemon}' & exec sleep 1000"]
    result = box.run(command, timeout=2, handlers=[("umask", watch)])
    assert (result.reason, result.stdout) == (ExitReason.TIMEOUT, b"up\n")
    assert watch.watched
    for process in watch.watched:
        with process:
            assert process.gone(0)


def test_the_sandbox_can_run_again(box: Sandbox) -> None:
    box.run(["sleep", "1000"], timeout=0)
    assert box.run(["true"]).success


def test_input_that_nobody_reads_does_not_stop_it(box: Sandbox) -> None:
    assert box.run(["sleep", "1000"], timeout=0.05, input=bytes(1 << 20)).reason == ExitReason.TIMEOUT


@pytest.mark.parametrize(
    ("timeout", "error"),
    [("1", TypeError), (True, TypeError), (-1, ValueError), (-0.5, ValueError), (math.nan, ValueError)],
)
def test_wrong_timeout(box: Sandbox, timeout: float, error: type[Exception]) -> None:
    with pytest.raises(error, match="timeout"):
        box.run(["true"], timeout=timeout)
