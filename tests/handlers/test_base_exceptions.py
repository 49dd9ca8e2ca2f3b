"""KeyboardInterrupt, SystemExit and their like, raised in a handler, reach the caller of run."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from sandlock import ExceptionPolicy, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Fail
from tests.support.processes import MakeFifo, Watched, children

UMASK = ["sh", "-c", "umask; echo end"]


class Custom(BaseException):
    pass


class WatchAndFail(Handler):
    """Raises, and can tell whether the caller is gone."""

    def __init__(self, exception: BaseException) -> None:
        self._exception = exception
        self.watched: list[Watched] = []

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.watched.append(Watched(ctx.pid))
        raise self._exception

    def all_gone(self) -> bool:
        gone = [process.gone(0) for process in self.watched]
        return len(gone) > 0 and all(gone)


@pytest.mark.parametrize(
    "exception", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), Custom("custom")], ids=lambda e: type(e).__name__
)
def test_reraised_when_the_command_is_gone(box: Sandbox, exception: BaseException) -> None:
    handler = WatchAndFail(exception)
    with pytest.raises(type(exception)) as caught:
        box.run(UMASK, handlers=[("umask", handler)])
    assert caught.value is exception
    assert handler.all_gone()
    assert children() == set()


def test_it_is_an_error_like_any_other(box: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Rules apply, and it is logged."""
    next_one = Answer()
    interrupt = Fail(KeyboardInterrupt())
    handlers: list[Any] = [("umask", interrupt, {KeyboardInterrupt: ExceptionPolicy.CONTINUE}), ("umask", next_one)]
    with pytest.raises(KeyboardInterrupt):
        box.run(UMASK, handlers=handlers)
    assert next_one.calls == interrupt.calls > 0
    assert len(caplog.records) == interrupt.calls


def test_a_mapping_for_exception_does_not_cover_it(box: Sandbox) -> None:
    handler = WatchAndFail(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        box.run(UMASK, handlers=[("umask", handler, {Exception: NotifAction.continue_()})])
    assert len(handler.watched) == 1  # it was killed
    assert handler.all_gone()


def test_the_first_of_several(box: Sandbox) -> None:
    exceptions = iter([ValueError(), Custom("first"), KeyboardInterrupt()])

    class Failing(Handler):
        on_exception = ExceptionPolicy.CONTINUE

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            for exception in exceptions:
                raise exception
            return CONTINUE

    with pytest.raises(Custom, match="first"):
        box.run(["sh", "-c", "umask; umask; umask; umask"], handlers=[("umask", Failing())])


def test_the_sandbox_can_run_again(box: Sandbox) -> None:
    with pytest.raises(SystemExit):
        box.run(UMASK, handlers=[("umask", Fail(SystemExit()))])
    assert box.run(["echo", "again"]).stdout == b"again\n"


def test_what_has_left_the_group_is_gone_as_well(box: Sandbox, make_fifo: MakeFifo) -> None:
    up = make_fifo("up")
    box.fs_writable = [*box.fs_writable, up.path]
    daemons: list[Watched] = []

    class Failing(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            daemons.append(Watched(int(up.line())))
            raise KeyboardInterrupt

    daemon = f"trap '' TERM; setsid setsid sh -c 'echo $$ >{up.path}; exec sleep 1000' &"
    with pytest.raises(KeyboardInterrupt):
        box.run(["sh", "-c", f"{daemon} umask; wait"], handlers=[("umask", Failing())])
    with daemons[0] as process:
        assert process.gone(0)


def test_not_swallowed_by_a_timeout(box: Sandbox) -> None:
    handlers = [("umask", Fail(KeyboardInterrupt()), NotifAction.errno(signal.SIGHUP))]
    with pytest.raises(KeyboardInterrupt):
        box.run(["sh", "-c", "umask; exec sleep 1000"], timeout=1, handlers=handlers)
