"""What a command asks for too often costs the host neither descriptors, nor its answer to others."""

from __future__ import annotations

import errno
import os
import sys

from sandlock import ExitReason, HandlerCtx, NotifAction
from tests.support.handlers import Answer, Do
from tests.support.processes import open_fds
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

# Threads that call as fast as they can; ctypes lets the others run meanwhile.
FLOOD = """
import ctypes, sys, threading
libc = ctypes.CDLL(None)

def flood():
    for _ in range(int(sys.argv[1])):
        libc.umask(0)

threads = [threading.Thread(target=flood) for _ in range(64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("over")
"""


def test_flood_of_notifications() -> None:
    """Each is answered once, and another sandbox is served meanwhile."""
    before = open_fds()
    others: list[bytes] = []
    other = tool_sandbox()

    class Serving(Answer):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            if not others:
                others.append(b"")
                others[0] = other.run(["sh", "-c", "umask"], handlers=[("umask", Answer())], timeout=60).stdout
            return super().handle(ctx)

    serving = Serving()
    command = [sys.executable, "-Ic", FLOOD, "50"]
    result = tool_sandbox(PYTHON_PATHS).run(command, handlers=[("umask", serving)], timeout=60, check=True)
    assert (result.stdout, serving.calls) == (b"over\n", 64 * 50)
    assert others[0] != b""
    assert open_fds() == before


def test_end_in_the_middle_of_a_flood() -> None:
    """Calls that nobody waits for any more are dropped, and what was opened for them is closed."""
    before = open_fds()
    asked = 0

    def end(ctx: HandlerCtx) -> NotifAction:
        nonlocal asked
        asked += 1
        return NotifAction.kill(9) if asked == 100 else NotifAction.inject_bytes(b"x" * 100)

    command = [sys.executable, "-Ic", FLOOD, "1000000"]
    result = tool_sandbox(PYTHON_PATHS, max_open_files=4096).run(command, handlers=[("umask", Do(end))], timeout=60)
    assert result.reason == ExitReason.KILLED
    assert open_fds() == before


def test_descriptors_that_do_not_fit() -> None:
    """A child without room for one gets the error, again and again; the host keeps none."""
    # Libc takes umask for a call that never fails, and hands on what the kernel returns.
    script = "import ctypes; libc = ctypes.CDLL(None); print({libc.umask(0) for _ in range(500)} & set(range(-99, 0)))"
    before = open_fds()
    give = Answer(NotifAction.inject_bytes(b"x"))
    box = tool_sandbox(PYTHON_PATHS, max_open_files=64)
    result = box.run([sys.executable, "-Ic", script], handlers=[("umask", give)], timeout=60, check=True)
    assert (result.stdout, give.calls) == (b"{%d}\n" % -errno.EMFILE, 500)
    assert open_fds() == before


def test_output_that_nobody_reads() -> None:
    """Nor does the command read what it is given."""
    reader, writer = os.pipe()
    try:
        result = tool_sandbox().run(["yes"], input=b"x" * (1 << 20), stdout=writer, timeout=0.5)
    finally:
        os.close(reader)
        os.close(writer)
    assert result.reason == ExitReason.TIMEOUT


def test_a_tree_that_stops_itself() -> None:
    """It ends when its time is over, with the supervisor's answers outstanding or not."""
    for handlers in ([], [("umask", Answer())]):
        script = "umask; (kill -STOP $$; sleep 1000) & kill -STOP $$; umask"
        result = tool_sandbox().run(["sh", "-c", script], handlers=handlers, timeout=0.5)
        assert result.reason == ExitReason.TIMEOUT
