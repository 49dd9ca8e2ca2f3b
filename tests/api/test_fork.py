"""A process that was forked after the first use gets a clear error; one from before works."""

from __future__ import annotations

from pathlib import Path

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


def test_after_the_first_use() -> None:
    done = run_host(AFTER)
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


def test_before_the_first_use() -> None:
    done = run_host(BEFORE)
    assert done.stdout.splitlines() == ["b'child\\n'", "b'parent\\n'"], done.stderr


SPAWN = """
    import multiprocessing
    import sandlock
    abi = sandlock.landlock_abi_version()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(sandlock.landlock_abi_version) == abi)
"""


def test_spawned_workers_work() -> None:
    done = run_host(SPAWN)
    assert done.stdout == "True\n", done.stderr


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


def test_the_exit_of_a_forked_child_leaves_the_parents_run_alone(tmp_path: Path) -> None:
    done = run_host(DURING, tmp_path)
    assert done.stdout.splitlines() == ["0", "EXITED [b'end']"], done.stderr
