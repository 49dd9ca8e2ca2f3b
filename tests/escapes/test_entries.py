"""The other ways into the kernel, whose numbers mean other calls, end the process that takes them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess

import pytest

from sandlock import ExitReason, NotifAction
from tests.support.handlers import Answer
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="no other entry on this architecture")


@pytest.mark.parametrize("deny", [[], ["getpid"]], ids=["default", "call denied"])
@pytest.mark.parametrize("entry", ["x32", "int80"])
def test_killed(program: Program, entry: str, deny: list[str]) -> None:
    entries = program("entries")
    if entry == "int80":
        bare = subprocess.run([entries, entry], capture_output=True, check=False, timeout=60)
        if bare.stdout != b"1\n":
            pytest.skip("this kernel has no 32-bit entry")
    result = tool_sandbox([entries], extra_deny_syscalls=deny).run([entries, entry], timeout=60)
    assert (result.reason, result.signal, result.stdout) == (ExitReason.SIGNALED, signal.SIGSYS, b"")


def test_unknown_numbers_do_not_exist(program: Program) -> None:
    """Those that the table ends before, those in its gaps, and those with the highest bit set."""
    acts = program("acts")
    words = [str(acts)]
    for number in (400, 1023, 1 << 20, (1 << 30) - 1, 1 << 31):
        words += [str(number), ","]
    result = tool_sandbox([acts]).run(words[:-1], timeout=60, check=True)
    assert result.stdout.split() == [b"-1", b"38"] * 5


def test_the_vsyscall_page_is_no_way_around(program: Program) -> None:
    """The kernel emulates its calls, and asks the filter: by their numbers."""
    time = program("vsyscall")
    if subprocess.run([time], capture_output=True, check=False, timeout=60).returncode != 0:
        pytest.skip("this kernel has no vsyscall page")
    answered = tool_sandbox([time]).run([time], handlers=[("time", Answer(NotifAction.returns(123)))], check=True)
    assert answered.stdout == b"123\n"
    denied = tool_sandbox([time], extra_deny_syscalls=["time"]).run([time], check=True)
    assert denied.stdout == b"%d\n" % -errno.EPERM
