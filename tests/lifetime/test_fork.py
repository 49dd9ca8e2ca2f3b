"""A process that was forked after the first use gets a clear error, and harms no run; one from before works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import run_host

AFTER = """
    import os, sys
    import sandlock
    from tests.support.handlers import Answer
    from tests.support.sandboxes import tool_sandbox
    box = tool_sandbox()
    box.run(["true"], check=True)
    if (pid := os.fork()) == 0:
        uses = {
            "run": lambda: box.run(["true"]),
            "new": lambda: tool_sandbox().run(["true"]),
            "handlers": lambda: box.run(["true"], handlers=[("openat", Answer())]),
            "abi": sandlock.landlock_abi_version,
        }
        for name, use in uses.items():
            try:
                print(name, use())
            except sandlock.ForkError as error:
                print(name, isinstance(error, sandlock.SandlockError), "before the first use" in str(error))
        sys.exit(0)
    _, status = os.waitpid(pid, 0)
    print("status", status, box.run(["echo", "parent"]).stdout)
"""


def test_after_the_first_use(python: str) -> None:
    done = run_host(AFTER, python=[python])
    assert done.stdout.splitlines() == [
        "run True True",
        "new True True",
        "handlers True True",
        "abi True True",
        "status 0 b'parent\\n'",
    ], done.stderr


BEFORE = """
    import os, sys
    import sandlock
    from tests.support.sandboxes import tool_sandbox
    box = tool_sandbox()
    if (pid := os.fork()) == 0:
        print(box.run(["echo", "child"]).stdout)
        sys.exit(0)
    os.waitpid(pid, 0)
    print(box.run(["echo", "parent"]).stdout)
"""


def test_before_the_first_use(python: str) -> None:
    done = run_host(BEFORE, python=[python])
    assert done.stdout.splitlines() == ["b'child\\n'", "b'parent\\n'"], done.stderr


DURING = """
    import os, sys, threading
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path
    from tests.support.handlers import Answer
    from tests.support.processes import Fifo, Watched
    from tests.support.sandboxes import tool_sandbox

    folder = Path(sys.argv[1])
    up, on = Fifo(folder / "up"), Fifo(folder / "on")
    box = tool_sandbox(writable=[folder])
    script = f"echo up >{up.path}; read line <{on.path}; umask; echo end"
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(box.run, ["sh", "-c", script], handlers=[("umask", Answer())])
        up.line()
        if (pid := os.fork()) == 0:
            import atexit
            atexit._run_exitfuncs()  # as sys.exit would, which waits for the pool first
            os._exit(0)
        with Watched(pid) as child:
            if not child.gone(20):
                print("the child hangs")
                os.kill(pid, 9)
        print(os.waitpid(pid, 0)[1])
        on.release()
        print(run.result().reason.name, run.result().stdout.splitlines()[-1:])
"""


def test_the_exit_of_a_forked_child_leaves_the_parents_run_alone(python: str, tmp_path: Path) -> None:
    done = run_host(DURING, tmp_path, python=[python])
    assert done.stdout.splitlines() == ["0", "EXITED [b'end']"], done.stderr


# Parent and child both return from the handler; only the parent's answer counts, although both share the memory that
# answers are written to. The parent waits for the child first.
IN_HANDLER = """
    import os, sys
    from sandlock import Handler, NotifAction
    from tests.support.processes import Watched
    from tests.support.sandboxes import tool_sandbox

    def decide():
        if (pid := os.fork()) == 0:
            return NotifAction.errno(5)
        with Watched(pid) as child:
            if not child.gone(20):
                print("the child hangs")
                os.kill(pid, 9)
        print("status", os.waitpid(pid, 0)[1])
        return NotifAction.continue_()

    class Sync(Handler):
        def handle(self, ctx):
            return decide()

    class Async(Handler):
        async def handle(self, ctx):
            return decide()

    host = os.getpid()
    handler = Async() if sys.argv[1] == "async" else Sync()
    result = tool_sandbox().run(["sh", "-c", "cd / && echo passed"], handlers=[("chdir", handler)])
    print(os.getpid() == host, result.stdout, result.handler_errors)
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_in_a_handler(python: str, kind: str) -> None:
    done = run_host(IN_HANDLER, kind, python=[python])
    assert done.stdout.splitlines() == ["status 0", "True b'passed\\n' []"], done.stderr


CONTEXT = """
    import os
    from sandlock import ForkError, NotifAction
    from tests.support.handlers import Do
    from tests.support.sandboxes import tool_sandbox

    box = tool_sandbox()

    def decide(ctx):
        uses = {
            "read": ctx.read_path,
            "write": lambda: ctx.write(ctx.args[0], b"/nonexistent"),
            "fact": lambda: ctx.cwd,
            "kill": box.kill,
            "held": lambda: box.held,
            "pid": lambda: box.pid,
            "run": lambda: box.run(["true"]),
        }
        if (pid := os.fork()) == 0:
            for name, use in uses.items():
                try:
                    print(name, use(), flush=True)
                except ForkError:
                    print(name, "refused", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        return NotifAction.continue_()

    print(box.run(["sh", "-c", "cd / && echo passed"], handlers=[("chdir", Do(decide))]).stdout)
"""


def test_the_child_of_a_handler_reaches_nothing(python: str) -> None:
    done = run_host(CONTEXT, python=[python])
    names = ["read", "write", "fact", "kill", "held", "pid", "run"]
    assert done.stdout.splitlines() == [*(f"{name} refused" for name in names), "b'passed\\n'"], done.stderr


SIGNALLED = """
    import os, signal, sys
    from pathlib import Path
    import sandlock
    from tests.support.processes import Fifo
    from tests.support.sandboxes import tool_sandbox

    folder, host = Path(sys.argv[1]), os.getpid()
    on = Fifo(folder / "on")

    def fork(number, frame):
        global child
        if (child := os.fork()) != 0:
            on.release()

    signal.signal(signal.SIGUSR1, fork)
    script = f"kill -USR1 {host}; read line <{on.path}; echo end"
    box = tool_sandbox(writable=[folder], disable=[sandlock.Protection.SIGNAL_SCOPE])
    try:
        output = box.run(["sh", "-c", script]).stdout
    except sandlock.ForkError:
        print("ForkError in the", "parent" if os.getpid() == host else "child", flush=True)
        os._exit(0)
    print(os.waitpid(child, 0)[1], "parent", output)
"""


def test_in_a_signal_handler_during_run(python: str, tmp_path: Path) -> None:
    """run raises in the child, which finds itself in the midst of it."""
    done = run_host(SIGNALLED, tmp_path, python=[python])
    assert done.stdout.splitlines() == ["ForkError in the child", "0 parent b'end\\n'"], done.stderr


INPUT = """
    import os, sys
    from pathlib import Path
    from sandlock import NotifAction
    from tests.support.handlers import Do
    from tests.support.processes import Fifo
    from tests.support.sandboxes import tool_sandbox

    on = Fifo(Path(sys.argv[1]) / "on")

    def fork(ctx):
        global child
        if (child := os.fork()) == 0:
            on.line()
            os._exit(0)
        return NotifAction.continue_()

    size = 1 << 20
    result = tool_sandbox().run(["sh", "-c", "cd /; wc -c"], input=bytes(size), handlers=[("chdir", Do(fork))])
    print(int(result.stdout) == size)
    on.release()
    print(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_does_not_keep_the_input_open(python: str, tmp_path: Path) -> None:
    """The command would wait for more as long as the child lives."""
    done = run_host(INPUT, tmp_path, python=[python])
    assert done.stdout.splitlines() == ["True", "0"], done.stderr
