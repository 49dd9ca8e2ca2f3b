"""SIGINT in a host like a notebook's kernel: it ends the cell and its command, not the kernel; the next cell works."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.busy import CHAINS
from tests.support.processes import PATIENCE, MakeFifo, Watched, host_command, host_environment

# Cells run in the main thread, within an event loop. Only while one runs does SIGINT interrupt; while one that awaits
# runs, it cancels its task.
KERNEL = """
    import ast, asyncio, inspect, signal, sys, textwrap

    def cancel_on_sigint(task):
        loop = asyncio.get_running_loop()
        signal.signal(signal.SIGINT, lambda number, frame: loop.call_soon_threadsafe(task.cancel))

    async def run_cell(source, namespace):
        code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            outcome = eval(code, namespace)
            if inspect.isawaitable(outcome):
                task = asyncio.ensure_future(outcome)
                cancel_on_sigint(task)
                await task
        except (KeyboardInterrupt, asyncio.CancelledError) as exception:
            print("interrupted:", type(exception).__name__, flush=True)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def kernel(cells):
        namespace = {"arguments": sys.argv[1:]}
        for cell in cells:
            await run_cell(cell, namespace)

    cells = [
        textwrap.dedent('''
            import threading
            from sandlock import Handler, NotifAction
            from tests.support.handlers import Answer
            from tests.support import busy
            from tests.support.sandboxes import tool_sandbox

            class AsyncAnswer(Handler):
                async def handle(self, ctx):
                    return NotifAction.continue_()

            folder, script, handled, call = arguments
            box = tool_sandbox(writable=[folder])
            handlers = {"none": [], "sync": [("chdir", Answer())], "async": [("chdir", AsyncAnswer())]}
            handlers = handlers[handled] if handled in handlers else busy.chain(handled, "chdir")

            def tell():
                busy.asked.wait()
                with open(f"{folder}/ready", "w") as ready:
                    print("asked", file=ready)

            threading.Thread(target=tell, daemon=True).start()
        '''),
        'box.run(["sh", "-c", script], handlers=handlers)',
        'print(box.is_running, box.run(["echo", "next"]).stdout)',
    ]
    if sys.argv[4] == "arun":
        cells[1] = "await " + cells[1].replace("run", "arun")
    loop = asyncio.new_event_loop()
    loop.slow_callback_duration = 1000  # development mode tells of cells that block
    asyncio.set_event_loop(loop)
    loop.run_until_complete(kernel(cells))
"""

# The daemon has left its session twice, ignores signals and keeps nothing of its ancestors' open.
SCRIPT = """
    trap '' TERM HUP INT
    setsid setsid sh -c 'echo $$ >{up}; exec sleep 1000 >/dev/null 2>&1 </dev/null' &
    cd /; echo passed >{ready}; exec sleep 1000
"""


def interrupt(python: str, folder: Path, make_fifo: MakeFifo, handled: str, call: str) -> list[str]:
    """Interrupt the second cell once its call has passed or a handler is at work; return what the kernel says."""
    up, ready = make_fifo("up"), make_fifo("ready")
    script = SCRIPT.format(up=up.path, ready=ready.path)
    command = host_command(KERNEL, folder, script, handled, call, python=[python])
    with contextlib.ExitStack() as stack:
        pipe = subprocess.PIPE
        host = subprocess.Popen(command, env=host_environment(), stdout=pipe, stderr=pipe, text=True)
        stack.callback(host.wait)
        stack.callback(host.kill)
        daemon = stack.enter_context(Watched(int(up.line())))
        assert ready.line() == ("asked" if handled in CHAINS else "passed")
        os.kill(host.pid, signal.SIGINT)
        output, errors = host.communicate(timeout=PATIENCE)
        assert daemon.gone(0)
    assert (host.returncode, errors) == (0, "")
    return output.splitlines()


@pytest.mark.parametrize(
    ("handled", "call", "error"),
    [
        ("none", "run", "KeyboardInterrupt"),
        ("sync", "run", "KeyboardInterrupt"),
        ("async", "run", "KeyboardInterrupt"),
        ("async", "arun", "CancelledError"),
    ],
)
def test_interrupted_cell(
    python: str, tmp_path: Path, make_fifo: MakeFifo, handled: str, call: str, error: str
) -> None:
    said = interrupt(python, tmp_path, make_fifo, handled, call)
    assert said == [f"interrupted: {error}", "False b'next\\n'"]


@pytest.mark.parametrize("handled", ["sleeping", "blocking"])
def test_with_a_busy_handler(python: str, tmp_path: Path, make_fifo: MakeFifo, handled: str) -> None:
    said = interrupt(python, tmp_path, make_fifo, handled, "run")
    assert said == ["interrupted: KeyboardInterrupt", "False b'next\\n'"]


@pytest.mark.parametrize("handled", sorted(CHAINS.keys() - {"sleeping", "blocking"}))
def test_whatever_makes_it_busy(tmp_path: Path, make_fifo: MakeFifo, handled: str) -> None:
    said = interrupt(sys.executable, tmp_path, make_fifo, handled, "run")
    assert said == ["interrupted: KeyboardInterrupt", "False b'next\\n'"]
