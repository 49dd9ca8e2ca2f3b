"""A process in which sandboxes are made and measured.

Each line of its stdin is a JSON list: the name of a function below, and its arguments. Each line of its stdout is what
came out. It is run by itself, under the interpreter of whatever ``sandlock`` is to be measured: ours and the peer have
this part of the API in common.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import traceback
from typing import Any

MEASUREMENTS: dict[str, Any] = {}


def measurement(function: Any) -> Any:
    MEASUREMENTS[function.__name__] = function
    return function


@measurement
def run_bare(command: list[str], times: int = 1) -> float:
    """Run a command with subprocess.run: the median of seconds from start to exit."""
    return statistics.median(_seconds(lambda: _bare(command)) for _ in range(times))


@measurement
def run_confined(command: list[str], policy: dict[str, Any], times: int = 1) -> float:
    """Run a command in a sandbox: the median of seconds from start to exit."""
    return statistics.median(_seconds(lambda: _confined(command, policy)) for _ in range(times))


@measurement
def crowd_bare(command: list[str], runs: int, at_once: int) -> float:
    """Run a command many times from so many threads, with subprocess.run: runs a second."""
    return runs / _seconds(lambda: _from_threads(lambda: _bare(command), runs, at_once))


@measurement
def crowd_confined(command: list[str], policy: dict[str, Any], runs: int, at_once: int) -> float:
    """Run a command many times from so many threads, each time in a sandbox of its own: runs a second."""
    return runs / _seconds(lambda: _from_threads(lambda: _confined(command, policy), runs, at_once))


def _from_threads(action: Any, times: int, at_once: int) -> None:
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(action) for _ in range(times)]:
            done.result()


@measurement
def handled(command: list[str], policy: dict[str, Any], handlers: list[tuple[str, str]]) -> float:
    """Run a command with handlers for system calls: what the command prints, which is a number."""
    return float(_confined(command, policy, [(syscall, _handler(name)) for syscall, name in handlers]))


@measurement
def handled_in_flight(command: list[str], policy: dict[str, Any], alone: int, in_flight: int) -> float:
    """Do as handled with an asynchronous handler for getppid, which answers ``in_flight`` calls when it has so many.

    The first calls, ``alone`` in number, are answered as they come.
    """
    import asyncio

    from sandlock import Handler, HandlerCtx, NotifAction

    class Gather(Handler):
        def __init__(self) -> None:
            self.rest = alone
            self.waiting: list[asyncio.Future[None]] = []

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            if self.rest:
                self.rest -= 1
                return NotifAction.continue_()
            here: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(here)
            if len(self.waiting) == in_flight:
                for future in self.waiting:
                    future.set_result(None)
                self.waiting = []
            await here
            return NotifAction.continue_()

    return float(_confined(command, policy, [("getppid", Gather())]))


@measurement
def live(policy: dict[str, Any], count: int) -> dict[str, float]:
    """Have many sandboxes at once: how many there were, and the bytes (PSS) and threads that each took of this process.

    What the kernel keeps for them, and the commands themselves, is not counted.
    """
    import asyncio

    from sandlock import Sandbox

    _from_threads(lambda: _confined(["/bin/true"], policy), 16, 4)  # Go keeps the threads that it has needed once
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

    async def all_at_once() -> dict[str, float]:
        before = _memory(), len(os.listdir("/proc/self/task"))
        sandboxes = [Sandbox(**policy) for _ in range(count)]
        runs = [asyncio.ensure_future(sandbox.arun(["sleep", "600"])) for sandbox in sandboxes]
        try:
            while not all(sandbox.pid for sandbox in sandboxes) and not any(run.done() for run in runs):
                await asyncio.sleep(0.01)
            alive = sum(sandbox.is_running for sandbox in sandboxes)
            memory, threads = _memory() - before[0], len(os.listdir("/proc/self/task")) - before[1]
        finally:
            for sandbox in sandboxes:
                if sandbox.is_running:
                    sandbox.kill()
            await asyncio.gather(*runs, return_exceptions=True)
        return {"alive": alive, "memory": memory / count, "threads": threads / count}

    return asyncio.run(all_at_once())


def _memory() -> int:
    """Return the proportional set size of this process in bytes; see proc_pid_smaps(5)."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024


@measurement
def handled_in_go(library: str, readable: list[str], command: list[str]) -> float:
    """Run a command with a handler in Go, see builtin.go: what the command prints, which is a number."""
    answer = ctypes.CDLL(library).answerGetppid
    answer.restype = ctypes.c_double
    number = float(answer(os.fsencode("\n".join(readable)), os.fsencode("\n".join(command))))
    if number < 0:
        raise RuntimeError(f"{command} failed under {library}")
    return number


def _seconds(action: Any) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _bare(command: list[str]) -> bytes:
    return subprocess.run(command, capture_output=True, check=True).stdout


def _confined(command: list[str], policy: dict[str, Any], handlers: Any = ()) -> bytes:
    from sandlock import Sandbox  # the first measurement may be the import

    sandbox = Sandbox(**policy)
    result = sandbox.run_with_handlers(command, handlers) if handlers else sandbox.run(command)
    if not result.success:
        raise RuntimeError(f"{command} failed: {result}")
    return bytes(result.stdout)


def _handler(name: str) -> Any:
    from sandlock import Handler, HandlerCtx, NotifAction

    class Continue(Handler):
        """Looks at nothing: what is measured is the way to a handler and back."""

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            return NotifAction.continue_()

    class Path(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            if ctx.read_path() is None:
                raise ValueError("no path")
            return NotifAction.continue_()

    class Bytes(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            return NotifAction.inject_bytes(bytes(4096))

    class Count(Handler):
        count = 0

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            self.count += 1
            return NotifAction.continue_()

    class Sleep(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            time.sleep(0.05)
            return NotifAction.continue_()

    handlers = {"continue": Continue, "path": Path, "bytes": Bytes, "count": Count, "sleep": Sleep}
    return handlers[name]()


def _grow(resident: int, descriptors: int) -> Any:
    """Make this process large, and return what must be kept for it to stay so."""
    memory = bytearray(resident)
    memory[::4096] = b"\1" * len(range(0, resident, 4096))  # a page that was never written to is none
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    return memory, [os.open(os.devnull, os.O_RDONLY) for _ in range(descriptors)]


def main() -> None:
    # What is measured gets neither the questions nor the place for the answers.
    questions, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    kept = _grow(int(sys.argv[1]), int(sys.argv[2]))
    for line in questions:
        name, arguments = json.loads(line)
        try:
            answer = {"value": MEASUREMENTS[name](**arguments)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
    del kept


if __name__ == "__main__":
    main()
