"""Hosts under observation: trace functions in the threads of a run, and the interpreter's development mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import host_environment, run_host

TRACED = """
    import sys, threading
    from pathlib import Path
    from sandlock import Handler, NotifAction
    from tests.support.processes import Fifo
    from tests.support.sandboxes import tool_sandbox

    folder, kind = Path(sys.argv[1]), sys.argv[2]
    seen, lock = set(), threading.Lock()

    def look(frame, event, argument):
        with lock:
            if frame.f_code.co_name == "handle":
                seen.add((threading.current_thread().name.rstrip("0123456789"), event))
        return look

    class Sync(Handler):
        def handle(self, ctx):
            go.release()
            return NotifAction.continue_()

    class Async(Handler):
        async def handle(self, ctx):
            return NotifAction.continue_()

    def run():
        script = f"read line <{go.path}; umask; cd /; read line <{go.path}; umask; cd /; umask; echo end"
        box = tool_sandbox(writable=[folder])
        print(box.run(["sh", "-c", script], handlers=[("umask", Sync()), ("chdir", Async())]).stdout.splitlines()[-1:])

    go = Fifo(folder / "go")
    setters = {
        "trace": [threading.settrace, sys.settrace],
        "profile": [threading.setprofile, sys.setprofile],
        "trace all": [getattr(threading, "settrace_all_threads", None)],
        "profile all": [getattr(threading, "setprofile_all_threads", None)],
    }[kind]
    if None in setters:
        print("unsupported")
        sys.exit()
    runner = threading.Thread(target=run)
    if kind.endswith("all"):
        runner.start()  # the threads are there before
    for setter in setters:
        setter(look)
    if not kind.endswith("all"):
        runner.start()
    go.release()
    runner.join()
    sys.settrace(None)
    sys.setprofile(None)
    print(*sorted({name for name, event in seen if event == "return"}))
"""


@pytest.mark.parametrize("kind", ["trace", "profile", "trace all", "profile all"])
def test_trace_functions_see_the_handlers(python: str, tmp_path: Path, kind: str) -> None:
    done = run_host(TRACED, tmp_path, kind, python=[python])
    assert (done.returncode, done.stderr) == (0, "")
    if done.stdout == "unsupported\n":
        pytest.skip(f"this CPython has no threading.set{kind.split()[0]}_all_threads (3.12)")
    assert done.stdout.splitlines() == ["[b'end']", "sandlock- sandlock-loop"]


DEVELOPMENT = """
    import asyncio, gc, logging, os, sys
    from sandlock import ExceptionPolicy, Handler, NotifAction, StdioMode
    from tests.support.handlers import Answer, Fail
    from tests.support.sandboxes import tool_sandbox

    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it tells of turns that took long
    logging.getLogger("sandlock").setLevel(logging.CRITICAL)

    class Async(Handler):
        async def handle(self, ctx):
            await asyncio.sleep(0)
            return NotifAction.inject_bytes(b"content")

    class Memory(Handler):
        def handle(self, ctx):
            ctx.read_path()
            ctx.write(ctx.args[0], b"/tmp")
            return NotifAction.continue_()

    def handlers():
        return [("chdir", Memory()), ("umask", Fail(OSError()), ExceptionPolicy.CONTINUE), ("openat", Answer()),
                ("getppid", Async())]

    PIPED = StdioMode.PIPED
    SCRIPT = ["sh", "-c", "cd /; umask >/dev/null; cat /etc/passwd >/dev/null; echo end"]
    box = tool_sandbox()
    for _ in range(3):
        print(box.run(SCRIPT, input=b"x", handlers=handlers()).stdout.decode(), end="")
    print(asyncio.run(box.arun(SCRIPT, handlers=handlers())).stdout.decode(), end="")
    with tool_sandbox().popen(["cat"], stdin=PIPED, stdout=PIPED) as process:
        process.stdin.close()
        print(process.wait().success, len(process.stdout.read()))
    gc.collect()
"""


@pytest.mark.parametrize("options", [[], ["-W", "error", "-bb"]], ids=["warnings", "errors"])
def test_development_mode(python: str, options: list[str]) -> None:
    """No resource is left unclosed, no coroutine unawaited, no memory overrun."""
    done = run_host(DEVELOPMENT, python=[python, "-X", "dev", *options], env=host_environment(PYTHONMALLOC="debug"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["end"] * 4 + ["True 0"]
