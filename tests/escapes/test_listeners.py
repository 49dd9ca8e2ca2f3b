"""Nobody in the sandbox answers its calls, and no filter of its own opens what is shut."""

from __future__ import annotations

import errno
import itertools
import signal
import sys
import threading

import pytest

from sandlock import Handler, HandlerCtx, NotifAction
from sandlock._syscalls import number_of
from tests.support.handlers import Answer, Do
from tests.support.processes import PATIENCE
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

# seccomp(2) with a program of one instruction: allow everything.
FILTER = """
import ctypes, errno, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
SECCOMP = 317 if os.uname().machine == "x86_64" else 277
NEW_LISTENER, ALLOW = 8, 0x7fff0000

def install(flags):
    code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, ALLOW))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(code)))
    fd = libc.syscall(SECCOMP, 1, flags, program)
    return "installed" if fd >= 0 else errno.errorcode[ctypes.get_errno()]
"""


def python(script: str, handlers: list[tuple[str, Handler]]) -> list[str]:
    result = tool_sandbox(PYTHON_PATHS).run(
        [sys.executable, "-Ic", FILTER + script], handlers=handlers, timeout=60, check=True
    )
    return result.stdout.decode().split()


@pytest.mark.parametrize(("handlers", "told"), [(False, "installed"), (True, "EBUSY")], ids=["alone", "supervised"])
def test_a_second_listener(handlers: bool, told: str) -> None:
    """There is one for a task and its ancestors: see SECCOMP_FILTER_FLAG_NEW_LISTENER in seccomp(2)."""
    assert python("print(install(NEW_LISTENER))", [("umask", Answer())] if handlers else []) == [told]


def test_a_filter_of_its_own_opens_nothing() -> None:
    script = """
print(install(0))
print(libc.unshare(0x10000000), errno.errorcode[ctypes.get_errno()])
print(os.umask(0))
"""
    answer = Answer(NotifAction.returns(0o123))
    assert python(script, [("umask", answer)]) == ["installed", "-1", "EPERM", str(0o123)]


def test_guessed_notifications() -> None:
    """The listener is no descriptor of the command's: whatever it names while a call waits, it answers nothing."""
    script = """
import fcntl, threading
SEND, ID_VALID = 0xC0182101, 0x40082102
waiting = threading.Thread(target=lambda: print(libc.umask(0)))  # ctypes lets the others run
waiting.start()
for fd in range(1024):
    for number in range(4):
        for request, size in ((SEND, 24), (ID_VALID, 8)):
            try:
                fcntl.ioctl(fd, request, bytearray(number.to_bytes(8, sys.byteorder) + bytes(size - 8)))
                print("reached", fd)
            except OSError:
                pass
os.getppid()
waiting.join()
"""
    guessed = threading.Event()

    def wait(ctx: HandlerCtx) -> NotifAction:
        assert guessed.wait(PATIENCE)
        return NotifAction.returns(0o123)

    def release(ctx: HandlerCtx) -> NotifAction:
        guessed.set()
        return NotifAction.continue_()

    assert python(script, [("umask", Do(wait)), ("getppid", Do(release))]) == [str(0o123)]


def test_a_guessed_nonce(program: Program) -> None:
    """What lets the launcher's calls through the filter is a number that nobody finds by trying."""
    acts = program("acts")
    words = [str(acts)]
    for high, low in itertools.product(range(8), repeat=2):
        words += [str(number_of("dup3")), "0", str(100 + (high << 32)), str(low << 32), ","]
    result = tool_sandbox([acts], extra_deny_syscalls=["dup3"]).run(words[:-1], timeout=60, check=True)
    assert result.stdout.split() == [b"-1", b"%d" % errno.EPERM] * 64


def test_a_filter_of_its_own_that_kills() -> None:
    """It only tightens, and the supervisor goes on for the others. Strict mode is no way back from a filter."""
    script = """
import signal
KILL, PR_SET_SECCOMP = 0, 22
ends = []
for way in ("strict", "filter"):
    pid = os.fork()
    if pid == 0:
        if way == "strict":
            libc.prctl(PR_SET_SECCOMP, 1, 0, 0, 0)
        else:
            ALLOW = KILL
            install(0)
        libc.umask(0)
        os._exit(0)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(*ends, os.umask(0))
"""
    told = python(script, [("umask", Answer(NotifAction.returns(0o123)))])
    assert told == ["0", str(-signal.SIGSYS), str(0o123)]
