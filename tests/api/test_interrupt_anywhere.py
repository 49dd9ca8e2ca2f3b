"""A KeyboardInterrupt may come before any line of the package: nothing is left of the run, and the sandbox works on.

A signal is handled between two instructions, whenever it comes. A trace function that raises before the first line,
then before the second, and so on, tries them all.
"""

from __future__ import annotations

import pytest

from tests.support.processes import run_host

HOST = """
    import gc, os, sys, threading
    import sandlock
    from tests.support.handlers import Answer
    from tests.support.processes import children, open_fds
    from tests.support.sandboxes import tool_sandbox

    PACKAGE = os.path.dirname(sandlock.__file__)

    class Before:
        '''Raises before a line.'''

        def __init__(self, line):
            self.line, self.place = line, None

        def __call__(self, frame, event, argument):
            if not frame.f_code.co_filename.startswith(PACKAGE):
                return None
            if event == "line":
                self.line -= 1
                if self.line == 0:
                    self.place = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
                    raise KeyboardInterrupt
            return self

    def run(box):
        handlers = [("umask", Answer())] if sys.argv[1] == "handlers" else []
        return box.run(["sh", "-c", "umask; echo end"], input=b"x", handlers=handlers)

    usual = set(threading.enumerate())

    def state():
        gc.collect()
        for thread in set(threading.enumerate()) - usual:
            thread.join(30)  # it may take longer than an interrupted run waits for it
        return {
            "processes": children(),
            "descriptors": open_fds(),
            "threads": {thread.name for thread in threading.enumerate()},
        }

    run(tool_sandbox())
    clean, line, before = state(), 0, None
    while before is None or before.place is not None:
        line += 1
        box, before = tool_sandbox(), Before(line)
        sys.settrace(before)
        try:
            run(box)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        try:
            box.run(["true"], check=True)
        except RuntimeError as error:
            print(before.place, error)
        now = state()
        left = [what for what in clean if now[what] - clean[what]]
        if left:
            print(before.place, "leaves", *left)
        clean = now
    print(line > 50)
"""


@pytest.mark.parametrize("handlers", ["handlers", "none"])
def test_before_every_line(handlers: str) -> None:
    done = run_host(HOST, handlers)
    assert done.stdout == "True\n", f"{done.stdout}{done.stderr}"
