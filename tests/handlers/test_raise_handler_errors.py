"""raise_handler_errors=True raises what went wrong in handlers, all of it, after the run."""

from __future__ import annotations

import builtins
import errno
import pickle
import sys
import threading
from typing import Any

import pytest

from sandlock import (
    ChildError,
    ExceptionPolicy,
    Handler,
    HandlerCtx,
    HandlerError,
    NotifAction,
    Sandbox,
    SandlockError,
)
from tests.support.handlers import CONTINUE, Answer, Fail

SCRIPT = ["sh", "-c", "cd /; cd /; echo end; exit 3"]
EPERM = NotifAction.errno(errno.EPERM)


class FailInTurn(Handler):
    """Raises one exception after the other."""

    def __init__(self, *exceptions: BaseException) -> None:
        self._exceptions = iter(exceptions)

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        for exception in self._exceptions:
            raise exception
        return CONTINUE


def raised(box: Sandbox, handler: Handler, **options: Any) -> HandlerError:
    box.on_exception = EPERM
    with pytest.raises(HandlerError) as caught:
        box.run(SCRIPT, handlers=[("chdir", handler)], raise_handler_errors=True, **options)
    return caught.value


def test_nothing_went_wrong(box: Sandbox) -> None:
    result = box.run(SCRIPT, handlers=[("chdir", Answer())], raise_handler_errors=True)
    assert (result.exit_code, result.handler_errors) == (3, [])


def test_not_raised_by_default(box: Sandbox) -> None:
    box.on_exception = ExceptionPolicy.CONTINUE
    result = box.run(SCRIPT, handlers=[("chdir", Fail(OSError()))])
    assert len(result.handler_errors) == 2


def test_one(box: Sandbox) -> None:
    exception = LookupError("on purpose")
    error = raised(box, FailInTurn(exception))
    assert isinstance(error, SandlockError)
    assert (error.result.exit_code, error.result.stdout) == (3, b"end\n")
    (failure,) = error.result.handler_errors
    assert failure.exception is exception
    assert error.__cause__ is exception
    assert str(error).startswith("1 handler error: FailInTurn on system call ")
    for part in (str(failure.syscall), str(failure.pid), "LookupError('on purpose')", "errno(1)"):
        assert part in str(error)


def test_several(box: Sandbox) -> None:
    exceptions = [LookupError("first"), OSError("second")]
    error = raised(box, FailInTurn(*exceptions))
    assert str(error).startswith("2 handler errors: ")
    assert [failure.exception for failure in error.result.handler_errors] == exceptions
    if sys.version_info < (3, 11):
        assert error.__cause__ is exceptions[0]
    else:
        assert isinstance(error.__cause__, builtins.ExceptionGroup)
        assert list(error.__cause__.exceptions) == exceptions


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes are from Python 3.11")
@pytest.mark.parametrize("count", [1, 2])
def test_a_note_for_each(box: Sandbox, count: int) -> None:
    error = raised(box, FailInTurn(LookupError("first"), *[OSError("second")][: count - 1]))
    notes = error.__notes__
    assert len(notes) == count
    for note, word in zip(notes, ("first", "second")):
        assert "FailInTurn on system call" in note
        assert word in note


def test_a_value_that_is_no_action(box: Sandbox) -> None:
    class Wrong(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            return None  # type: ignore[return-value]

    assert "Wrong.handle returned None, which is no NotifAction" in str(raised(box, Wrong()))


def test_a_time_limit(box: Sandbox) -> None:
    class Late(Handler):
        handler_timeout = 0.01

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            while ctx.read(ctx.instruction_pointer, 1) is not None:
                threading.Event().wait(0.001)
            return CONTINUE

    error = raised(box, Late())
    assert [type(failure.exception) for failure in error.result.handler_errors] == [TimeoutError] * 2


def test_before_the_exit_code(box: Sandbox) -> None:
    """Both are wrong: the handlers' errors may be the reason for the exit code."""
    error = raised(box, Fail(OSError()), check=True)
    assert error.result.exit_code == 3
    with pytest.raises(ChildError):
        box.run(SCRIPT, handlers=[("chdir", Answer())], check=True, raise_handler_errors=True)


def test_a_base_exception_comes_as_it_is(box: Sandbox) -> None:
    with pytest.raises(KeyboardInterrupt):
        box.run(
            SCRIPT, handlers=[("chdir", FailInTurn(OSError(), KeyboardInterrupt()), EPERM)], raise_handler_errors=True
        )


def test_the_sandbox_can_run_again(box: Sandbox) -> None:
    raised(box, Fail(OSError()))
    assert box.run(["true"], raise_handler_errors=True).success


def test_pickled(box: Sandbox) -> None:
    """As multiprocessing does with what a worker raises."""
    error = raised(box, Fail(OSError("on purpose")))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (HandlerError, str(error))
    assert str(copy.result.handler_errors[0].exception) == "on purpose"
