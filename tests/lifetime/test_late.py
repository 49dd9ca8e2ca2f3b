"""Runs that start when the interpreter is about to end: they work, or fail with a clear error, and nothing hangs."""

from __future__ import annotations

import pytest

from tests.support.processes import run_host

HOST = """
    import atexit, sys, threading
    when, with_handlers = sys.argv[1], sys.argv[2] == "handlers"

    def late():
        try:
            print(box.run(["echo", "late"], handlers=handlers).stdout, flush=True)
        except sandlock.SandboxError as error:
            print("refused" if "cannot be started" in str(error) else error, flush=True)

    class Late:
        def __del__(self):
            late()

    if when == "first hook":
        atexit.register(late)
    import sandlock
    from tests.support.handlers import Answer
    from tests.support.sandboxes import tool_sandbox

    handlers = [("umask", Answer())] if with_handlers else []
    box = tool_sandbox()
    box.run(["true"], handlers=handlers, check=True)
    if when == "last hook":
        atexit.register(late)
    elif when == "thread":
        threading.Thread(target=lambda: (threading.main_thread().join(), late())).start()
    elif when == "__del__":
        last = Late()
"""


@pytest.mark.parametrize("handlers", ["handlers", "none"])
@pytest.mark.parametrize("when", ["first hook", "last hook", "thread", "__del__"])
def test_late_run(python: str, when: str, handlers: str) -> None:
    done = run_host(HOST, when, handlers, python=[python])
    assert (done.returncode, done.stderr) == (0, "")
    # Handlers need threads, which 3.12 refuses early, and every version in the end.
    expected = {"b'late\\n'\n"} if handlers == "none" else {"b'late\\n'\n", "refused\n"}
    assert done.stdout in expected
