"""Pipelines of a shell, whose SIGCHLD interrupts calls: none is lost, and none hangs."""

from __future__ import annotations

import signal
import struct
from pathlib import Path
from typing import Any

import pytest

from sandlock import Sandbox
from tests.support.acts import Buffer, act
from tests.support.handlers import Answer
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

PIPELINE = ["sh", "-c", "echo abc | cat | cat"]


def works(box: Sandbox, *syscalls: str) -> bool:
    """Run the pipeline with handlers; one that hangs is killed."""
    answers = [Answer() for _ in syscalls]
    result = box.run(PIPELINE, handlers=list(zip(syscalls, answers)), timeout=10)
    assert all(answer.calls > 0 for answer in answers)
    return (result.exit_code, result.stdout, result.stderr) == (0, b"abc\n", b"")


@pytest.mark.parametrize("syscall", ["read", "write", "wait4", "exit_group", "execve", "openat"])
def test_calls_that_are_retried(box: Sandbox, syscall: str) -> None:
    assert all(works(box, syscall) for _ in range(100))


@pytest.mark.parametrize("syscall", ["close", "clone"])
def test_calls_that_nobody_retries(box: Sandbox, syscall: str) -> None:
    """Without SA_RESTART one in twenty is lost while the machine is busy."""
    assert all(works(box, syscall) for _ in range(200))


SA_NOCLDSTOP, SA_RESTART = 1, 0x10000000
NO_FUNCTION, FUNCTION = [signal.SIG_DFL, signal.SIG_IGN], 0x1000


def flags_of(box: Sandbox, program: Path, number: int, function: int, **options: Any) -> int:
    """Set what a signal does, with SA_NOCLDSTOP, and return the flags that the kernel has then."""
    action = struct.pack("@QQQQ", function, SA_NOCLDSTOP, 0, 0)
    calls = [("rt_sigaction", number, action, 0, 8), ("rt_sigaction", number, 0, Buffer(len(action)), 8)]
    done = act(box, program, calls, **options)
    assert [call.result for call in done] == [0, 0]
    kept, flags, *_ = struct.unpack("@QQQQ", done[1].data)
    assert kept == function
    return int(flags)


@pytest.mark.parametrize("handled", ["close", "rt_sigaction"])
def test_functions_for_sigchld_restart_calls(program: Program, handled: str) -> None:
    """Also where a handler of the user's is asked about the call that sets them."""
    acts = program("acts")
    box, answer = tool_sandbox([acts]), Answer()
    options = {"handlers": [(handled, answer)]}
    assert flags_of(box, acts, signal.SIGCHLD, FUNCTION, **options) == SA_NOCLDSTOP | SA_RESTART
    assert flags_of(box, acts, signal.SIGUSR1, FUNCTION, **options) == SA_NOCLDSTOP
    for other in NO_FUNCTION:
        assert flags_of(box, acts, signal.SIGCHLD, other, **options) == SA_NOCLDSTOP
    assert answer.calls > 0


@pytest.mark.parametrize(
    "fields", [{"net_allow": ["127.0.0.1:1"]}, {"random_seed": 1}], ids=lambda fields: "".join(fields)
)
def test_also_where_only_sandlock_itself_is_asked(program: Program, fields: dict[str, Any]) -> None:
    acts = program("acts")
    box = tool_sandbox([acts], **fields)
    assert flags_of(box, acts, signal.SIGCHLD, FUNCTION) == SA_NOCLDSTOP | SA_RESTART


def test_signals_are_left_alone_without_handlers(program: Program) -> None:
    acts = program("acts")
    assert flags_of(tool_sandbox([acts]), acts, signal.SIGCHLD, FUNCTION) == SA_NOCLDSTOP


def test_a_bad_address_is_for_the_kernel_to_tell(program: Program) -> None:
    acts = program("acts")
    box = tool_sandbox([acts])
    (call,) = act(box, acts, [("rt_sigaction", signal.SIGCHLD, 1, 0, 8)], handlers=[("close", Answer())])
    assert call.error == "EFAULT"


def test_a_handler_and_a_denied_rt_sigaction(program: Program) -> None:
    acts = program("acts")
    box = tool_sandbox([acts], extra_deny_syscalls=["rt_sigaction"])
    (call,) = act(box, acts, [("rt_sigaction", signal.SIGCHLD, 0, 0, 8)], handlers=[("close", Answer())])
    assert call.error == "EPERM"
