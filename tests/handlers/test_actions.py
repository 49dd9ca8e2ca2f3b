"""What the answers do to the call."""

from __future__ import annotations

import errno
import signal
from pathlib import Path
from typing import Callable

import pytest

from sandlock import NotifAction, Sandbox
from tests.support.call import call
from tests.support.handlers import Answer
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def caller(program: Program) -> Path:
    return program("call")


@pytest.fixture
def call_box(caller: Path) -> Sandbox:
    return tool_sandbox([caller])


def test_continue(call_box: Sandbox, caller: Path) -> None:
    answer = Answer(NotifAction.continue_())
    told = call(call_box, caller, "getsid", 0, handlers=[("getsid", answer)])
    assert (told.result, told.errno, answer.calls) == (told.pid, 0, 1)


def test_continue_makes_the_call_with_its_arguments(tmp_path: Path, caller: Path) -> None:
    box = tool_sandbox([caller], [tmp_path])
    told = call(box, caller, "mkdirat", -100, f"{tmp_path}/made", 0o700, handlers=[("mkdirat", Answer())])
    assert told.result == 0
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("value", [1, errno.EPERM, errno.ENOSYS, 511, 512, 4095])
def test_errno(call_box: Sandbox, caller: Path, value: int) -> None:
    told = call(call_box, caller, "getppid", handlers=[("getppid", Answer(NotifAction.errno(value)))])
    assert (told.result, told.errno) == (-1, value)


def test_errno_makes_no_call(tmp_path: Path, caller: Path) -> None:
    box = tool_sandbox([caller], [tmp_path])
    answer = Answer(NotifAction.errno(errno.EROFS))
    told = call(box, caller, "mkdirat", -100, f"{tmp_path}/made", 0o700, handlers=[("mkdirat", answer)])
    assert told.error == "EROFS"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [0, 1, 2**31, 2**32, 2**63 - 1, -4096, -(2**31), -(2**32) - 1, -(2**63)])
def test_returns(call_box: Sandbox, caller: Path, value: int) -> None:
    told = call(call_box, caller, "getppid", handlers=[("getppid", Answer(NotifAction.returns(value)))])
    assert (told.result, told.errno) == (value, 0)


@pytest.mark.parametrize("value", [-1, -38, -4095])
def test_returns_what_libc_takes_for_an_errno(call_box: Sandbox, caller: Path, value: int) -> None:
    told = call(call_box, caller, "getppid", handlers=[("getppid", Answer(NotifAction.returns(value)))])
    assert (told.result, told.errno) == (-1, -value)


def test_returns_makes_no_call(tmp_path: Path, caller: Path) -> None:
    box = tool_sandbox([caller], [tmp_path])
    answer = Answer(NotifAction.returns(0))
    told = call(box, caller, "mkdirat", -100, f"{tmp_path}/made", 0o700, handlers=[("mkdirat", answer)])
    assert (told.result, told.errno) == (0, 0)
    assert list(tmp_path.iterdir()) == []


WRONG: dict[str, tuple[Callable[[], NotifAction], type[Exception], str]] = {
    "errno 0": (lambda: NotifAction.errno(0), ValueError, "errno.*1 to 4095.*0"),
    "negative errno": (lambda: NotifAction.errno(-1), ValueError, "errno.*1 to 4095.*-1"),
    "large errno": (lambda: NotifAction.errno(4096), ValueError, "errno.*4095.*4096"),
    "errno of text": (lambda: NotifAction.errno("EPERM"), TypeError, "errno.*int.*str"),  # type: ignore[arg-type]
    "errno of a bool": (lambda: NotifAction.errno(True), TypeError, "errno.*int.*bool"),
    "large result": (lambda: NotifAction.returns(2**63), ValueError, "returns"),
    "small result": (lambda: NotifAction.returns(-(2**63) - 1), ValueError, "returns"),
    "result of text": (lambda: NotifAction.returns("0"), TypeError, "returns.*str"),  # type: ignore[arg-type]
    "result of None": (lambda: NotifAction.returns(None), TypeError, "returns.*NoneType"),  # type: ignore[arg-type]
    "result of a float": (lambda: NotifAction.returns(1.0), TypeError, "returns.*float"),  # type: ignore[arg-type]
    "signal 0": (lambda: NotifAction.kill(0), ValueError, "kill: sig"),
    "negative signal": (lambda: NotifAction.kill(-9), ValueError, "kill: sig"),
    "large signal": (lambda: NotifAction.kill(signal.NSIG), ValueError, "kill: sig"),
    "negative group": (lambda: NotifAction.kill(9, -1), ValueError, "kill: pgid"),
    "group of text": (lambda: NotifAction.kill(9, "0"), TypeError, "kill: pgid.*str"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values(case: str) -> None:
    make, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        make()


def test_actions_are_values() -> None:
    actions = [
        NotifAction.continue_(),
        NotifAction.errno(1),
        NotifAction.errno(2),
        NotifAction.returns(1),
        NotifAction.returns(-1),
        NotifAction.kill(),
        NotifAction.kill(signal.SIGTERM),
        NotifAction.kill(signal.SIGKILL, 5),
    ]
    assert len(set(actions)) == len(actions)
    assert NotifAction.errno(errno.EPERM) == NotifAction.errno(1)
    assert NotifAction.kill() == NotifAction.kill(signal.SIGKILL, pgid=0)
    with pytest.raises(AttributeError):
        actions[1]._operand = 3  # type: ignore[misc]


def test_repr_is_how_it_was_made() -> None:
    assert repr(NotifAction.continue_()) == "NotifAction.continue_()"
    assert repr(NotifAction.errno(13)) == "NotifAction.errno(13)"
    assert repr(NotifAction.returns(-7)) == "NotifAction.returns(-7)"
    assert repr(NotifAction.kill(15, pgid=42)) == "NotifAction.kill(15, pgid=42)"
